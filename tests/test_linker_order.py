"""The order of calling, snapshots, and the end of subscriptions."""

from __future__ import annotations

import gc
from collections.abc import Callable
from itertools import permutations
from typing import Any
from weakref import ref

import attrs
import msgspec
import pytest
from zope.interface import Interface, alsoProvides, classImplements, implementer

from tests.core_helpers import Stage
from txevents import Envelope, EventLinker, event


class IBase(Interface):
    pass


class IChild(IBase):
    pass


@implementer(IBase)
class Base:
    pass


@implementer(IChild)
class Child(Base):
    pass


LEAST_SPECIFIC_FIRST = (..., Interface, IBase, IChild, object, Base, Child, "#", "*", "Child")


def names(stage: Stage, event: object) -> list[str]:
    return [result.subscription.name for result in stage.emit(event).results]


@pytest.mark.parametrize("keys", [LEAST_SPECIFIC_FIRST, LEAST_SPECIFIC_FIRST[::-1]])
def test_the_least_specific_key_comes_first(keys: tuple[Any, ...]) -> None:
    stage = Stage()
    for key in keys:
        stage.linker.subscribe(print, key, name=str(key))

    assert names(stage, Child()) == [str(key) for key in LEAST_SPECIFIC_FIRST]


def test_an_interface_of_one_instance_comes_before_its_classes() -> None:
    class IExtra(Interface):
        pass

    stage = Stage()
    for key in (Child, IExtra, IChild, ...):
        stage.linker.subscribe(print, key, name=str(key))
    child = Child()
    alsoProvides(child, IExtra)

    assert names(stage, child) == [str(key) for key in (..., IChild, IExtra, Child)]


@pytest.mark.parametrize("keys", list(permutations(["#", "a.*", "a.b", ...])))
def test_the_widest_pattern_comes_first_and_the_topic_last(keys: tuple[Any, ...]) -> None:
    stage = Stage()
    for key in keys:
        stage.linker.subscribe(print, key, name=str(key))

    assert names(stage, "a.b") == ["Ellipsis", "#", "a.*", "a.b"]


def test_patterns_of_a_kind_come_in_the_order_of_registration() -> None:
    stage = Stage()
    for key in ("*.b", "#", "a.*", "a.#", "*.*", "a.b.#"):
        stage.linker.subscribe(print, key, name=key)

    assert names(stage, "a.b") == ["#", "a.#", "a.b.#", "*.b", "a.*", "*.*"]


@pytest.mark.parametrize(
    ("key", "event"), [("topic", "topic"), (Base, Base()), (IBase, Base()), (..., 1), ("#", "a")]
)
def test_handlers_of_one_key_are_called_in_the_order_of_registration(
    key: Any, event: object
) -> None:
    stage = Stage()
    for name in ("first", "second", "third"):
        stage.linker.subscribe(print, key, name=name)

    assert names(stage, event) == ["first", "second", "third"]


def test_a_higher_priority_comes_before_all_else() -> None:
    stage = Stage()
    for name, priority in (("zero", 0), ("low", -1), ("high", 1.5), ("higher", 2)):
        stage.linker.subscribe(print, Child, name=name, priority=priority)
    stage.linker.subscribe(print, ..., name="everything, last", priority=float("-inf"))
    stage.linker.subscribe(print, "Child", name="topic, first", priority=float("inf"))

    assert names(stage, Child()) == [
        "topic, first",
        "higher",
        "high",
        "zero",
        "low",
        "everything, last",
    ]


def test_a_handler_of_several_keys_has_the_first_of_its_places() -> None:
    stage = Stage()
    stage.linker.subscribe(print, IBase, name="interface")
    stage.linker.subscribe(print, "Child", ..., name="several")

    assert names(stage, Child()) == ["several", "interface"]


