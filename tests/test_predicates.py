"""Predicates with a name: `linker.add_predicate`, then a keyword of `on` and `subscribe`."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.core_helpers import Stage, statuses
from txevents import (
    EventLinker,
    InvalidHandler,
    LinkageError,
    UnknownPredicate,
    not_,
)


class Order:
    def __init__(self, total: int = 0, tenant: str = "a") -> None:
        self.total = total
        self.tenant = tenant


Asked = Callable[[Order], bool]


def tenant(wanted: str) -> Asked:
    return lambda order: order.tenant == wanted


def at_least(total: int) -> Asked:
    return lambda order: order.total >= total


def is_even(order: Order) -> bool:
    return order.total % 2 == 0


def stage_with(**factories: Any) -> Stage:
    stage = Stage()
    for name, factory in factories.items():
        stage.linker.add_predicate(name, factory)
    return stage


def test_a_named_predicate_is_a_keyword_with_a_value() -> None:
    stage = stage_with(tenant=tenant)
    for wanted in "ab":
        stage.linker.subscribe(lambda order, wanted=wanted: wanted, Order, tenant=wanted)

    assert [stage.emit(Order(tenant=name)).values for name in "abc"] == [["a"], ["b"], []]


def test_a_handler_that_a_named_predicate_refuses_is_skipped() -> None:
    stage = stage_with(tenant=tenant)
    stage.linker.subscribe(print, Order, tenant="b")

    outcome = stage.emit(Order())

    assert statuses(outcome) == ["skipped"]
    assert outcome.ok


def test_several_named_predicates_must_all_say_yes() -> None:
    stage = stage_with(tenant=tenant, at_least=at_least)

    @stage.linker.on(Order, at_least=10, tenant="a", where=is_even)
    def hear(order: Order) -> int:
        return order.total

    events = [Order(10), Order(11), Order(8), Order(10, "b")]
    assert [stage.emit(order).values for order in events] == [[10], [], [], []]


def test_a_named_predicate_works_in_a_block() -> None:
    stage = stage_with(tenant=tenant)
    with stage.linker.on(Order, tenant="b") as link:
        link.on_event(lambda order: "first")
        link.on_event(lambda order: "second")

    assert stage.emit(Order()).values == []
    assert stage.emit(Order(tenant="b")).values == ["first", "second"]


def test_a_named_predicate_is_called_with_the_arguments_of_the_handler() -> None:
    calls: list[Any] = []

    def factory(value: object) -> Callable[..., bool]:
        def predicate(*args: object, **kwargs: object) -> bool:
            calls.append((value, args, kwargs))
            return True

        return predicate

    stage = stage_with(noted=factory)
    stage.linker.subscribe(lambda *args, **kwargs: None, "topic", Order, noted=7)
    order = Order()
    stage.emit("topic", 1, word=2)
    stage.emit(order, 1, word=2)

    assert calls == [(7, (1,), {"word": 2}), (7, (order, 1), {"word": 2})]


def test_the_factory_is_called_once_for_each_registration() -> None:
    values: list[str] = []

    def factory(value: str) -> Asked:
        values.append(value)
        return lambda order: True

    stage = stage_with(noted=factory)
    stage.linker.subscribe(print, Order, noted="subscribe")
    with stage.linker.on(Order, noted="block") as link:
        link.on_event(lambda order: None)
        link.on_event(lambda order: None)
    stage.emit(Order())

    assert values == ["subscribe", "block"]


@pytest.mark.parametrize("value", [0, False, "", ()])
def test_a_false_value_is_a_value(value: object) -> None:
    stage = stage_with(wanted=lambda wanted: lambda order: order.total == 1)
    stage.linker.subscribe(lambda order: "heard", Order, wanted=value)

    assert [stage.emit(Order(total)).values for total in (0, 1)] == [[], ["heard"]]


def test_a_predicate_that_is_given_none_is_not_applied() -> None:
    def factory(value: object) -> Asked:
        raise AssertionError("not called")

    stage = stage_with(unwanted=factory, tenant=tenant)
    stage.linker.subscribe(lambda order: "heard", Order, unwanted=None, tenant="b")

    assert [stage.emit(Order(tenant=name)).values for name in "ab"] == [[], ["heard"]]


def asking(calls: list[str], name: str, answer: object = True) -> Callable[[Any], Asked]:
    """Return a factory of predicates that note when they are asked."""

    def predicate(order: Order) -> Any:
        calls.append(name)
        return answer

    return lambda value: predicate


def test_predicates_are_asked_where_first_then_in_the_order_they_were_added() -> None:
    calls: list[str] = []
    stage = stage_with(second=asking(calls, "second"), first=asking(calls, "first"))
    where = [asking(calls, "where 1")(None), asking(calls, "where 2")(None)]
    stage.linker.subscribe(lambda order: None, Order, first=1, where=where, second=1)

    stage.emit(Order())

    assert calls == ["where 1", "where 2", "second", "first"]


@pytest.mark.parametrize("answer", [False, None, 0, ""])
def test_after_a_no_the_others_are_not_asked(answer: object) -> None:
    calls: list[str] = []
    stage = stage_with(
        first=asking(calls, "first"),
        second=asking(calls, "second", answer),
        third=asking(calls, "third"),
    )
    stage.linker.subscribe(print, Order, third=1, second=1, first=1)

    assert statuses(stage.emit(Order())) == ["skipped"]
    assert calls == ["first", "second"]


def test_after_a_no_of_where_no_named_predicate_is_asked() -> None:
    calls: list[str] = []
    stage = stage_with(named=asking(calls, "named"))
    stage.linker.subscribe(print, Order, named=1, where=not_(is_even))

    stage.emit(Order())

    assert calls == []


def test_a_named_predicate_that_raises_fails_the_handler() -> None:
    def factory(value: str) -> Asked:
        def predicate(order: Order) -> bool:
            raise ValueError(value)

        return predicate

    stage = stage_with(broken=factory)
    failed: list[Exception] = []
    stage.linker.subscribe(print, Order, broken="no", on_failure=failed.append)
    stage.linker.subscribe(lambda order: "other", Order)

    outcome = stage.emit(Order())

    assert statuses(outcome) == ["failed", "done"]
    assert outcome.exceptions == failed
    assert str(failed[0]) == "no"


@pytest.mark.parametrize(
    ("keyword", "hint"),
    [
        ("prio", "did you mean priority?"),
        ("onse", "did you mean once?"),
        ("on_sucess", r"did you mean on_success\b"),
        ("tennant", "did you mean tenant?"),
        ("atleast", "did you mean at_least?"),
    ],
)
def test_a_misspelt_keyword_is_refused_with_what_was_meant(keyword: str, hint: str) -> None:
    linker = stage_with(tenant=tenant, at_least=at_least).linker
    given: dict[str, Any] = {keyword: 3}
    message = f"^{keyword} is no keyword of the policy, nor a predicate; {hint}"

    with pytest.raises(UnknownPredicate, match=message):
        linker.subscribe(print, Order, **given)
    with pytest.raises(UnknownPredicate, match=message):
        linker.on(Order, **given)
    with pytest.raises(TypeError, match=message):
        linker.on(Order, once=True, tenant="a", **given)
    assert linker.subscriptions() == []


def test_a_keyword_like_no_other_is_refused_without_a_hint() -> None:
    with pytest.raises(UnknownPredicate, match=r"^xyz is no keyword .* nor a predicate$"):
        EventLinker().subscribe(print, Order, xyz=1)


def test_an_unknown_predicate_is_found_before_any_factory_is_called() -> None:
    def factory(value: object) -> Asked:
        raise AssertionError("not called")

    linker = stage_with(broken=factory).linker

    with pytest.raises(UnknownPredicate, match=r"^zzz is no keyword"):
        linker.subscribe(print, Order, broken=1, zzz=1)


@pytest.mark.parametrize(
    "name",
    ["", "two words", "1st", "a.b", "class", "name", "handler", "self", "where", "once"],
)
def test_a_name_that_could_not_be_used_as_a_keyword_is_refused(name: str) -> None:
    with pytest.raises(InvalidHandler, match=f"^a predicate cannot be called {name!r}$"):
        EventLinker().add_predicate(name, tenant)


def test_a_name_is_given_once() -> None:
    linker = EventLinker()
    linker.add_predicate("tenant", tenant)

    with pytest.raises(InvalidHandler, match=r"^there is a predicate 'tenant' already$"):
        linker.add_predicate("tenant", at_least)


def test_a_factory_must_be_callable() -> None:
    linker = EventLinker()

    with pytest.raises(InvalidHandler, match=r"^factory must be callable, not 7$"):
        linker.add_predicate("tenant", 7)  # type: ignore[arg-type]
    linker.add_predicate("tenant", tenant)


def test_a_factory_that_raises_registers_nothing() -> None:
    linker = stage_with(at_least=int).linker

    with pytest.raises(ValueError, match="invalid literal"):
        linker.subscribe(print, Order, at_least="many")
    with pytest.raises(ValueError, match="invalid literal"):
        linker.on(Order, at_least="many")
    assert linker.subscriptions() == []


@pytest.mark.parametrize("made", [None, True, "yes"])
def test_a_factory_must_return_something_callable(made: object) -> None:
    linker = stage_with(tenant=lambda value: made).linker

    with pytest.raises(
        InvalidHandler,
        match=f"^what the predicate tenant makes must be callable, not {made!r}$",
    ):
        linker.subscribe(print, Order, tenant="a")
    assert linker.subscriptions() == []


async def later(order: Order) -> bool:
    return False


class Later:
    async def __call__(self, order: Order) -> bool:
        return False


@pytest.mark.parametrize("predicate", [later, Later(), functools.partial(later), Later().__call__])
def test_a_predicate_that_would_have_to_be_waited_for_is_refused(predicate: Any) -> None:
    linker = stage_with(named=lambda value: predicate).linker
    message = "a predicate is not waited for, so it cannot be"

    with pytest.raises(InvalidHandler, match=message):
        linker.subscribe(print, Order, named=1)
    with pytest.raises(InvalidHandler, match=message):
        linker.subscribe(print, Order, where=predicate)
    with pytest.raises(InvalidHandler, match=message):
        not_(predicate)
    assert linker.subscriptions() == []


class Asking:
    def __init__(self, total: int) -> None:
        self.total = total

    def __call__(self, order: Order) -> bool:
        return order.total == self.total


def test_a_class_may_be_the_factory_and_its_instance_the_predicate() -> None:
    stage = stage_with(total=Asking)
    stage.linker.subscribe(lambda order: "heard", Order, total=3)

    assert [stage.emit(Order(total)).values for total in (2, 3)] == [[], ["heard"]]


def test_a_linker_knows_the_predicates_of_its_bases_and_not_the_other_way_round() -> None:
    grandparent = EventLinker()
    parent = EventLinker(bases=(grandparent,))
    child = EventLinker(bases=(parent,))
    parent.add_predicate("at_least", at_least)
    grandparent.add_predicate("tenant", tenant)  # after the child was made

    assert child.subscribe(print, Order, tenant="a", at_least=3).active
    assert parent.subscribe(print, Order, tenant="a").active
    with pytest.raises(UnknownPredicate, match="did you mean"):
        child.subscribe(print, Order, tennant="a")
    with pytest.raises(UnknownPredicate, match="at_least"):
        grandparent.subscribe(print, Order, at_least=3)


def test_predicates_of_bases_are_asked_first() -> None:
    calls: list[str] = []
    base = EventLinker()
    stage = Stage()
    stage.linker = EventLinker(bases=(base,))
    stage.emitter.linker = stage.linker
    stage.linker.add_predicate("own", asking(calls, "own"))
    base.add_predicate("inherited", asking(calls, "inherited"))
    stage.linker.subscribe(lambda order: None, Order, own=1, inherited=1)

    stage.emit(Order())

    assert calls == ["inherited", "own"]


def test_a_linker_may_have_a_predicate_of_its_own_in_place_of_one_of_its_base() -> None:
    calls: list[str] = []
    base = EventLinker()
    base.add_predicate("named", asking(calls, "base"))
    child = EventLinker(bases=(base,))
    child.add_predicate("named", asking(calls, "child"))

    base.subscribe(print, Order, named=1, name="of the base")
    child.subscribe(print, Order, named=1, name="of the child")
    child.explain(Order())

    assert calls == ["base", "child"]


def test_the_predicates_of_a_linker_are_unknown_to_another() -> None:
    stage_with(tenant=tenant)

    with pytest.raises(UnknownPredicate, match="tenant"):
        EventLinker().subscribe(print, Order, tenant="a")


def test_a_named_predicate_does_not_stand_in_the_way_of_the_callbacks_of_a_block() -> None:
    stage = stage_with(tenant=tenant)
    heard: list[object] = []

    with stage.linker.on(Order, tenant="a", on_failure=print) as link:
        link.on_event(lambda order: 1)
        link.on_success(heard.append)
        with pytest.raises(LinkageError, match="has an on_failure already"):
            link.on_failure(repr)

    stage.emit(Order())
    stage.emit(Order(tenant="b"))
    assert heard == [1]


def test_a_refusal_is_explained_by_the_predicate_and_its_value() -> None:
    stage = stage_with(tenant=tenant, at_least=at_least)
    stage.linker.subscribe(print, Order, tenant="b", name="mail")
    stage.linker.subscribe(print, Order, at_least=3, name="audit")
    stage.linker.subscribe(print, Order, where=not_(is_even), name="odd")
    stage.linker.subscribe(print, Order, where=is_even, at_least=0, name="even")

    assert re.sub("(?m)^.*: ", "", stage.linker.explain(Order())).splitlines()[1:] == [
        "would not run, its predicate tenant='b' says no",
        "would not run, its predicate at_least=3 says no",
        "would not run, its predicate not_(is_even) says no",
        "would run",
    ]
