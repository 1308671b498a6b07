"""The outcome of an emission, and how one ends early."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred

from tests.core_helpers import Blocked, Stage, emitting, logged, refuse, result_of, statuses


def test_an_outcome_has_a_result_for_each_subscription_in_order() -> None:
    stage = Stage()
    subscriptions = [
        stage.linker.subscribe(lambda: "value", "topic"),
        stage.linker.subscribe(refuse, "topic"),
        stage.linker.subscribe(print, "topic", where=lambda: False),
    ]

    outcome = stage.emit("topic")

    assert outcome.event == "topic"
    assert [result.subscription for result in outcome.results] == subscriptions
    assert statuses(outcome) == ["done", "failed", "skipped"]
    assert [result.value for result in outcome.results] == ["value", None, None]
    assert outcome.values == ["value"]
    assert outcome.exceptions == [outcome.results[1].exception]
    assert not outcome.ok


def test_the_outcome_of_an_event_that_nobody_hears_is_good() -> None:
    stage = Stage()
    deferred = stage.emitter.emit("topic")
    assert not deferred.called

    stage.clock.advance(0)

    outcome = result_of(deferred)
    assert (outcome.ok, outcome.results, outcome.values) == (True, (), [])
    outcome.raise_for_failures()


def test_raise_for_failures_raises_all_of_them() -> None:
    stage = Stage()
    errors = [ValueError("one"), KeyError("two"), OSError("three")]

    def callback(result: object) -> None:
        raise errors[2]

    async def first() -> None:
        raise errors[0]

    def second() -> None:
        raise errors[1]

    stage.linker.subscribe(first, "topic")
    stage.linker.subscribe(lambda: "good", "topic")
    stage.linker.subscribe(second, "topic", on_failure=callback)
    outcome = stage.emit("topic")

    with pytest.raises(
        ExceptionGroup, match=r"2 of 3 handlers failed on topic, the first one .*first: ValueError"
    ) as caught:
        outcome.raise_for_failures()
    assert list(caught.value.exceptions) == outcome.exceptions == errors


def test_raise_for_failures_raises_what_is_no_exception_too() -> None:
    stage = Stage()
    blocked = Blocked()
    stage.linker.subscribe(blocked, "topic")
    deferred = emitting(stage)

    with logged() as events:
        blocked.deferred.errback(SystemExit(3))

    outcome = result_of(deferred)
    assert statuses(outcome) == ["failed"]
    assert [event["log_failure"].type for event in events] == [SystemExit]
    with pytest.raises(BaseExceptionGroup) as caught:
        outcome.raise_for_failures()
    assert not isinstance(caught.value, ExceptionGroup)


def test_the_deferred_never_fails_because_of_handlers() -> None:
    stage = Stage()
    blocked = Blocked()
    stage.linker.subscribe(refuse, "topic", where=refuse, on_failure=refuse)
    stage.linker.subscribe(blocked, "topic", on_failure=refuse)
    failures: list[object] = []
    deferred = emitting(stage)
    deferred.addErrback(failures.append)
    blocked.deferred.errback(ValueError("late"))

    assert failures == []
    assert len(result_of(deferred).exceptions) == 4


def test_cancelling_reaches_the_running_handlers() -> None:
    stage = Stage()
    blocked, ended = Blocked(), Blocked()
    failed: list[object] = []
    stage.linker.subscribe(blocked, "topic", on_failure=failed.append, on_success=failed.append)
    stage.linker.subscribe(ended, "topic")
    stage.linker.subscribe(lambda: "quick", "topic")
    deferred = emitting(stage)
    ended.deferred.callback("ended")

    with logged() as events:
        deferred.cancel()

    outcome = result_of(deferred)
    assert statuses(outcome) == ["cancelled", "done", "done"]
    assert isinstance(outcome.results[0].exception, CancelledError)
    assert not outcome.ok
    assert blocked.seen == ["started", "cancelled"]
    assert (failed, events) == ([], [])
    assert stage.emitter.in_flight == 0


def test_cancelling_twice_and_after_the_end_does_nothing() -> None:
    stage = Stage()
    blocked = Blocked()
    stage.linker.subscribe(blocked, "topic")
    deferred = emitting(stage)

    deferred.cancel()
    deferred.cancel()

    assert statuses(result_of(deferred)) == ["cancelled"]
    assert blocked.seen == ["started", "cancelled"]


def test_cancelling_a_queued_emission_starts_no_handler() -> None:
    stage = Stage()
    heard: list[int] = []
    stage.linker.subscribe(heard.append, "topic")
    first, second = (stage.emitter.emit("topic", number) for number in range(2))

    first.cancel()

    assert statuses(result_of(first)) == ["cancelled"]
    assert not second.called
    stage.clock.advance(0)
    assert heard == [1]
    assert stage.emitter.in_flight == 0


def test_cancelling_a_queued_emission_tells_that_no_handler_was_started() -> None:
    stage = Stage()
    stage.linker.subscribe(print, "topic")
    stage.linker.subscribe(print, "topic")
    deferred = stage.emitter.emit("topic")

    deferred.cancel()
    stage.clock.advance(0)

    outcome = result_of(deferred)
    assert statuses(outcome) == ["cancelled", "cancelled"]
    assert [result.exception for result in outcome.results] == [None, None]
    assert not outcome.ok


def test_a_handler_that_swallows_its_cancellation_and_ends_is_done() -> None:
    stage = Stage()
    stage.linker.subscribe(Blocked(swallows=True), "topic")
    deferred = emitting(stage)

    deferred.cancel()

    assert result_of(deferred).values == ["swallowed"]


def test_a_handler_that_fails_while_it_is_cancelled_has_failed() -> None:
    stage = Stage()
    error = ValueError("in clean-up")
    stage.linker.subscribe(Blocked(raises=error), "topic")
    deferred = emitting(stage)

    with logged() as events:
        deferred.cancel()

    assert result_of(deferred).exceptions == [error]
    assert [event["log_failure"].value for event in events] == [error]


@pytest.mark.parametrize("fails", [False, True])
def test_a_handler_that_goes_on_after_its_cancellation_is_left_to_itself(fails: bool) -> None:
    stage = Stage()
    cleaning: Deferred[None] = Deferred()
    seen: list[str] = []

    @stage.linker.on("topic")
    async def stubborn() -> None:
        try:
            await Deferred()
        except CancelledError:
            await cleaning
            seen.append("cleaned")
            if fails:
                raise ValueError("late") from None

    deferred = emitting(stage)
    deferred.cancel()

    outcome = result_of(deferred)
    assert statuses(outcome) == ["cancelled"]
    with logged() as events:
        cleaning.callback(None)
    assert seen == ["cleaned"]
    assert len(events) == fails
    assert statuses(outcome) == ["cancelled"]


def test_a_handler_may_raise_cancelled_error_of_its_own() -> None:
    stage = Stage()

    async def give_up() -> None:
        raise CancelledError

    stage.linker.subscribe(give_up, "topic")

    with logged() as events:
        assert statuses(stage.emit("topic")) == ["failed"]
    assert len(events) == 1


def test_a_callback_is_cancelled_with_the_emission() -> None:
    stage = Stage()
    blocked: Deferred[None] = Deferred()
    stage.linker.subscribe(lambda: "value", "topic", on_success=lambda result: blocked)
    deferred = emitting(stage)

    deferred.cancel()

    result = result_of(deferred).results[0]
    assert (result.status, result.value) == ("done", "value")
    assert isinstance(result.callback_exception, CancelledError)


def test_a_handler_may_cancel_the_emission_it_is_called_in() -> None:
    stage = Stage()
    after = Blocked()

    @stage.linker.on("topic")
    def cancel() -> None:
        deferred.cancel()

    stage.linker.subscribe(after, "topic")

    deferred = stage.emitter.emit("topic")
    stage.clock.advance(0)

    assert statuses(result_of(deferred)) == ["cancelled", "cancelled"]
    assert after.seen == []
    assert stage.emitter.in_flight == 0


def test_a_handler_that_cancels_its_emission_and_waits_is_cancelled() -> None:
    stage = Stage()
    blocked = Blocked()

    @stage.linker.on("topic")
    async def cancel_and_wait() -> None:
        deferred.cancel()
        await blocked()

    deferred = stage.emitter.emit("topic")
    stage.clock.advance(0)

    assert blocked.seen == ["started", "cancelled"]
    assert statuses(result_of(deferred)) == ["cancelled"]


@pytest.mark.parametrize("policy", [{}, {"where": lambda: True}])
@pytest.mark.parametrize("asynchronous", [False, True])
def test_system_exit_passes_through_and_the_outcome_tells(
    policy: dict[str, Any], asynchronous: bool
) -> None:
    stage = Stage()
    blocked = Blocked()

    def leave() -> None:
        raise SystemExit(3)

    async def leave_at_once() -> None:
        raise SystemExit(3)

    stage.linker.subscribe(blocked, "topic")
    stage.linker.subscribe(leave_at_once if asynchronous else leave, "topic", **policy)
    stage.linker.subscribe(print, "topic")
    deferred = stage.emitter.emit("topic")

    with pytest.raises(SystemExit):
        stage.clock.advance(0)

    outcome = result_of(deferred)
    assert statuses(outcome) == ["cancelled", "failed", "cancelled"]
    assert blocked.seen == ["started", "cancelled"]
    assert stage.emitter.in_flight == 0