def test_the_least_specific_tuple_comes_first() -> None:
    linker = EventLinker()
    expected = [
        linker.subscribe(print, keys)
        for keys in ((..., Child), (IBase, ...), (IBase, IBase), (IBase, Child), (Child, ...))
    ]
    for subscription in expected:
        subscription.cancel()
    again = [linker.subscribe(print, *s.keys) for s in reversed(expected)]
    first = linker.subscribe(print, (Child, Child), priority=1)

    assert linker.subscriptions_for_objects((Child(), Child())) == (first, *reversed(again))


def test_a_handler_added_during_an_emission_waits_for_the_next_one() -> None:
    stage = Stage()

    @stage.linker.on("topic")
    def add() -> str:
        stage.linker.subscribe(lambda: "added", "topic", ...)
        return "adding"

    assert stage.emit("topic").values == ["adding"]
    assert stage.emit("topic").values == ["added", "adding"]


def test_a_handler_added_after_the_event_was_emitted_does_not_hear_it() -> None:
    stage = Stage()
    heard: list[str] = []
    stage.linker.subscribe(lambda: heard.append("early"), "topic")

    stage.emitter.notify("topic")
    stage.emitter.emit("topic")
    stage.linker.subscribe(lambda: heard.append("late"), "topic")
    stage.clock.advance(0)

    assert heard == ["early", "early"]


@pytest.mark.parametrize("policy", [{}, {"where": lambda: True}])
def test_a_handler_cancelled_before_its_turn_does_not_run(policy: dict[str, Any]) -> None:
    stage = Stage()
    heard: list[str] = []

    @stage.linker.on("topic")
    def cancel() -> None:
        cancelled.cancel()

    cancelled = stage.linker.subscribe(lambda: heard.append("cancelled"), "topic", **policy)
    stage.linker.subscribe(lambda: heard.append("other"), "topic")

    outcome = stage.emit("topic")

    assert [result.status for result in outcome.results] == ["done", "skipped", "done"]
    assert outcome.ok
    assert heard == ["other"]


def test_a_notified_handler_cancelled_before_its_turn_does_not_run() -> None:
    stage = Stage()
    heard: list[str] = []
    stage.linker.subscribe(lambda event: cancelled.cancel(), ...)
    cancelled = stage.linker.subscribe(lambda event: heard.append("cancelled"), Child)

    stage.notify(Child())

    assert heard == []


def test_a_handler_may_cancel_itself() -> None:
    stage = Stage()

    def cancel() -> bool:
        return subscription.cancel()

    subscription = stage.linker.subscribe(cancel, "topic")

    assert stage.emit("topic").values == [True]
    assert stage.emit("topic").results == ()


def test_a_subscription_can_be_cancelled_once() -> None:
    linker = EventLinker()
    subscription = linker.subscribe(print, Child, "Child", "*", "#")
    other = linker.subscribe(print, Child)

    assert [subscription.cancel(), subscription.cancel()] == [True, False]
    assert not subscription.active
    assert linker.subscriptions_for(Child()) == (other,)
    assert other.active


@pytest.mark.parametrize("others", [0, 1, 2])
def test_the_other_handlers_of_a_key_go_on(others: int) -> None:
    linker = EventLinker()
    remaining = [linker.subscribe(print, "topic", "top*", "#") for _ in range(others)]
    subscription = linker.subscribe(print, "topic", "#")
    assert linker.subscriptions_for("topic") == (*remaining, subscription)

    subscription.cancel()

    assert linker.subscriptions_for("topic") == tuple(remaining)


@pytest.mark.parametrize("keys", [(Child,), (IBase,), ("Child",), ("#",), (...,), ((Child,),)])
def test_a_cancelled_handler_is_forgotten(keys: tuple[Any, ...]) -> None:
    stage = Stage()

    class Handler:
        def __call__(self, event: object) -> None:
            pass

    def subscribe_and_cancel() -> tuple[ref[Any], ref[Any]]:
        handler = Handler()
        subscription = stage.linker.subscribe(handler, *keys)
        stage.emit(Child())
        stage.notify(Child())
        stage.linker.subscriptions_for_objects((Child(),))
        assert subscription.cancel()
        return ref(handler), ref(subscription)

    kept = subscribe_and_cancel()
    gc.collect()

    assert [reference() for reference in kept] == [None, None]


