"""What may be listened to, by what, and what may be emitted."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Generator, Iterator
from enum import StrEnum
from typing import Any

import pytest
from twisted.internet.defer import Deferred, inlineCallbacks
from zope.interface import Interface, implementer
from zope.interface.verify import verifyObject

from tests.core_helpers import Stage, result_of
from txevents import (
    EventLinker,
    InvalidEvent,
    InvalidHandler,
    InvalidKey,
    InvalidTopic,
    Subscription,
)
from txevents.interfaces import IEventLinker, ISubscription


class IThing(Interface):
    pass


@implementer(IThing)
class Thing:
    pass


class Descendant(Thing):
    pass


class Word(StrEnum):
    PLACED = "orders.placed"


class Accident(LookupError):
    pass


def namesake() -> type:
    class Thing:
        pass

    return Thing


@pytest.mark.parametrize(
    ("key", "event"),
    [
        (IThing, Thing()),
        (IThing, Descendant()),
        (Interface, Thing()),
        (Thing, Thing()),
        (Thing, Descendant()),
        (object, Thing()),
        (LookupError, Accident()),
        (Accident, Accident()),
        (int, True),
        (dict, {}),
        ("Thing", Thing()),
        ("Th*", "Th*"),
        ("*", Thing()),
        ("orders.placed", "orders.placed"),
        ("orders.*", "orders.placed"),
        ("#", "orders.placed"),
        (Word.PLACED, "orders.placed"),
        ("orders.placed", Word.PLACED),
        (Word.PLACED, Word.PLACED),
        ("orders.*", Word.PLACED),
        (..., Thing()),
        (..., "orders.placed"),
        (..., 0),
    ],
)
def test_a_key_hears_an_event(key: Any, event: object) -> None:
    stage = Stage()
    stage.linker.subscribe(lambda *args: "heard", key)

    for _ in range(2):  # the second time from the cache
        assert stage.emit(event).values == ["heard"]


@pytest.mark.parametrize(
    ("key", "event"),
    [
        (IThing, object()),
        (Descendant, Thing()),
        (Accident, LookupError()),
        (namesake(), Thing()),
        (Thing, namesake()()),
        (Thing, "Thing"),
        (str, "orders.placed"),
        (object, "orders.placed"),
        ("Thing", Descendant()),
        ("orders.placed", "orders.PLACED"),
        ("orders.placed", "orders.*"),
        ((Thing,), Thing()),
        ((Thing, Thing), (Thing(), Thing())),
    ],
)
def test_a_key_does_not_hear_other_events(key: Any, event: object) -> None:
    stage = Stage()
    stage.linker.subscribe(lambda *args: "heard", key)

    assert stage.emit(event).values == []


def test_the_topic_of_two_classes_of_one_name_is_heard_for_both() -> None:
    stage = Stage()
    stage.linker.subscribe(lambda event: "heard", "Thing")

    assert stage.emit(Thing()).values == stage.emit(namesake()()).values == ["heard"]


def test_a_topic_from_outside_that_is_spelt_like_a_pattern_is_not_one() -> None:
    stage = Stage()
    stage.linker.subscribe(lambda: "topic", "orders.placed")
    stage.linker.subscribe(lambda: "pattern", "orders.*")

    assert stage.emit("orders.*").values == ["pattern"]
    assert stage.emit("orders.#").values == ["pattern"]
    assert stage.emit("#").values == []


def test_several_keys_mean_any_of_them() -> None:
    stage = Stage()

    @stage.linker.on(Thing, "orders.placed", LookupError)
    def hear(*args: object) -> str:
        return "heard"

    for event in (Thing(), "orders.placed", Accident()):
        assert stage.emit(event).values == ["heard"]


def test_a_handler_runs_once_for_an_event_that_matches_through_several_keys() -> None:
    stage = Stage()
    stage.linker.subscribe(
        lambda event: "heard", Thing, IThing, Thing, object, ..., "Thing", "#", "*"
    )

    assert stage.emit(Descendant()).values == ["heard"]
    assert stage.emit(Thing()).values == ["heard"]


def test_a_handler_runs_once_for_each_of_its_subscriptions() -> None:
    stage = Stage()

    @stage.linker.on(Thing)
    @stage.linker.on(IThing)
    def hear(event: Thing) -> str:
        return "heard"

    assert stage.emit(Thing()).values == ["heard", "heard"]


@pytest.mark.parametrize(
    ("key", "objects"),
    [
        ((Thing,), (Descendant(),)),
        ((IThing, LookupError), (Thing(), Accident())),
        ((Thing, ...), (Thing(), 1)),
        ((Interface, object), (1, 2)),
        ((Thing, IThing, Thing), (Thing(), Thing(), Thing())),
    ],
)
def test_a_tuple_hears_objects_by_position(key: Any, objects: tuple[object, ...]) -> None:
    stage = Stage()
    stage.linker.subscribe(lambda *args: args, key)

    deferred = stage.emitter.emit_objects(*objects)
    stage.clock.advance(0)

    outcome = result_of(deferred)
    assert outcome.event == objects
    assert outcome.values == [objects]


@pytest.mark.parametrize(
    "objects",
    [
        (Thing(),),
        (Accident(), Thing()),
        (Thing(), LookupError()),
        (Thing(), Accident(), 1),
    ],
)
def test_a_tuple_does_not_hear_other_objects(objects: tuple[object, ...]) -> None:
    stage = Stage()
    stage.linker.subscribe(print, (IThing, Accident))
    stage.linker.subscribe(print, Thing, ..., "#")

    deferred = stage.emitter.emit_objects(*objects)
    stage.clock.advance(0)

    assert result_of(deferred).results == ()


def test_a_tuple_key_can_be_cancelled() -> None:
    linker = EventLinker()
    first = linker.subscribe(print, (Thing, Thing))
    second = linker.subscribe(print, (Thing, Thing))

    assert linker.subscriptions_for_objects((Thing(), Thing())) == (first, second)
    first.cancel()
    assert linker.subscriptions_for_objects((Thing(), Thing())) == (second,)
    second.cancel()
    assert linker.subscriptions_for_objects((Thing(), Thing())) == ()


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ((), "give at least one key: an interface, a class, a topic"),
        ((None,), "cannot listen to None: give an interface, a class"),
        ((1,), "cannot listen to 1: give"),
        ((b"topic",), "cannot listen to b'topic'"),
        (([Thing],), "cannot listen to"),
        ((Thing(),), "cannot listen to <.*Thing object"),
        ((Thing, None), "cannot listen to None"),
        (((),), "a tuple key needs at least one interface or class"),
        (((Thing, "topic"),), "cannot listen to 'topic'"),
        (((Thing, (Thing,)),), "cannot listen to"),
        ((namesake,), r"cannot listen to the function namesake: give .* @linker\.on\(key\)"),
    ],
)
def test_anything_else_is_refused_as_a_key(keys: tuple[Any, ...], message: str) -> None:
    linker = EventLinker()
    with pytest.raises(InvalidKey, match=message):
        linker.on(*keys)
    with pytest.raises(TypeError, match=message):
        linker.subscribe(print, *keys)


def test_one_bad_key_registers_none() -> None:
    linker = EventLinker()

    with pytest.raises(InvalidTopic):
        linker.subscribe(print, Thing, "")

    assert linker.subscriptions_for(Thing()) == ()


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (None, "None is not an event"),
        ("", "an empty string is not a topic"),
        (Thing, r"Thing is a class: emit an instance, Thing\(\.\.\.\)"),
        (Accident, r"Accident is a class: emit an instance"),
        (IThing, "IThing is an interface: emit an object that provides it"),
    ],
)
def test_what_is_no_event_is_refused_at_the_call(event: object, message: str) -> None:
    stage = Stage()
    stage.linker.subscribe(print, ...)

    for refuse in (stage.emitter.emit, stage.emitter.notify, stage.emitter.emit_objects):
        with pytest.raises(InvalidEvent, match=message):
            refuse(event)
    with pytest.raises(TypeError, match=message):
        stage.emitter.notify(event, 1, word=2)
    assert stage.clock.getDelayedCalls() == []


@pytest.mark.parametrize("event", [0, False, 0.0, b"", (), [], {}, ..., print, ValueError()])
def test_any_other_object_may_be_emitted(event: object) -> None:
    stage = Stage()
    stage.linker.subscribe(lambda event: event, ...)

    assert stage.emit(event).values == [event]


def generator(event: object) -> Iterator[None]:
    yield


async def async_generator(event: object) -> AsyncIterator[None]:
    yield


class Generators:
    def method(self, event: object) -> Iterator[None]:
        yield

    def __call__(self, event: object) -> Iterator[None]:
        yield


@pytest.mark.parametrize(
    "handler",
    [
        generator,
        async_generator,
        Generators().method,
        Generators(),
        functools.partial(generator, None),
        functools.partial(functools.partial(Generators()), None),
    ],
)
def test_a_generator_function_is_refused_as_a_handler(handler: Any) -> None:
    linker = EventLinker()
    with pytest.raises(InvalidHandler, match="is a generator function, so calling it would run"):
        linker.subscribe(handler, Thing)
    with pytest.raises(TypeError, match="@inlineCallbacks"):
        linker.on(Thing)(handler)
    assert linker.subscriptions_for(Thing()) == ()


@pytest.mark.parametrize("handler", [None, 1, "print", Thing()])
def test_what_cannot_be_called_is_refused_as_a_handler(handler: Any) -> None:
    with pytest.raises(InvalidHandler, match="a handler must be callable, not"):
        EventLinker().subscribe(handler, Thing)


@inlineCallbacks
def decorated(event: object) -> Generator[Deferred[None], None, None]:
    yield Deferred()


def test_an_inline_callbacks_function_is_no_generator_function() -> None:
    assert EventLinker().subscribe(decorated, Thing).active


class Callable:
    def __call__(self, event: object) -> None:
        pass


@pytest.mark.parametrize(
    ("handler", "name"),
    [
        (namesake, f"{__name__}.namesake"),
        (Thing, f"{__name__}.Thing"),
        (Callable(), f"{__name__}.Callable"),
        (Callable().__call__, f"{__name__}.Callable.__call__"),
        (functools.partial(namesake), f"{__name__}.namesake"),
        (functools.partial(Callable()), f"{__name__}.Callable"),
        (print, "builtins.print"),
        ([].append, "list.append"),
        (str.upper, "str.upper"),
    ],
)
def test_a_subscription_is_named_after_its_handler(handler: Any, name: str) -> None:
    subscription = EventLinker().subscribe(handler, Thing)

    assert subscription.name == name
    assert repr(subscription) == f"<Subscription {name} on Thing>"


def test_a_subscription_can_be_given_a_name() -> None:
    linker = EventLinker()
    linker.on("thing", name="receipts")(namesake)

    assert [s.name for s in linker.subscriptions_for("thing")] == ["receipts"]


def test_a_subscription_shows_its_keys_and_whether_it_is_cancelled() -> None:
    subscription = EventLinker().subscribe(
        print, IThing, Thing, "a.*", ..., (IThing, ...), name="n"
    )

    assert repr(subscription) == "<Subscription n on IThing, Thing, 'a.*', ..., (IThing, ...)>"
    subscription.cancel()
    assert repr(subscription).endswith("(IThing, ...) (cancelled)>")


def test_a_linker_shows_what_it_listens_to() -> None:
    linker = EventLinker()
    linker.subscribe(print, Thing, IThing)

    assert repr(linker) == "<EventLinker: 1 subscription on Thing, IThing>"


def test_the_interfaces_are_provided() -> None:
    linker = EventLinker()
    subscription = linker.subscribe(print, Thing)

    assert isinstance(subscription, Subscription)
    assert verifyObject(IEventLinker, linker)
    assert verifyObject(ISubscription, subscription)


def test_emit_objects_needs_an_object() -> None:
    with pytest.raises(InvalidEvent, match="at least one object"):
        Stage().emitter.emit_objects()


def test_a_predicate_that_would_have_to_be_waited_for_is_refused() -> None:
    async def later(event: object) -> bool:
        return False

    with pytest.raises(InvalidHandler, match="a predicate is not waited for"):
        Stage().linker.on(..., where=later)(print)
