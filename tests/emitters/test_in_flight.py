"""How many events a `ReactorEmitter` has in flight, and waiting until they are fewer."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred

from tests.core_helpers import Stage, result_of

WAYS = ["emit", "notify"]


def waiting(stage: Stage, *keys: Any) -> list[Deferred[None]]:
    """Let a handler wait on one more Deferred for each event that it hears."""
    started: list[Deferred[None]] = []

    async def wait(*args: object) -> None:
        started.append(Deferred())
        await started[-1]

    stage.linker.subscribe(wait, *keys)
    return started


def test_what_waits_and_what_has_not_finished_is_in_flight() -> None:
    stage = Stage()
    started = waiting(stage, "topic")
    stage.linker.subscribe(lambda: None, "topic")
    assert stage.emitter.in_flight == 0

    stage.emitter.notify("topic")
    stage.emitter.emit("topic")
    assert stage.emitter.in_flight == 2
    stage.clock.advance(0)
    assert stage.emitter.in_flight == 2
    stage.emitter.notify("topic")
    assert stage.emitter.in_flight == 3
    stage.clock.advance(0)

    for left, deferred in zip((2, 1, 0), started, strict=True):
        deferred.callback(None)
        assert stage.emitter.in_flight == left


def test_each_waiting_handler_of_a_notification_is_in_flight() -> None:
    stage = Stage()
    started = waiting(stage, "topic") + waiting(stage, "topic")
    stage.notify("topic")
    assert stage.emitter.in_flight == 2
    assert started == []

    emission = stage.emitter.emit("topic")
    stage.clock.advance(0)
    assert stage.emitter.in_flight == 3
    emission.cancel()
    assert stage.emitter.in_flight == 2


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("on_error", ["continue", "stop"])
def test_a_cancelled_or_failed_handler_is_not_in_flight(way: str, on_error: str) -> None:
    stage = Stage(on_error=on_error)
    started = waiting(stage, "topic")
    for _ in range(2):
        getattr(stage.emitter, way)("topic")
    stage.clock.advance(0)

    started[0].errback(ValueError("no"))
    started[1].cancel()

    assert stage.emitter.in_flight == 0


def test_one_is_told_at_once_when_little_is_in_flight() -> None:
    stage = Stage()
    assert result_of(stage.emitter.when_in_flight_below(1)) is None

    waiting(stage, "topic")
    stage.notify("topic")

    assert result_of(stage.emitter.when_in_flight_below(2)) is None


@pytest.mark.parametrize("way", WAYS)
def test_one_is_told_when_less_is_in_flight(way: str) -> None:
    stage = Stage()
    started = waiting(stage, "topic")
    for _ in range(3):
        getattr(stage.emitter, way)("topic")
    below = {limit: stage.emitter.when_in_flight_below(limit) for limit in (1, 3, 2)}
    stage.clock.advance(0)
    assert not any(deferred.called for deferred in below.values())

    for left, deferred in zip((2, 1, 0), started, strict=True):
        deferred.callback(None)
        assert {limit for limit, told in below.items() if told.called} == set(range(left + 1, 4))


def test_one_is_told_when_the_queue_has_been_dispatched() -> None:
    stage = Stage()
    stage.linker.subscribe(lambda: None, "topic")
    stage.emitter.notify("topic")
    told = stage.emitter.when_in_flight_below(1)
    assert not told.called

    stage.clock.advance(0)

    assert result_of(told) is None


def test_who_is_told_may_fill_up_again() -> None:
    stage = Stage()
    started = waiting(stage, "topic")
    stage.notify("topic")
    first = stage.emitter.when_in_flight_below(1)
    first.addCallback(lambda _: stage.emitter.notify("topic"))
    second = stage.emitter.when_in_flight_below(1)

    started[0].callback(None)

    assert (first.called, second.called) == (True, False)
    stage.clock.advance(0)
    started[1].callback(None)
    assert second.called


def test_who_is_told_may_ask_again() -> None:
    stage = Stage()
    started = waiting(stage, "topic")
    stage.notify("topic")
    asked_again: list[Deferred[None]] = []
    first = stage.emitter.when_in_flight_below(1)
    first.addCallback(lambda _: asked_again.append(stage.emitter.when_in_flight_below(1)))
    second = stage.emitter.when_in_flight_below(1)

    started[0].callback(None)

    assert [d.called for d in (first, second, *asked_again)] == [True, True, True]
    assert stage.emitter.in_flight == 0


def test_who_is_told_may_stop_another_one_from_waiting() -> None:
    stage = Stage()
    started = waiting(stage, "topic")
    stage.notify("topic")
    first = stage.emitter.when_in_flight_below(1)
    second = stage.emitter.when_in_flight_below(1)
    third = stage.emitter.when_in_flight_below(1)
    cancelled: list[object] = []
    second.addErrback(lambda failure: cancelled.append(failure.type))
    first.addCallback(lambda _: second.cancel())

    started[0].callback(None)

    assert cancelled == [CancelledError]
    assert result_of(third) is None


def test_waiting_for_less_in_flight_can_be_cancelled() -> None:
    stage = Stage()
    started = waiting(stage, "topic")
    stage.notify("topic")
    told = stage.emitter.when_in_flight_below(1)
    other = stage.emitter.when_in_flight_below(1)
    cancelled: list[object] = []
    told.addErrback(lambda failure: cancelled.append(failure.type))

    told.cancel()
    started[0].callback(None)

    assert cancelled == [CancelledError]
    assert result_of(other) is None