def test_an_event_is_forgotten_when_it_has_been_handled() -> None:
    stage = Stage()
    stage.linker.subscribe(lambda event: None, Child)

    def emit_and_forget() -> list[ref[Child]]:
        events = [Child(), Child()]
        stage.notify(events[0])
        stage.emit(events[1])
        return [ref(event) for event in events]

    kept = emit_and_forget()
    gc.collect()

    assert [reference() for reference in kept] == [None, None]


def test_a_bound_method_is_not_forgotten_as_long_as_it_is_subscribed() -> None:
    stage = Stage()

    class Listener:
        def hear(self, event: object) -> str:
            return "heard"

    stage.linker.subscribe(Listener().hear, Child)
    gc.collect()

    assert stage.emit(Child()).values == ["heard"]


Declare = Callable[[str], type]


def declare_attrs(topic: str) -> type:
    @event(topic)
    @attrs.frozen
    class Typed:
        pass

    return Typed


def declare_struct(topic: str) -> type:
    @event(topic)
    class Typed(msgspec.Struct):
        pass

    return Typed


def declare_plain(topic: str) -> type:
    @event(topic)
    class Plain:
        pass

    return Plain


@pytest.mark.parametrize("declare", [declare_attrs, declare_struct])
@pytest.mark.parametrize("key", ["read.as", "read.*", "#", ..., object, None])
def test_a_message_is_read_as_the_class_that_is_heard(declare: Declare, key: Any) -> None:
    linker = EventLinker()
    cls = declare("read.as")
    assert linker.class_for("read.as") is None

    subscription = linker.subscribe(print, cls if key is None else key)

    assert linker.class_for("read.as") is linker.class_for("read.as") is cls
    subscription.cancel()
    assert linker.class_for("read.as") is None


@pytest.mark.parametrize("key", [Envelope, "other", Base])
def test_a_message_whose_class_nobody_hears_is_not_read(key: Any) -> None:
    linker = EventLinker()
    cls = declare_attrs("read.not")
    linker.subscribe(print, key)

    assert linker.class_for("read.not") is None
    assert cls is not None


def test_a_message_is_never_read_as_a_plain_class() -> None:
    linker = EventLinker()
    linker.subscribe(print, ...)
    cls = declare_plain("read.plain")

    assert linker.class_for("read.plain") is None
    assert cls is not None


def test_a_topic_that_no_class_declares_is_not_read() -> None:
    linker = EventLinker()
    linker.subscribe(print, ...)

    assert linker.class_for("read.undeclared") is None


def test_of_several_classes_the_one_declared_last_that_is_heard_counts() -> None:
    linker = EventLinker()
    first, second, third = (declare_attrs("read.several") for _ in range(3))
    plain = declare_plain("read.several")
    linker.subscribe(print, first, plain)
    assert linker.class_for("read.several") is first

    hearing_second = linker.subscribe(print, second)
    assert linker.class_for("read.several") is second

    hearing_all = linker.subscribe(print, "read.*")
    assert linker.class_for("read.several") is third

    fourth = declare_struct("read.several")
    assert linker.class_for("read.several") is fourth

    hearing_all.cancel()
    hearing_second.cancel()
    assert linker.class_for("read.several") is first


def test_a_class_is_read_as_soon_as_it_implements_an_interface_that_is_heard() -> None:
    class IRead(Interface):
        pass

    linker = EventLinker()
    linker.subscribe(print, IRead)
    first, second = declare_attrs("read.late"), declare_attrs("read.late")
    assert linker.class_for("read.late") is None

    classImplements(first, IRead)  # type: ignore[misc]
    assert linker.class_for("read.late") is first

    classImplements(second, IRead)  # type: ignore[misc]
    assert linker.class_for("read.late") is second
