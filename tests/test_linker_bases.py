"""What a linker inherits from others, what it does for all its handlers, what it keeps apart."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any
from weakref import ref

import attrs
import pytest
from zope.interface import Interface, alsoProvides, classImplements, implementer

from tests.core_helpers import Stage, result_of
from txevents import (
    Envelope,
    EventLinker,
    LinkageError,
    ReactorEmitter,
    Subscription,
    SubscriptionLimit,
    default_linker,
    event,
)
from txevents.interfaces import IEventLinker


class IThing(Interface):
    pass


@implementer(IThing)
class Thing:
    pass


class Descendant(Thing):
    pass


def inheriting(*bases: EventLinker) -> EventLinker:
    return EventLinker(bases=bases)


def names(linker: EventLinker, event: object) -> list[str]:
    return [subscription.name for subscription in linker.subscriptions_for(event)]


def hear(linker: EventLinker, *keys: Any, **policy: Any) -> None:
    """Subscribe something that is named after what `policy` says, or after its first key."""
    linker.subscribe(print, *keys, **{"name": str(keys[0]), **policy})


def test_an_event_reaches_the_handlers_of_the_bases_too() -> None:
    base = EventLinker()
    emitter = Stage()
    emitter.emitter.linker = inheriting(base)
    base.subscribe(lambda *args: "base", Thing, "topic")
    emitter.emitter.linker.subscribe(lambda *args: "own", Thing, "topic")

    assert emitter.emit(Thing()).values == ["base", "own"]
    assert emitter.emit("topic").values == ["base", "own"]


def test_a_base_does_not_hear_of_the_handlers_of_those_who_inherit_from_it() -> None:
    base = EventLinker()
    hear(inheriting(base), Thing)

    assert base.subscriptions_for(Thing()) == ()


def test_handlers_of_a_base_come_first_at_equal_priority_whatever_their_key() -> None:
    base = EventLinker()
    linker = inheriting(base)
    hear(linker, ..., name="own everything")
    hear(linker, Descendant, name="own class")
    hear(base, Descendant, name="base class")
    hear(base, "Descendant", name="base topic")
    hear(base, ..., name="base everything")

    assert names(linker, Descendant()) == [
        "base everything",
        "base class",
        "base topic",
        "own everything",
        "own class",
    ]


def test_priority_goes_across_linkers() -> None:
    base = EventLinker()
    linker = inheriting(base)
    for owner, of in ((base, "base"), (linker, "own")):
        for priority in (-1, 0, 1):
            hear(owner, "topic", name=f"{of} {priority}", priority=priority)

    assert names(linker, "topic") == ["base 1", "own 1", "base 0", "own 0", "base -1", "own -1"]


def test_several_bases_come_in_the_order_given() -> None:
    first, second = EventLinker(), EventLinker()
    linker = inheriting(second, first)
    hear(linker, "topic", name="own")
    hear(first, "topic", name="first")
    hear(second, "topic", name="second")

    assert names(linker, "topic") == ["second", "first", "own"]
    assert linker.bases == (second, first)


def test_grandparents_come_before_parents() -> None:
    lineage = [EventLinker()]
    for _ in range(3):
        lineage.append(inheriting(lineage[-1]))
    for number, linker in reversed(list(enumerate(lineage))):
        hear(linker, "topic", name=str(number))

    assert names(lineage[-1], "topic") == ["0", "1", "2", "3"]
    assert names(lineage[1], "topic") == ["0", "1"]


def test_who_is_inherited_along_several_ways_is_heard_once() -> None:
    top = EventLinker()
    left, right = inheriting(top), inheriting(top)
    bottom = inheriting(left, right, top)
    for linker, name in ((bottom, "bottom"), (right, "right"), (left, "left"), (top, "top")):
        hear(linker, Thing, ..., (Thing,), name=name)

    assert names(bottom, Thing()) == ["top", "left", "right", "bottom"]
    assert [s.name for s in bottom.subscriptions_for_objects((Thing(),))] == names(bottom, Thing())


def test_one_handler_in_two_linkers_has_two_subscriptions() -> None:
    stage, base = Stage(), EventLinker()
    stage.emitter.linker = inheriting(base)
    heard: list[object] = []
    base.subscribe(heard.append, Thing)
    stage.emitter.linker.subscribe(heard.append, Thing)

    stage.emit(Thing())

    assert len(heard) == 2


def test_tuple_keys_are_inherited() -> None:
    stage, base = Stage(), EventLinker()
    linker = stage.emitter.linker = inheriting(base)
    linker.subscribe(lambda *args: "own", (..., ...))
    base.subscribe(lambda *args: "base", (Thing, IThing))
    linker.subscribe(lambda *args: "urgent", (Thing, Thing), priority=1)

    deferred = stage.emitter.emit_objects(Thing(), Thing())
    stage.clock.advance(0)

    assert result_of(deferred).values == ["urgent", "base", "own"]
    assert linker.subscriptions_for_objects((Thing(),)) == ()


def test_topics_and_patterns_are_inherited() -> None:
    base = EventLinker()
    linker = inheriting(base)
    for key in ("orders.placed", "orders.*", "#"):
        hear(base, key)
        hear(linker, key)

    expected = ["#", "orders.*", "orders.placed"] * 2
    assert names(linker, "orders.placed") == expected
    assert names(linker, Envelope(id="1", source="/", type="orders.placed")) == expected


def heard(linker: EventLinker) -> list[int]:
    """How many subscriptions events of each kind reach; asked twice, so that it is cached."""
    events = (Thing(), "Thing", Envelope(id="1", source="/", type="Thing"))
    first, cached = ([len(linker.subscriptions_for(e)) for e in events] for _ in range(2))
    assert first == cached
    return cached


@pytest.mark.parametrize("generations", [1, 2, 3])
def test_a_change_of_a_base_is_seen_at_once(generations: int) -> None:
    base = linker = EventLinker()
    for _ in range(generations):
        linker = inheriting(linker)
    assert heard(linker) == [0, 0, 0]

    subscription = base.subscribe(print, Thing, "Thing")
    assert heard(linker) == [1, 1, 1]

    with base.on(...) as link:
        link.on_event(print)
    assert heard(linker) == [2, 2, 2]

    assert subscription.remove("Thing")
    assert heard(linker) == [2, 1, 1]

    subscription.cancel()
    assert heard(linker) == [1, 1, 1]

    base.subscribe(print, ..., once=True).claim((), {})
    assert heard(linker) == [1, 1, 1]

    base.remove(...)
    assert heard(linker) == [0, 0, 0]

    base.subscribe(print, "#")
    assert heard(linker) == [1, 1, 1]

    base.clear()
    assert heard(linker) == [0, 0, 0]


def test_a_changed_declaration_is_seen_by_who_inherits() -> None:
    class ILate(Interface):
        pass

    class Late:
        pass

    base = EventLinker()
    linker = inheriting(inheriting(base))
    hear(base, ILate)
    one, another = Late(), Late()
    assert [names(linker, late) for late in (one, another)] == [[], []]

    alsoProvides(one, ILate)
    assert [len(names(linker, late)) for late in (one, another)] == [1, 0]

    classImplements(Late, ILate)
    assert [len(names(linker, late)) for late in (one, another)] == [1, 1]


def test_a_message_is_read_as_the_class_that_a_base_hears() -> None:
    @event("bases.read")
    @attrs.frozen
    class Typed:
        pass

    base = EventLinker()
    linker = inheriting(inheriting(base))
    assert linker.class_for("bases.read") is None

    subscription = base.subscribe(print, Typed)
    assert linker.class_for("bases.read") is linker.class_for("bases.read") is Typed

    subscription.cancel()
    assert linker.class_for("bases.read") is None

    hear(linker, Typed)
    assert linker.class_for("bases.read") is Typed
    assert base.class_for("bases.read") is None


def test_a_linker_lists_and_takes_away_only_its_own() -> None:
    base = EventLinker()
    linker = inheriting(base)
    inherited = base.subscribe(print, "topic")
    own = linker.subscribe(print, "topic")

    assert linker.subscriptions() == linker.subscriptions("topic") == [own]
    assert "1 subscription on 'topic'" in repr(linker)
    assert linker.remove("topic") == 1
    assert linker.subscriptions_for("topic") == (inherited,)
    linker.subscribe(print, "topic")
    assert linker.clear() == 1
    assert linker.clear() == 0
    assert linker.subscriptions_for("topic") == (inherited,)
    assert inherited.active
    assert not own.active


def test_a_base_does_not_keep_those_alive_who_inherit_from_it() -> None:
    base = EventLinker()
    linker = inheriting(base)
    hear(linker, Thing)
    assert names(linker, Thing())
    gone = ref(linker)

    del linker
    gc.collect()

    assert gone() is None
    assert base.subscribe(print, Thing).active


def test_the_linker_of_an_emitter_may_be_replaced_at_any_time() -> None:
    stage = Stage()
    before, after = stage.linker, EventLinker()
    heard: list[str] = []
    before.subscribe(lambda *args: heard.append("before"), Thing, "topic")
    after.subscribe(lambda *args: heard.append("after"), Thing, "topic")
    things = (Thing(), "topic", Thing())

    for linker in (before, after, before):
        stage.emitter.linker = linker
        for thing in things:
            stage.emitter.notify(thing)
        stage.emitter.emit(things[0])
    stage.clock.advance(0)

    assert heard == ["before"] * 4 + ["after"] * 4 + ["before"] * 4


def test_what_is_queued_runs_with_the_linker_it_was_emitted_with() -> None:
    stage = Stage()
    heard: list[object] = []
    stage.linker.subscribe(heard.append, Thing)

    stage.emitter.notify(Thing())
    stage.emitter.linker = EventLinker()
    stage.emitter.notify(Thing())
    stage.clock.advance(0)

    assert len(heard) == 1


@pytest.mark.parametrize("linker", ["linker", object(), None])
def test_an_emitter_is_not_given_something_else_in_place_of_a_linker(linker: Any) -> None:
    stage = Stage()

    with pytest.raises(TypeError, match="an emitter needs an EventLinker, not"):
        stage.emitter.linker = linker
    assert stage.emitter.linker is stage.linker


def test_linkers_know_nothing_of_each_other() -> None:
    one, another = EventLinker(), EventLinker()
    hear(one, ...)

    assert names(another, "topic") == names(another, Thing()) == []
    assert default_linker not in one.lineage
    assert one.lineage == [one]
    assert IEventLinker.providedBy(one)


def test_an_emitter_without_a_linker_asks_the_default_one() -> None:
    assert ReactorEmitter().linker is default_linker


# What a linker does for all its handlers.


def with_callbacks() -> tuple[Stage, list[Any], list[Any]]:
    stage, succeeded, failed = Stage(), list[Any](), list[Any]()
    stage.linker = EventLinker(on_success=succeeded.append, on_failure=failed.append)
    stage.emitter.linker = stage.linker
    return stage, succeeded, failed


def fail() -> None:
    raise ValueError("no")


def test_a_linker_may_have_callbacks_for_all_its_handlers() -> None:
    stage, succeeded, failed = with_callbacks()
    stage.linker.subscribe(lambda: 1, "topic")
    stage.linker.on("topic", priority=-1)(lambda: 2)
    with stage.linker.on("topic", priority=-2) as link:
        link.on_event(fail)

    outcome = stage.emit("topic")

    assert succeeded == outcome.values == [1, 2]
    assert failed == outcome.exceptions
    assert [str(exc) for exc in failed] == ["no"]


@pytest.mark.parametrize("in_block", [False, True])
def test_a_handler_may_have_a_callback_of_its_own_in_place_of_the_linkers(in_block: bool) -> None:
    stage, succeeded, failed = with_callbacks()
    own: list[Any] = []
    policy: dict[str, Any] = {} if in_block else {"on_success": own.append}
    with stage.linker.on("topic", **policy) as link:
        link.on_event(lambda: "result")
        link.on_event(fail)
        if in_block:
            link.on_success(own.append)

    stage.emit("topic")

    assert (succeeded, own, len(failed)) == ([], ["result"], 1)


def test_a_handler_may_do_without_the_callbacks_of_its_linker() -> None:
    stage, succeeded, failed = with_callbacks()
    stage.linker.subscribe(lambda: "result", "topic", on_success=None)
    stage.linker.subscribe(fail, "topic", on_failure=None)

    stage.emit("topic")

    assert (succeeded, failed) == ([], [])


def test_a_callback_that_overrides_the_linkers_is_named_once_in_a_block() -> None:
    stage, _, _ = with_callbacks()

    def block() -> None:
        with stage.linker.on("topic") as link:
            link.on_event(print)
            link.on_success(print)
            link.on_success(repr)

    with pytest.raises(LinkageError, match="has an on_success already: <built-in function print>"):
        block()


def test_the_callbacks_of_a_linker_are_not_those_of_who_inherits_nor_of_its_bases() -> None:
    stage, succeeded, _ = with_callbacks()
    middle = stage.linker
    base, own = list[Any](), list[Any]()
    grandparent = EventLinker(on_success=base.append)
    middle = EventLinker(bases=(grandparent,), on_success=succeeded.append)
    stage.emitter.linker = EventLinker(bases=(middle,), on_success=own.append)
    for number, linker in enumerate(stage.emitter.linker.lineage):
        linker.subscribe(lambda number=number: number, "topic")

    stage.emit("topic")

    assert (base, succeeded, own) == ([0], [1], [2])


@pytest.mark.parametrize("which", ["on_success", "on_failure"])
def test_a_linker_needs_callbacks_that_can_be_called(which: str) -> None:
    callbacks: dict[str, Any] = {which: "print"}
    with pytest.raises(TypeError, match=f"{which} must be callable, not 'print'"):
        EventLinker(**callbacks)


# The most subscriptions for one key.


def test_a_linker_may_limit_the_subscriptions_of_a_key() -> None:
    linker = EventLinker(max_subscriptions=2)
    for _ in range(2):
        linker.subscribe(print, Thing)

    with pytest.raises(SubscriptionLimit, match=r"^Thing has 2 subscriptions, as many as its"):
        linker.subscribe(print, Thing)
    with pytest.raises(RuntimeError, match=r"^Thing has 2"):
        linker.on(Thing)(print)
    assert linker.subscribe(print, Descendant, IThing).active


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        (IThing, "IThing"),
        ("orders.*", "'orders.*'"),
        (..., r"\.\.\."),
        ((Thing, ...), r"\(Thing, \.\.\.\)"),
    ],
)
def test_the_refusal_names_the_key_that_is_full(key: Any, shown: str) -> None:
    linker = EventLinker(max_subscriptions=1)
    linker.subscribe(print, key)

    with pytest.raises(SubscriptionLimit, match=f"^{shown} has "):
        linker.subscribe(print, "free", key, "free too")


def test_with_one_of_several_keys_full_nothing_is_registered() -> None:
    linker = EventLinker(max_subscriptions=1)
    only = linker.subscribe(print, "full")

    with pytest.raises(SubscriptionLimit):
        linker.subscribe(print, "before", "full", "after")

    assert linker.subscriptions() == [only]
    assert linker.subscriptions("before") == linker.subscriptions("after") == []
    assert linker.subscribe(print, "before", "after").active


def test_a_block_with_more_handlers_than_there_is_room_for_registers_none() -> None:
    linker = EventLinker(max_subscriptions=2)
    only = linker.subscribe(print, "topic")

    def block() -> None:
        with linker.on("other", "topic") as link:
            link.on_event(print)
            link.on_event(repr)

    with pytest.raises(SubscriptionLimit, match=r"^'topic' has 2 subscriptions"):
        block()
    assert linker.subscriptions() == [only]


@pytest.mark.parametrize(
    "end",
    [
        lambda linker, subscription: subscription.cancel(),
        lambda linker, subscription: subscription.remove("topic"),
        lambda linker, subscription: linker.remove("topic"),
        lambda linker, subscription: linker.clear(),
        lambda linker, subscription: subscription.claim((), {}),
    ],
)
def test_a_key_has_room_again_when_a_subscription_ends(
    end: Callable[[EventLinker, Subscription], object],
) -> None:
    linker = EventLinker(max_subscriptions=1)
    subscription = linker.subscribe(print, "topic", "other", once=True)
    with pytest.raises(SubscriptionLimit):
        linker.subscribe(print, "topic")

    assert end(linker, subscription)

    assert linker.subscriptions("topic") == []
    assert linker.subscribe(print, "topic").active


def test_the_limit_counts_neither_inherited_subscriptions_nor_a_key_given_twice() -> None:
    base = EventLinker()
    hear(base, "topic")
    linker = EventLinker(bases=(base,), max_subscriptions=1)

    assert linker.subscribe(print, "topic", "topic").active
    assert base.subscribe(print, "topic").active


def test_streams_and_those_who_wait_count_too() -> None:
    linker = EventLinker(max_subscriptions=1)
    with linker.stream("topic"), pytest.raises(SubscriptionLimit):
        linker.wait_for("topic")
    assert linker.subscribe(print, "topic").active


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_below_one_is_refused(limit: int) -> None:
    with pytest.raises(ValueError, match=f"max_subscriptions must be at least 1, not {limit}"):
        EventLinker(max_subscriptions=limit)


@pytest.mark.parametrize("limit", [1.5, "3", float("inf")])
def test_a_limit_is_a_whole_number(limit: Any) -> None:
    with pytest.raises(TypeError, match="integer"):
        EventLinker(max_subscriptions=limit)
