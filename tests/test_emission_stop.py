"""`on_error="stop"`: the first failure of an event's handlers cancels the others."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred

from tests.core_helpers import Blocked, Stage, emitting, logged, refuse, result_of, statuses
from txevents import Outcome


def way_of(stage: Stage, way: str) -> Deferred[Outcome] | None:
    deferred: Deferred[Outcome] | None = getattr(stage.emitter, way)("topic")
    stage.clock.advance(0)
    return deferred


@pytest.mark.parametrize("way", ["emit", "notify"])
def test_stop_on_error_starts_no_handler_after_the_failure(way: str) -> None:
    stage = Stage(on_error="stop")
    heard: list[str] = []
    stage.linker.subscribe(lambda: heard.append("before"), "topic")
    stage.linker.subscribe(refuse, "topic")
    stage.linker.subscribe(lambda: heard.append("after"), "topic")

    deferred = way_of(stage, way)

    assert heard == ["before"]
    assert stage.emitter.in_flight == 0
    if deferred:
        assert statuses(result_of(deferred)) == ["done", "failed", "cancelled"]


@pytest.mark.parametrize("way", ["emit", "notify"])
def test_stop_on_error_cancels_the_handlers_that_run(way: str) -> None:
    stage = Stage(on_error="stop")
    first, second, third = Blocked(), Blocked(), Blocked(swallows=True)
    for handler in (first, second, third):
        stage.linker.subscribe(handler, "topic")
    deferred = way_of(stage, way)

    with logged() as events:
        second.deferred.errback(ValueError("late"))

    assert first.seen == third.seen == ["started", "cancelled"]
    assert len(events) == 1
    assert stage.emitter.in_flight == 0
    if deferred:
        assert statuses(result_of(deferred)) == ["cancelled", "failed", "done"]


def test_stop_on_error_waits_for_a_handler_that_goes_on() -> None:
    stage = Stage(on_error="stop")
    cleaning: Deferred[None] = Deferred()

    @stage.linker.on("topic")
    async def stubborn() -> str:
        try:
            await Deferred()
        except CancelledError:
            await cleaning
        return "cleaned"

    stage.linker.subscribe(refuse, "topic")
    deferred = emitting(stage)

    assert not deferred.called
    cleaning.callback(None)
    assert result_of(deferred).values == ["cleaned"]


def test_stop_on_error_cancels_a_handler_that_caused_the_failure_of_another_and_waits() -> None:
    stage = Stage(on_error="stop")
    first, second = Blocked(), Blocked()
    stage.linker.subscribe(first, "topic")

    @stage.linker.on("topic")
    async def cause() -> None:
        first.deferred.errback(ValueError("caused"))
        await second()

    deferred = emitting(stage)

    assert second.seen == ["started", "cancelled"]
    assert statuses(result_of(deferred)) == ["failed", "cancelled"]


@pytest.mark.parametrize("way", ["emit", "notify"])
def test_stop_on_error_does_not_concern_other_events(way: str) -> None:
    stage = Stage(on_error="stop")
    heard: list[int] = []

    @stage.linker.on("topic")
    def first(number: int) -> None:
        if number == 0:
            raise ValueError("no")

    stage.linker.subscribe(heard.append, "topic")
    for number in range(3):
        getattr(stage.emitter, way)("topic", number)
    stage.clock.advance(0)

    assert heard == [1, 2]


@pytest.mark.parametrize("policy", [{"where": refuse}, {"where": refuse, "on_failure": print}])
def test_a_failing_predicate_is_an_error_to_stop_on(policy: dict[str, Any]) -> None:
    stage = Stage(on_error="stop")
    stage.linker.subscribe(print, "topic", **policy)
    stage.linker.subscribe(print, "topic")

    assert statuses(stage.emit("topic")) == ["failed", "cancelled"]


def test_an_error_in_a_callback_does_not_stop_the_other_handlers() -> None:
    stage = Stage(on_error="stop")
    stage.linker.subscribe(lambda: 1, "topic", on_success=refuse)
    stage.linker.subscribe(lambda: 2, "topic")

    assert stage.emit("topic").values == [1, 2]
