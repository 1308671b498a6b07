"""When and in which order handlers run on the reactor."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet import task
from twisted.internet.defer import Deferred
from zope.interface import Interface, alsoProvides

from tests.core_helpers import Stage, logged
from txevents import EventLinker, ReactorEmitter
from txevents.emitters.reactor import MAX_BATCH

WAYS = ["emit", "notify"]


class Event:
    pass


@pytest.mark.parametrize("way", WAYS)
def test_no_handler_runs_inside_the_call(way: str) -> None:
    stage = Stage()
    heard: list[str] = []
    stage.linker.subscribe(heard.append, "topic")

    getattr(stage.emitter, way)("topic", "event")

    assert heard == []
    stage.clock.turn()
    assert heard == ["event"]


def test_a_notification_returns_nothing() -> None:
    stage = Stage()
    stage.linker.subscribe(print, Event, where=lambda event: False)

    returned: object = stage.emitter.notify(Event())  # type: ignore[func-returns-value]

    assert returned is None
    stage.clock.advance(0)


def test_nothing_is_scheduled_for_a_notification_that_nobody_hears() -> None:
    stage = Stage()

    for event in (Event(), Event(), "topic", "topic", 1):
        stage.emitter.notify(event)

    assert stage.clock.getDelayedCalls() == []
    assert stage.emitter.in_flight == 0


def test_events_are_dispatched_in_the_order_they_were_emitted() -> None:
    stage = Stage()
    heard: list[object] = []
    stage.linker.subscribe(lambda event, *args: heard.append((event, *args)), object)
    stage.linker.subscribe(lambda *args: heard.append(args), "topic")
    event = Event()

    stage.emitter.notify(event)
    stage.emitter.emit("topic", 1)
    stage.emitter.notify("topic", 2)
    stage.emitter.emit(event, 3)
    stage.emitter.notify(event, 4)
    stage.emitter.emit("topic")
    stage.clock.advance(0)

    assert heard == [(event,), (1,), (2,), (event, 3), (event, 4), ()]


def test_many_events_take_one_turn() -> None:
    stage = Stage()
    heard: list[int] = []
    stage.linker.subscribe(heard.append, "topic")
    for number in range(100):
        stage.emitter.notify("topic", number)
    assert len(stage.clock.getDelayedCalls()) == 1

    stage.clock.turn()

    assert heard == list(range(100))
    assert stage.clock.getDelayedCalls() == []


@pytest.mark.parametrize("way", WAYS)
def test_events_that_a_handler_emits_go_into_the_next_batch(way: str) -> None:
    stage = Stage()
    heard: list[int] = []

    @stage.linker.on("topic")
    def hear(number: int) -> None:
        heard.append(number)
        if number < 10:
            getattr(stage.emitter, way)("topic", number + 10)

    stage.emitter.notify("topic", 1)
    stage.emitter.notify("topic", 2)
    stage.clock.turn()
    assert heard == [1, 2]
    stage.clock.turn()
    assert heard == [1, 2, 11, 12]
    assert stage.clock.getDelayedCalls() == []


def test_a_storm_of_events_leaves_the_reactor_its_turns() -> None:
    stage = Stage()
    heard: list[int] = []

    @stage.linker.on("topic")
    def hear(number: int) -> None:
        heard.append(number)
        if number == 0:
            stage.emitter.notify("topic", -1)

    for number in range(MAX_BATCH + 500):
        stage.emitter.notify("topic", number)

    stage.clock.turn()
    assert len(heard) == MAX_BATCH
    assert stage.emitter.in_flight == 501
    stage.emitter.notify("topic", -2)
    stage.clock.turn()
    assert heard == list(range(MAX_BATCH + 500))
    stage.clock.turn()
    assert heard[-2:] == [-1, -2]
    assert stage.clock.getDelayedCalls() == []


@pytest.mark.parametrize("way", WAYS)
def test_system_exit_passes_through_and_the_rest_of_the_batch_is_not_lost(way: str) -> None:
    stage = Stage()
    heard: list[int] = []

    @stage.linker.on("topic")
    def hear(number: int) -> None:
        if number == 1:
            raise SystemExit
        heard.append(number)

    for number in range(4):
        getattr(stage.emitter, way)("topic", number)

    with pytest.raises(SystemExit):
        stage.clock.turn()
    assert heard == [0]
    getattr(stage.emitter, way)("topic", 4)
    stage.clock.advance(0)

    assert heard == [0, 2, 3, 4]
    assert stage.emitter.in_flight == 0


name: ContextVar[str] = ContextVar("name", default="nobody")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("on_error", ["continue", "stop"])
@pytest.mark.parametrize("args", [("topic",), (Event(),)])
def test_handlers_see_the_context_variables_of_the_emitting_code(
    way: str, on_error: str, args: tuple[Any, ...]
) -> None:
    stage = Stage(on_error=on_error)
    seen: list[str] = []
    stage.linker.subscribe(lambda *args: seen.append(name.get()), "topic", Event)

    @stage.linker.on("topic", Event)
    async def late(*args: object) -> None:
        await blocked
        seen.append(name.get())

    blocked: Deferred[None] = Deferred()
    for value in ("first", "second"):
        token = name.set(value)
        getattr(stage.emitter, way)(*args)
        name.reset(token)
    stage.clock.advance(0)
    assert seen == ["first", "second"]
    blocked.callback(None)

    assert seen == ["first", "second", "first", "second"]
    assert name.get() == "nobody"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("policy", [{}, {"where": lambda *args: True}])
def test_a_handler_that_waits_may_reset_its_context_variable(
    way: str, policy: dict[str, Any]
) -> None:
    stage = Stage()
    blocked: Deferred[None] = Deferred()
    seen: list[str] = []

    @stage.linker.on("topic", **policy)
    async def hear() -> None:
        token = name.set("inside")
        await blocked
        seen.append(name.get())
        name.reset(token)
        seen.append(name.get())

    with logged() as events:
        getattr(stage.emitter, way)("topic")
        stage.clock.advance(0)
        blocked.callback(None)

    assert (seen, events) == (["inside", "nobody"], [])


def test_a_coroutine_handler_keeps_its_context_variables_to_itself() -> None:
    stage = Stage()
    seen: list[str] = []

    @stage.linker.on("topic")
    async def change() -> None:
        name.set("changed")

    stage.linker.subscribe(lambda: seen.append(name.get()), "topic")
    stage.notify("topic")
    stage.emit("topic")

    assert seen == ["nobody", "nobody"]
    assert name.get() == "nobody"


def test_an_object_that_declares_more_than_its_class_is_notified_as_itself() -> None:
    class IMarker(Interface):
        pass

    stage = Stage()
    heard: list[str] = []
    stage.linker.subscribe(lambda event: heard.append("marked"), IMarker)
    stage.linker.subscribe(lambda event: heard.append("event"), Event)
    marked = Event()
    stage.notify(Event())
    stage.notify(marked)

    alsoProvides(marked, IMarker)
    stage.notify(marked)
    stage.notify(Event())

    assert heard == ["event", "event", "marked", "event", "event"]


def test_a_subscription_made_after_a_notification_is_notified_of_the_next() -> None:
    stage = Stage()
    heard: list[str] = []
    subscribe: list[Callable[..., object]] = [
        lambda *args: heard.append("first"),
        lambda *args: heard.append("second"),
    ]
    for handler in subscribe:
        stage.linker.subscribe(handler, Event, "topic")
        stage.notify(Event())
        stage.notify("topic")

    assert heard == ["first", "first", "first", "second", "first", "second"]


@ensureDeferred
async def test_handlers_run_on_the_installed_reactor() -> None:
    from twisted.internet import reactor

    linker = EventLinker()
    emitter = ReactorEmitter(linker)
    heard: list[str] = []

    @linker.on("topic", on_success=heard.append)
    async def hear(word: str) -> str:
        await task.deferLater(reactor, 0)
        return word

    emitter.notify("topic", "notified")
    outcome = await emitter.emit("topic", "emitted")

    assert outcome.values == ["emitted"]
    assert heard == ["notified", "emitted"]


@ensureDeferred
async def test_a_storm_on_the_installed_reactor_is_handled_to_the_end() -> None:
    linker = EventLinker()
    emitter = ReactorEmitter(linker)
    heard: list[int] = []
    linker.subscribe(heard.append, int)

    for number in range(MAX_BATCH * 2 + 1):
        emitter.notify(number)
    await emitter.when_in_flight_below(1)

    assert heard == list(range(MAX_BATCH * 2 + 1))


@ensureDeferred
async def test_what_waits_on_the_installed_reactor_can_be_cancelled() -> None:
    linker = EventLinker()
    emitter = ReactorEmitter(linker)
    started: Deferred[None] = Deferred()

    @linker.on("topic")
    async def wait() -> None:
        started.callback(None)
        await Deferred()

    deferred = emitter.emit("topic")
    await started
    deferred.cancel()

    assert [result.status for result in (await deferred).results] == ["cancelled"]


@ensureDeferred
async def test_context_variables_reach_handlers_on_the_installed_reactor() -> None:
    linker = EventLinker()
    emitter = ReactorEmitter(linker)
    linker.subscribe(name.get, "topic")

    token = name.set("emitting")
    deferred = emitter.emit("topic")
    name.reset(token)

    assert (await deferred).values == ["emitting"]
