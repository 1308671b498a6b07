"""`timeout`: how long an attempt of a handler may take."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextvars import ContextVar
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred, inlineCallbacks, succeed
from twisted.internet.task import deferLater

from tests.core_helpers import Blocked, Stage, emitting, logged, result_of, statuses
from txevents import HandlerTimeout, InvalidHandler, Outcome, Retry, TxEventsError

REQUEST: ContextVar[str] = ContextVar("REQUEST", default="none")


async def wait_in_a_coroutine() -> None:
    await Deferred()


@inlineCallbacks
def wait_in_inline_callbacks() -> Generator[Deferred[None], None, None]:
    yield Deferred()


def wait_with_a_deferred() -> Deferred[None]:
    return Deferred()


def wait_with_a_deferred_that_has_a_canceller() -> Deferred[None]:
    return Deferred(lambda deferred: deferred.errback(ConnectionError("cut off")))


def end_when_cancelled() -> Deferred[str]:
    return Deferred(lambda deferred: deferred.callback("partly"))


WAITING = [wait_in_a_coroutine, wait_in_inline_callbacks, wait_with_a_deferred]


@pytest.mark.parametrize("handler", WAITING)
@pytest.mark.parametrize("way", ["emit", "notify"])
def test_a_handler_that_takes_longer_fails(handler: Callable[[], object], way: str) -> None:
    stage = Stage()
    failed: list[Exception] = []
    subscription = stage.linker.subscribe(handler, "topic", timeout=5, on_failure=failed.append)
    deferred = getattr(stage.emitter, way)("topic")
    stage.clock.advance(0)

    stage.clock.advance(4.9)
    assert (failed, stage.emitter.in_flight) == ([], 1)
    with logged() as events:
        stage.clock.advance(0.1)

    assert [type(exc) for exc in failed] == [HandlerTimeout]
    assert str(failed[0]) == "the handler took longer than 5 s"
    assert [event["log_failure"].value for event in events] == failed
    assert (subscription.calls, subscription.failures) == (1, 1)
    assert stage.emitter.in_flight == 0
    assert stage.clock.getDelayedCalls() == []
    if deferred is not None:
        outcome = result_of(deferred)
        assert (statuses(outcome), outcome.exceptions) == (["failed"], failed)


def test_a_handler_timeout_is_a_timeout_error() -> None:
    assert issubclass(HandlerTimeout, TimeoutError)
    assert issubclass(HandlerTimeout, TxEventsError)


def test_what_the_handler_waits_for_is_cancelled() -> None:
    stage = Stage()
    blocked = Blocked()
    stage.linker.subscribe(blocked, "topic", timeout=5)
    deferred = emitting(stage)

    stage.clock.advance(5)

    assert blocked.seen == ["started", "cancelled"]
    assert statuses(result_of(deferred)) == ["failed"]


def test_a_canceller_may_give_another_reason() -> None:
    stage = Stage()
    stage.linker.subscribe(wait_with_a_deferred_that_has_a_canceller, "topic", timeout=5)
    deferred = emitting(stage)

    stage.clock.advance(5)

    assert [repr(exc) for exc in result_of(deferred).exceptions] == ["ConnectionError('cut off')"]


def test_a_canceller_may_give_a_result() -> None:
    stage = Stage()
    stage.linker.subscribe(end_when_cancelled, "topic", timeout=5)
    deferred = emitting(stage)

    stage.clock.advance(5)

    assert result_of(deferred).values == ["partly"]


def test_a_handler_that_swallows_the_cancelling_and_ends_is_done() -> None:
    stage = Stage()
    stage.linker.subscribe(Blocked(swallows=True), "topic", timeout=5)
    deferred = emitting(stage)

    stage.clock.advance(5)

    outcome = result_of(deferred)
    assert (outcome.values, outcome.ok) == (["swallowed"], True)


def test_a_handler_that_fails_as_it_is_cancelled_has_failed_with_that() -> None:
    stage = Stage()
    error = ValueError("in clean-up")
    stage.linker.subscribe(Blocked(raises=error), "topic", timeout=5)
    deferred = emitting(stage)

    stage.clock.advance(5)

    assert result_of(deferred).exceptions == [error]


@pytest.mark.parametrize("in_time", [False, True])
def test_a_handler_that_swallows_the_cancelling_and_goes_on_is_waited_for(in_time: bool) -> None:
    stage = Stage()

    async def stubborn() -> str:
        try:
            await Deferred()
        except CancelledError:
            await deferLater(stage.clock, 60)
            if not in_time:
                raise
        return "after all"

    stage.linker.subscribe(stubborn, "topic", timeout=5)
    deferred = emitting(stage)
    stage.clock.advance(5)

    assert not deferred.called
    assert stage.emitter.in_flight == 1
    stage.clock.advance(60)
    outcome = result_of(deferred)
    assert statuses(outcome) == (["done"] if in_time else ["failed"])
    assert [type(exc) for exc in outcome.exceptions] == [HandlerTimeout] * (not in_time)


def finish_at_once() -> str:
    return "value"


async def finish_in_a_coroutine() -> str:
    return "value"


def finish_with_a_deferred() -> Deferred[str]:
    return succeed("value")


@pytest.mark.parametrize("handler", [finish_at_once, finish_in_a_coroutine, finish_with_a_deferred])
def test_a_handler_that_is_done_at_once_leaves_no_delayed_call(
    handler: Callable[[], object],
) -> None:
    stage = Stage()
    stage.linker.subscribe(handler, "topic", timeout=5)

    assert stage.emit("topic").values == ["value"]
    assert stage.clock.getDelayedCalls() == []


@pytest.mark.parametrize("fails", [False, True])
def test_a_handler_that_is_done_in_time_leaves_no_delayed_call(fails: bool) -> None:
    stage = Stage()
    blocked = Blocked()
    stage.linker.subscribe(blocked, "topic", timeout=5)
    deferred = emitting(stage)
    stage.clock.advance(4)
    assert len(stage.clock.getDelayedCalls()) == 1

    if fails:
        blocked.deferred.errback(ValueError("no"))
    else:
        blocked.deferred.callback("value")

    assert statuses(result_of(deferred)) == ["failed" if fails else "done"]
    assert stage.clock.getDelayedCalls() == []


def test_a_plain_handler_cannot_be_stopped() -> None:
    stage = Stage()
    stage.linker.subscribe(lambda: stage.clock.rightNow + 100, "topic", timeout=0.001)

    assert stage.emit("topic").values == [100]


def test_a_handler_that_cancels_itself_has_not_timed_out() -> None:
    stage = Stage()

    async def give_up() -> None:
        await deferLater(stage.clock, 1)
        raise CancelledError

    stage.linker.subscribe(give_up, "topic", timeout=5)
    deferred = emitting(stage)
    stage.clock.advance(1)

    assert [type(exc) for exc in result_of(deferred).exceptions] == [CancelledError]


def test_a_handler_is_cancelled_with_the_emission_and_has_not_timed_out() -> None:
    stage = Stage()
    blocked = Blocked()
    stage.linker.subscribe(blocked, "topic", timeout=5)
    deferred = emitting(stage)

    deferred.cancel()

    assert statuses(result_of(deferred)) == ["cancelled"]
    assert blocked.seen == ["started", "cancelled"]
    assert stage.clock.getDelayedCalls() == []


def test_each_attempt_has_the_whole_time() -> None:
    stage = Stage()
    times: list[float] = []

    async def slow() -> str:
        times.append(stage.clock.seconds())
        await deferLater(stage.clock, 9 if len(times) < 3 else 4)
        return "value"

    subscription = stage.linker.subscribe(slow, "topic", timeout=5, retry=Retry(jitter=0))
    deferred = stage.emitter.emit("topic")
    stage.clock.pump([0, *[1] * 30])

    assert times == [0, 6, 13]
    assert result_of(deferred).values == ["value"]
    assert subscription.last_error == "HandlerTimeout: the handler took longer than 5 s"
    assert stage.clock.getDelayedCalls() == []


@pytest.mark.parametrize("kind", [HandlerTimeout, TimeoutError])
def test_timeouts_may_be_what_is_given_up_on(kind: type[Exception]) -> None:
    stage = Stage()
    stage.linker.subscribe(
        wait_in_a_coroutine, "topic", timeout=5, retry=Retry(retry_on=OSError, give_up_on=kind)
    )
    deferred = emitting(stage)
    stage.clock.advance(5)

    assert [type(exc) for exc in result_of(deferred).exceptions] == [HandlerTimeout]


def test_a_cancelled_emission_is_not_tried_again_by_a_handler_that_has_timed_out() -> None:
    stage = Stage()
    seen: list[str] = []

    async def stubborn() -> None:
        seen.append("started")
        try:
            await Deferred()
        except CancelledError:
            seen.append("timed out")
            await Deferred()

    stage.linker.subscribe(stubborn, "topic", timeout=5, retry=Retry())
    deferred = emitting(stage)
    stage.clock.advance(5)
    deferred.cancel()

    assert result_of(deferred).results[0].status == "failed"
    assert seen == ["started", "timed out"]
    assert stage.clock.getDelayedCalls() == []


def test_time_in_the_queue_does_not_count() -> None:
    stage = Stage()

    async def slow(number: int) -> int:
        await deferLater(stage.clock, 4)
        return number

    stage.linker.subscribe(slow, "topic", timeout=5, concurrency=1)
    deferreds = [stage.emitter.emit("topic", number) for number in range(3)]
    stage.clock.pump([0, 4, 4, 4])

    assert [result_of(deferred).values for deferred in deferreds] == [[0], [1], [2]]


@pytest.mark.parametrize("policy", [{"timeout": 5}, {"timeout": 5, "retry": Retry(jitter=0)}])
def test_a_handler_sees_the_context_of_the_event_and_its_own_changes(
    policy: dict[str, Any],
) -> None:
    stage = Stage()
    seen: list[str] = []

    @stage.linker.on("topic", **policy)
    async def handler() -> None:
        for number in range(2):
            seen.append(REQUEST.get())
            token = REQUEST.set(f"{REQUEST.get()}+{number}")
            await deferLater(stage.clock, 1)
            seen.append(REQUEST.get())
            REQUEST.reset(token)
        if len(seen) == 4 and "retry" in policy:
            raise ValueError

    def emit(request: str) -> Deferred[Outcome]:
        token = REQUEST.set(request)
        try:
            return stage.emitter.emit("topic")
        finally:
            REQUEST.reset(token)

    deferred = emit("r")
    stage.clock.pump([0, *[1] * 10])

    assert seen == ["r", "r+0", "r", "r+1"] * (2 if "retry" in policy else 1)
    assert result_of(deferred).ok
    assert REQUEST.get() == "none"


@pytest.mark.parametrize("timeout", [0, -1, "5", True, float("inf"), float("nan")])
def test_a_timeout_is_a_positive_number(timeout: Any) -> None:
    stage = Stage()

    with pytest.raises(InvalidHandler, match=f"timeout must be a positive number, not {timeout!r}"):
        stage.linker.subscribe(print, "topic", timeout=timeout)

    assert stage.linker.subscriptions() == []
