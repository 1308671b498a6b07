"""What all emitters share, seen through one that runs handlers inside the call."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import LogEvent, eventAsText
from zope.interface.verify import verifyObject

from tests.core_helpers import Stage, logged, result_of
from txevents import (
    Envelope,
    EventEmitter,
    EventLinker,
    ReactorEmitter,
    Subscription,
    default_linker,
    event,
)
from txevents.emission import Emission
from txevents.interfaces import IEventEmitter


class Immediately(EventEmitter):
    def _process(self, emission: Emission) -> None:
        emission.start()


@event("com.example.broken")
class Broken:
    pass


def refuse(*args: object) -> None:
    raise ValueError("no")


def texts(events: list[LogEvent]) -> list[str]:
    return [eventAsText(event, includeTimestamp=False, includeSystem=False) for event in events]


def test_a_custom_emitter_says_when_handlers_run() -> None:
    linker = EventLinker()
    heard: list[object] = []
    linker.subscribe(heard.append, "topic", (int, int))
    linker.subscribe(lambda *numbers: heard.append(numbers), (int, int))
    emitter = Immediately(linker)

    emitter.notify("topic", 1)
    assert result_of(emitter.emit("topic", 2)).ok
    result_of(emitter.emit_objects(3, 4))

    assert heard == [1, 2, (3, 4)]


def test_a_custom_emitter_cancels_and_stops_as_the_others_do() -> None:
    linker = EventLinker()
    blocked: Deferred[None] = Deferred()
    linker.subscribe(lambda: blocked, "topic")
    deferred = Immediately(linker).emit("topic")
    deferred.cancel()

    linker.subscribe(refuse, "topic", priority=1)
    stopped = Immediately(linker, on_error="stop").emit("topic")

    assert [r.status for r in result_of(deferred).results] == ["cancelled"]
    assert [r.status for r in result_of(stopped).results] == ["failed", "cancelled"]


def test_an_emitter_has_to_say_how_handlers_run() -> None:
    with pytest.raises(TypeError, match="_process"):
        EventEmitter()  # type: ignore[abstract]


def test_the_default_linker_is_the_default() -> None:
    assert Immediately().linker is ReactorEmitter().linker is default_linker


def test_an_empty_linker_of_ones_own_is_not_the_default_one() -> None:
    linker = EventLinker()

    assert ReactorEmitter(linker).linker is linker


@pytest.mark.parametrize("on_error", ["ignore", None, True, "STOP"])
def test_on_error_is_continue_or_stop(on_error: Any) -> None:
    with pytest.raises(ValueError, match='on_error must be "continue" or "stop", not '):
        ReactorEmitter(on_error=on_error)


def test_the_interface_is_provided() -> None:
    assert verifyObject(IEventEmitter, ReactorEmitter())
    assert verifyObject(IEventEmitter, Immediately())


def test_the_linker_may_be_replaced_at_run_time() -> None:
    stage = Stage()
    stage.linker.subscribe(lambda *args: "old", "topic", int)
    replacement = EventLinker()
    replacement.subscribe(lambda *args: "new", "topic", int)
    heard: list[str] = []
    stage.linker.subscribe(lambda *args: heard.append("old"), "topic", int)
    replacement.subscribe(lambda *args: heard.append("new"), "topic", int)
    assert stage.emit("topic").values[0] == stage.emit(1).values[0] == "old"
    before = stage.emitter.emit("topic")

    stage.emitter.linker = replacement

    assert stage.emitter.linker is replacement
    assert stage.emit("topic").values[0] == stage.emit(1).values[0] == "new"
    assert result_of(before).values[0] == "old"
    heard.clear()
    stage.notify("topic")
    stage.notify(1)
    assert heard == ["new", "new"]


@pytest.mark.parametrize(
    ("emitted", "topic"),
    [
        ("orders.placed", "orders.placed"),
        (Broken(), "com.example.broken"),
        (Envelope(id="1", source="/", type="com.example.sent"), "com.example.sent"),
        (KeyError("key"), "KeyError"),
    ],
)
@pytest.mark.parametrize("way", ["emit", "notify"])
@pytest.mark.parametrize("on_error", ["continue", "stop"])
def test_a_failure_is_one_log_event_with_its_fields(
    emitted: object, topic: str, way: str, on_error: str
) -> None:
    stage = Stage(on_error=on_error)
    error = ValueError("no")

    def raise_it(*args: object) -> None:
        raise error

    subscription = stage.linker.subscribe(raise_it, ..., name="my handler")

    with logged() as events:
        getattr(stage, way)(emitted)

    [logged_event] = events
    assert logged_event["event"] is emitted
    assert logged_event["subscription"] is subscription
    assert logged_event["topic"] == topic
    assert logged_event["log_failure"].value is error
    assert texts(events)[0].startswith(f"my handler failed on {topic}\nTraceback")
    assert "in raise_it" in texts(events)[0]


@pytest.mark.parametrize("text", ["100 %", "%s %(x)d", "{} {event}", "{0.__class__}", "two\nlines"])
def test_a_failure_is_logged_whole_whatever_its_text(text: str) -> None:
    stage = Stage()

    def raise_it(*args: object) -> None:
        raise ValueError(text)

    stage.linker.subscribe(raise_it, "#", name=text)

    with logged() as events:
        stage.notify(text)

    assert len(events) == 1
    assert texts(events)[0].startswith(f"{text} failed on {text}\nTraceback")
    assert f"ValueError: {text}" in texts(events)[0]


def test_a_failing_callback_is_one_more_log_event() -> None:
    stage = Stage()
    stage.linker.subscribe(refuse, "topic", name="my handler", on_failure=refuse)

    with logged() as events:
        stage.notify("topic")

    assert [text.split("\n")[0] for text in texts(events)] == [
        "my handler failed on topic",
        "callback refuse of my handler failed on topic",
    ]


def test_nothing_is_logged_when_nothing_fails() -> None:
    stage = Stage()
    stage.linker.subscribe(lambda: None, "topic", where=lambda: True, on_success=lambda r: None)

    with logged() as events:
        stage.notify("topic")
        stage.emit("nobody hears this")

    assert events == []


@pytest.mark.parametrize("way", ["emit", "notify"])
@pytest.mark.parametrize("on_error", ["continue", "stop"])
def test_the_hook_of_the_emitter_hears_each_failure(way: str, on_error: str) -> None:
    told: list[Any] = []
    stage = Stage(on_error=on_error, on_failure=lambda *args: told.append(args))
    error = ValueError("no")

    async def raise_it(*args: object) -> None:
        raise error

    subscription = stage.linker.subscribe(raise_it, "topic")

    getattr(stage, way)("topic", 1)

    assert told == [(error, "topic", subscription)]


@pytest.mark.parametrize("way", ["emit", "notify"])
def test_a_hook_that_fails_is_logged_and_stops_nothing(way: str) -> None:
    def hook(exception: BaseException, event: object, subscription: Subscription) -> None:
        raise KeyError("hook")

    stage = Stage(on_failure=hook)
    heard: list[str] = []
    stage.linker.subscribe(refuse, "topic")
    stage.linker.subscribe(lambda: heard.append("other"), "topic")

    with logged() as events:
        getattr(stage, way)("topic")

    assert heard == ["other"]
    assert [text.split("\n")[0] for text in texts(events)][1:] == [
        "the emitter's on_failure hook failed on topic"
    ]
    assert [event["log_failure"].type for event in events] == [ValueError, KeyError]


def test_an_emitter_without_a_linker_in_its_place_is_refused() -> None:
    with pytest.raises(TypeError, match="an emitter needs an EventLinker, not "):
        ReactorEmitter(Clock())  # type: ignore[arg-type]


def test_a_hook_that_would_have_to_be_waited_for_is_refused() -> None:
    async def later(exception: BaseException, event: object, subscription: Subscription) -> None:
        """Would never run."""

    with pytest.raises(TypeError, match="on_failure is not waited for"):
        ReactorEmitter(on_failure=later)
