"""What can be asked of a linker, and how it is emptied."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from zope.interface import Interface, implementer

from tests.core_helpers import Stage, refuse
from txevents import (
    Envelope,
    EventLinker,
    InvalidEvent,
    InvalidKey,
    InvalidTopic,
    event,
    not_,
)


class IOrder(Interface):
    pass


@event("shop.order")
@implementer(IOrder)
@attrs.frozen
class Order:
    total: int = 0


class Other:
    pass


def is_big(order: Order) -> bool:
    return order.total > 100


KEYS: tuple[Any, ...] = (IOrder, Order, object, "shop.order", "shop.*", "#", ..., (Order, IOrder))


@pytest.mark.parametrize("key", KEYS)
def test_all_subscriptions_of_a_key_can_be_removed(key: Any) -> None:
    linker = EventLinker()
    removed = [linker.subscribe(print, key) for _ in range(3)]
    others = [linker.subscribe(print, other) for other in KEYS if other != key]

    assert linker.remove(key) == 3
    assert linker.remove(key) == 0
    assert linker.subscriptions() == others
    assert [(s.active, s.cancelled) for s in removed] == [(False, True)] * 3


def test_removing_a_key_leaves_the_other_keys_of_a_subscription() -> None:
    linker = EventLinker()
    subscription = linker.subscribe(print, "one", Order, "two")

    assert linker.remove("one") == 1
    assert subscription.keys == (Order, "two")
    assert linker.remove(Order) == 1
    assert subscription.active
    assert linker.subscriptions_for("two") == (subscription,)
    assert linker.remove("two") == 1
    assert not subscription.active


def test_a_key_is_removed_and_not_what_it_takes_in() -> None:
    linker = EventLinker()
    linker.subscribe(print, "shop.order")
    linker.subscribe(print, Order)

    assert linker.remove("shop.*") == linker.remove(object) == linker.remove(...) == 0
    assert len(linker.subscriptions()) == 2


def test_a_key_removed_during_an_emission_is_not_heard_any_more() -> None:
    stage = Stage()
    stage.linker.subscribe(lambda: stage.linker.remove("topic"), "topic", priority=1)
    stage.linker.subscribe(print, "topic")

    assert [result.status for result in stage.emit("topic").results] == ["done", "skipped"]
    assert stage.emit("topic").results == ()


@pytest.mark.parametrize("method", ["remove", "subscriptions"])
def test_what_is_no_key_is_refused(method: str) -> None:
    ask = getattr(EventLinker(), method)
    with pytest.raises(InvalidKey, match="cannot listen to 7"):
        ask(7)
    with pytest.raises(InvalidKey, match="a tuple key needs at least one"):
        ask(())
    with pytest.raises(InvalidTopic):
        ask("")


def test_none_is_no_key_to_remove() -> None:
    with pytest.raises(InvalidKey, match="cannot listen to None"):
        EventLinker().remove(None)


def test_a_linker_can_be_cleared_and_used_again() -> None:
    stage = Stage()
    subscriptions = [stage.linker.subscribe(print, *KEYS) for _ in range(3)]
    subscriptions[0].cancel()
    assert len(stage.linker.subscriptions_for(Order())) == 2

    assert stage.linker.clear() == 2
    assert not any(subscription.active for subscription in subscriptions)
    assert stage.linker.subscriptions() == []
    assert stage.linker.subscriptions_for(Order()) == ()
    assert stage.linker.subscriptions_for("shop.order") == ()
    assert stage.linker.subscriptions_for_objects((Order(), Order())) == ()
    assert stage.linker.clear() == 0

    stage.linker.subscribe(lambda order: "again", Order)
    assert stage.emit(Order()).values == ["again"]


def test_a_cleared_linker_keeps_its_predicates() -> None:
    linker = EventLinker()
    linker.add_predicate("at_least", lambda total: lambda order: order.total >= total)
    linker.clear()

    assert linker.subscribe(print, Order, at_least=3).active


def test_subscriptions_are_listed_once_in_the_order_of_registration() -> None:
    linker = EventLinker()
    first = linker.subscribe(print, "b", ..., Order)
    second = linker.subscribe(print, "a", priority=9)
    third = linker.subscribe(print, Order, "a")

    assert linker.subscriptions() == [first, second, third]
    assert linker.subscriptions("a") == [second, third]
    assert linker.subscriptions(Order) == [first, third]
    assert linker.subscriptions(...) == [first]
    assert linker.subscriptions(IOrder) == linker.subscriptions("#") == []
    second.cancel()
    assert linker.subscriptions() == [first, third]


def test_a_list_of_subscriptions_is_a_copy() -> None:
    linker = EventLinker()
    linker.subscribe(print, "topic")
    linker.subscriptions().clear()
    linker.subscriptions("topic").clear()

    assert len(linker.subscriptions()) == len(linker.subscriptions("topic")) == 1


def test_who_an_event_reaches_is_told_in_the_order_of_calling() -> None:
    linker = EventLinker()
    last = linker.subscribe(print, "shop.order")
    second = linker.subscribe(print, Order)
    first = linker.subscribe(print, ...)
    urgent = linker.subscribe(print, Order, priority=1)

    assert linker.subscriptions_for(Order()) == (urgent, first, second, last)
    assert linker.subscriptions_for("shop.order") == (first, last)
    assert linker.subscriptions_for(Other()) == (first,)
    with pytest.raises(InvalidEvent, match="Order is a class"):
        linker.subscriptions_for(Order)
    with pytest.raises(InvalidEvent, match="None is not an event"):
        linker.subscriptions_for_objects((Order(), None))


@pytest.mark.parametrize(
    ("keys", "shown"),
    [
        ([], "0 subscriptions on nothing"),
        (["topic"], "1 subscription on 'topic'"),
        ([..., (Order, ...)], r"2 subscriptions on ..., (Order, ...)"),
        (list("abcde"), "5 subscriptions on 'a', 'b', 'c', 'd', 'e'"),
        (list("abcdef"), "6 subscriptions on 'a', 'b', 'c', 'd', 'e', ..."),
    ],
)
def test_a_linker_shows_how_many_subscriptions_it_has_and_on_what(
    keys: list[Any], shown: str
) -> None:
    linker = EventLinker()
    for key in keys:
        linker.subscribe(print, key)

    assert repr(linker) == f"<EventLinker: {shown}>"


def test_a_subscription_on_several_keys_is_shown_as_one() -> None:
    linker = EventLinker()
    linker.subscribe(print, "a", Order)
    linker.subscribe(print, "a")

    assert repr(linker) == "<EventLinker: 2 subscriptions on 'a', Order>"


def test_it_is_explained_who_hears_an_object_and_why_others_do_not() -> None:
    linker = EventLinker()
    linker.add_predicate("at_least", lambda total: lambda order: order.total >= total)
    linker.subscribe(print, Order, "other", name="charge", priority=2, where=is_big)
    linker.subscribe(print, Other, (Order, ...), name="elsewhere", priority=-1)
    linker.subscribe(print, "shop.*", name="audit", at_least=0)
    linker.subscribe(print, IOrder, name="broken", where=(is_big, refuse))
    linker.subscribe(print, ..., name="log")
    linker.subscribe(print, "#", name="small", where=not_(is_big))
    linker.subscribe(print, "shop.order", name="exact", at_least=1000)

    assert linker.explain(Order(101)).splitlines() == [
        "Order 'shop.order' reaches 6 of 7 subscriptions.",
        "1. charge on Order, 'other', priority 2: would run",
        "2. log on ...: would run",
        "3. broken on IOrder: would fail, a predicate raises ValueError: no",
        "4. small on '#': would not run, its predicate not_(is_big) says no",
        "5. audit on 'shop.*': would run",
        "6. exact on 'shop.order': would not run, its predicate at_least=1000 says no",
        "-  elsewhere on Other, (Order, ...), priority -1: not reached, none of its keys matches",
    ]
    assert linker.explain(Order(0)).splitlines()[1] == (
        "1. charge on Order, 'other', priority 2: "
        f"would not run, its predicate {__name__}.is_big says no"
    )


def test_it_is_explained_for_a_topic_with_what_it_is_emitted_with() -> None:
    linker = EventLinker()
    linker.subscribe(print, "user.*", name="named", where=lambda *args, **kwargs: "name" in kwargs)
    linker.subscribe(print, "user.left", name="two", where=lambda *args, **kwargs: len(args) == 2)

    assert linker.explain("user.left", 1, 2, name="joe") == (
        "topic 'user.left' reaches 2 of 2 subscriptions.\n"
        "1. named on 'user.*': would run\n"
        "2. two on 'user.left': would run"
    )
    assert linker.explain("user.left", 1).count("would not run, its predicate") == 2
    assert linker.explain("user.came", name="joe").splitlines()[1:] == [
        "1. named on 'user.*': would run",
        "-  two on 'user.left': not reached, none of its keys matches",
    ]


def test_it_is_explained_for_an_object_with_further_arguments() -> None:
    linker = EventLinker()
    linker.subscribe(print, Order, name="both", where=lambda order, word, *, flag: flag)

    assert linker.explain(Order(), "word", flag=True).endswith("both on Order: would run")
    assert "would fail, a predicate raises TypeError: " in linker.explain(Order())


def test_it_is_explained_for_an_envelope_by_its_type() -> None:
    linker = EventLinker()
    linker.subscribe(print, "shop.order", name="order")

    assert linker.explain(Envelope(id="1", source="/", type="shop.order")).splitlines() == [
        "Envelope 'shop.order' reaches 1 of 1 subscriptions.",
        "1. order on 'shop.order': would run",
    ]


def test_it_is_explained_that_nobody_listens() -> None:
    assert EventLinker().explain("topic") == "topic 'topic' reaches 0 of 0 subscriptions."


def test_a_muted_subscription_is_explained() -> None:
    linker = EventLinker()
    subscription = linker.subscribe(print, "topic", name="mail", where=refuse)

    with subscription.muted():
        assert linker.explain("topic").endswith("1. mail on 'topic': would not run, it is muted")
    assert "would fail" in linker.explain("topic")


def test_a_cancelled_subscription_is_not_explained() -> None:
    linker = EventLinker()
    linker.subscribe(print, "topic", name="mail").cancel()

    assert linker.explain("topic") == "topic 'topic' reaches 0 of 0 subscriptions."


def test_a_subscription_that_ends_while_predicates_are_asked_is_explained() -> None:
    linker = EventLinker()

    def end_the_others() -> bool:
        cancelled.cancel()
        used_up.claim((), {})
        return True

    linker.subscribe(print, "topic", name="first", where=end_the_others)
    cancelled = linker.subscribe(print, "topic", name="cancelled")
    used_up = linker.subscribe(print, "topic", name="used up", once=True)

    assert linker.explain("topic").splitlines()[1:] == [
        "1. first on 'topic': would run",
        "2. cancelled on 'topic': would not run, it was cancelled",
        "3. used up on 'topic': would not run, it was for one event, which has been",
    ]


def test_what_is_inherited_is_explained_too() -> None:
    base = EventLinker()
    linker = EventLinker(bases=(EventLinker(bases=(base,)),))
    linker.subscribe(print, Order, name="own", priority=0.5)
    base.subscribe(print, Order, name="inherited")
    base.subscribe(print, Other, name="inherited too")

    assert linker.explain(Order()) == (
        "Order 'shop.order' reaches 2 of 3 subscriptions.\n"
        "1. own on Order, priority 0.5: would run\n"
        "2. inherited on Order: would run\n"
        "-  inherited too on Other: not reached, none of its keys matches"
    )
    assert base.explain(Order()).startswith("Order 'shop.order' reaches 1 of 2 subscriptions.")


def test_explaining_runs_no_handler_and_uses_nothing_up() -> None:
    linker = EventLinker()
    subscription = linker.subscribe(refuse, "topic", once=True)

    assert linker.explain("topic").endswith(": would run")
    assert subscription.active
    assert subscription.calls == 0


@pytest.mark.parametrize("nothing", [None, "", Order, IOrder])
def test_what_is_no_event_is_not_explained(nothing: object) -> None:
    with pytest.raises(InvalidEvent):
        EventLinker().explain(nothing)
