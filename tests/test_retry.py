"""`retry`: when a failed handler is tried again, and when not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.logger import LogLevel

from tests.core_helpers import Blocked, Stage, emitting, logged, result_of, statuses
from txevents import EventLinker, InvalidHandler, Permanent, Retry, RetryAfter, UnknownName


class Failing:
    """A handler that raises what it is given, one after another, then returns `"done"`."""

    def __init__(self, stage: Stage, *exceptions: BaseException) -> None:
        self._clock = stage.clock
        self._exceptions = list(exceptions)
        self.times: list[float] = []

    def __call__(self, *args: object) -> str:
        self.times.append(self._clock.seconds())
        if self._exceptions:
            raise self._exceptions.pop(0)
        return "done"


class FailingAtOnce(Failing):
    async def __call__(self, *args: object) -> str:  # type: ignore[override]
        return super().__call__(*args)


class FailingLater(Failing):
    """Each attempt takes no time, but a turn of the clock."""

    async def __call__(self, *args: object) -> str:  # type: ignore[override]
        await deferLater(self._clock, 0)
        return super().__call__(*args)


class FailingDeferred(Failing):
    def __call__(self, *args: object) -> Deferred[str]:  # type: ignore[override]
        return deferLater(self._clock, 0, super().__call__, *args)


KINDS = [Failing, FailingAtOnce, FailingLater, FailingDeferred]


def errors(number: int) -> list[ValueError]:
    return [ValueError(n) for n in range(number)]


def run(stage: Stage, seconds: int = 100) -> None:
    """Let time pass in quarters of a second: `Clock.advance` would take one big step."""
    stage.clock.pump([0, *[0.25] * (4 * seconds)])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", ["emit", "notify"])
def test_a_failed_handler_is_tried_again_after_ever_longer_delays(
    kind: type[Failing], way: str
) -> None:
    stage = Stage()
    handler = kind(stage, *errors(5))
    succeeded: list[str] = []
    failed: list[Exception] = []
    stage.linker.subscribe(
        handler,
        "topic",
        retry=Retry(attempts=10, delay=0.5, factor=3, max_delay=8, jitter=0),
        on_success=succeeded.append,
        on_failure=failed.append,
    )

    deferred = getattr(stage.emitter, way)("topic")
    run(stage)

    assert handler.times == [0, 0.5, 2, 6.5, 14.5, 22.5]
    assert (succeeded, failed) == (["done"], [])
    assert stage.emitter.in_flight == 0
    if deferred is not None:
        outcome = result_of(deferred)
        assert (outcome.values, outcome.ok) == (["done"], True)


def test_delays_do_not_grow_with_a_factor_of_one_and_shrink_with_a_smaller_one() -> None:
    assert [Retry(jitter=0, attempts=9, factor=1).delay_after(n, ValueError()) for n in (1, 8)] == [
        1,
        1,
    ]
    assert Retry(jitter=0, attempts=9, factor=0.5).delay_after(3, ValueError()) == 0.25


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", ["emit", "notify"])
def test_the_last_failure_alone_is_told(kind: type[Failing], way: str) -> None:
    stage = Stage()
    raised = errors(5)
    told: list[Any] = []
    failed: list[Exception] = []
    stage.emitter.on_failure = lambda *args: told.append(args)
    subscription = stage.linker.subscribe(
        kind(stage, *raised), "topic", retry=Retry(jitter=0), on_failure=failed.append, name="h"
    )

    with logged() as events:
        deferred = getattr(stage.emitter, way)("topic")
        run(stage)

    assert failed == [raised[2]]
    assert told == [(raised[2], "topic", subscription)]
    assert [event["log_level"] for event in events] == [LogLevel.warn] * 2 + [LogLevel.critical]
    assert [(event["attempt"], event["delay"], event["reason"]) for event in events[:2]] == [
        (1, 1, "ValueError: 0"),
        (2, 2, "ValueError: 1"),
    ]
    assert {event["subscription"] for event in events} == {subscription}
    assert events[2]["log_failure"].value is raised[2]
    if deferred is not None:
        outcome = result_of(deferred)
        assert (statuses(outcome), outcome.exceptions) == (["failed"], [raised[2]])


def test_the_log_says_when_a_handler_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    stage = Stage()
    stage.linker.subscribe(
        Failing(stage, ValueError("no")), "topic", retry=Retry(delay=1 / 3, jitter=0), name="mail"
    )

    stage.emitter.emit("topic")
    run(stage)

    assert [record.getMessage() for record in caplog.records] == [
        "mail failed in attempt 1, again in 0.333 s: ValueError: no"
    ]


def test_a_subscription_counts_each_attempt_and_each_failure() -> None:
    stage = Stage()
    subscription = stage.linker.subscribe(
        Failing(stage, *errors(4)), "topic", retry=Retry(jitter=0)
    )
    seen = []

    for _ in range(2):
        stage.emitter.emit("topic")
        run(stage)
        seen.append((subscription.calls, subscription.failures, subscription.last_error))

    assert seen == [(3, 3, "ValueError: 2"), (5, 4, "ValueError: 3")]


def test_one_attempt_is_none_more() -> None:
    stage = Stage()
    handler = Failing(stage, *errors(1))
    stage.linker.subscribe(handler, "topic", retry=Retry(attempts=1))

    assert statuses(stage.emit("topic")) == ["failed"]
    assert stage.clock.getDelayedCalls() == []


@given(
    st.random_module(),
    st.floats(0, 1, exclude_max=True),
    st.floats(0.001, 1000),
    st.integers(1, 20),
)
def test_jitter_varies_a_delay_by_its_share(
    random: object, jitter: float, delay: float, attempt: int
) -> None:
    retry = Retry(attempts=99, delay=delay, factor=1.5, max_delay=2000, jitter=jitter)
    exact = min(delay * 1.5 ** (attempt - 1), 2000)

    varied = retry.delay_after(attempt, ValueError())

    assert varied is not None
    assert exact * (1 - jitter) * 0.999999 <= varied <= exact * (1 + jitter) * 1.000001


def test_jitter_spreads_the_delays() -> None:
    retry = Retry(delay=10, jitter=0.5)
    delays = [retry.delay_after(1, ValueError()) or 0 for _ in range(1000)]

    assert 5 <= min(delays) < 6
    assert 14 < max(delays) <= 15


@given(
    st.integers(1, 10**9),
    st.one_of(st.floats(0.1, 1e300), st.integers(1, 10**400)),
    st.floats(1e-9, 1e300),
)
def test_a_huge_number_of_attempts_does_not_overflow(
    attempt: int, factor: float, max_delay: float
) -> None:
    retry = Retry(attempts=10**9 + 1, factor=factor, max_delay=max_delay, jitter=0)

    delay = retry.delay_after(attempt, ValueError())

    assert delay is not None
    assert 0 <= delay <= max_delay


@pytest.mark.parametrize("kind", KINDS)
def test_a_handler_says_itself_when_to_try_again(kind: type[Failing]) -> None:
    stage = Stage()
    handler = kind(stage, RetryAfter(70), ValueError(), RetryAfter(0), ValueError())
    stage.linker.subscribe(
        handler, "topic", retry=Retry(attempts=5, delay=1, factor=10, max_delay=60, jitter=0)
    )

    deferred = stage.emitter.emit("topic")
    run(stage, 300)

    assert handler.times == [0, 70, 80, 80, 140]
    assert result_of(deferred).values == ["done"]


def test_retry_after_counts_as_an_attempt_and_has_no_jitter() -> None:
    stage = Stage()
    handler = Failing(stage, *(RetryAfter(n) for n in range(1, 5)))
    stage.linker.subscribe(handler, "topic", retry=Retry(attempts=3, jitter=0.9))

    deferred = stage.emitter.emit("topic")
    run(stage)

    assert handler.times == [0, 1, 3]
    assert [str(exc) for exc in result_of(deferred).exceptions] == ["again in 3 s"]


def test_retry_after_is_tried_again_whatever_the_policy_says_of_exceptions() -> None:
    retry = Retry(retry_on=KeyError, give_up_on=RuntimeError)

    assert retry.delay_after(1, RetryAfter(7)) == 7


@pytest.mark.parametrize("seconds", [-1, -1e300, float("nan")])
def test_retry_after_a_time_that_has_passed_is_at_once(seconds: float) -> None:
    assert Retry().delay_after(1, RetryAfter(seconds)) == 0


def test_retry_after_may_give_a_reason() -> None:
    assert str(RetryAfter(3, "the mail server is down")) == "the mail server is down"


@pytest.mark.parametrize("kind", [Failing, FailingAtOnce])
def test_without_retry_retry_after_and_permanent_are_failures(kind: type[Failing]) -> None:
    stage = Stage()
    stage.linker.subscribe(kind(stage, RetryAfter(1), Permanent("no")), "topic")

    for _ in range(2):
        assert statuses(stage.emit("topic")) == ["failed"]
    assert stage.clock.getDelayedCalls() == []


@pytest.mark.parametrize("kind", [Failing, FailingAtOnce])
@pytest.mark.parametrize(
    ("retry", "exception"),
    [
        (Retry(), Permanent("no")),
        (Retry(retry_on=Permanent), Permanent("no")),
        (Retry(retry_on=OSError), ValueError()),
        (Retry(retry_on=()), ValueError()),
        (Retry(retry_on=[OSError, KeyError]), ValueError()),
        (Retry(give_up_on=LookupError), KeyError()),
        (Retry(retry_on=OSError, give_up_on=(ValueError, ConnectionError)), ConnectionResetError()),
        (Retry(give_up_on="builtins:OSError"), FileNotFoundError()),
        (Retry(retry_on=("builtins:OSError", KeyError)), ValueError()),
    ],
)
def test_what_is_not_worth_it_is_not_tried_again(
    kind: type[Failing], retry: Retry, exception: Exception
) -> None:
    stage = Stage()
    failed: list[Exception] = []
    handler = kind(stage, exception)
    stage.linker.subscribe(handler, "topic", retry=retry, on_failure=failed.append)

    assert stage.emit("topic").exceptions == failed == [exception]
    assert stage.clock.getDelayedCalls() == []


@pytest.mark.parametrize(
    ("retry", "exception"),
    [
        (Retry(retry_on=OSError), ConnectionResetError()),
        (Retry(retry_on=(OSError, KeyError)), KeyError()),
        (Retry(retry_on="builtins:OSError"), FileNotFoundError()),
        (Retry(retry_on=["builtins:OSError", KeyError]), KeyError()),
        (Retry(retry_on=OSError, give_up_on=FileNotFoundError), ConnectionError()),
        (Retry(), CancelledError()),  # it raised that itself
    ],
)
def test_what_is_worth_it_is_tried_again(retry: Retry, exception: Exception) -> None:
    stage = Stage()
    stage.linker.subscribe(FailingAtOnce(stage, exception), "topic", retry=retry)

    deferred = stage.emitter.emit("topic")
    run(stage)

    assert result_of(deferred).values == ["done"]


def test_the_time_a_handler_takes_comes_before_the_delay() -> None:
    stage = Stage()
    times: list[float] = []

    async def slow() -> None:
        times.append(stage.clock.seconds())
        await deferLater(stage.clock, 5)
        raise ValueError

    stage.linker.subscribe(slow, "topic", retry=Retry(jitter=0))
    stage.emitter.emit("topic")
    run(stage)

    assert times == [0, 6, 13]


def test_a_cancelled_subscription_is_not_tried_again() -> None:
    stage = Stage()
    handler = Failing(stage, *errors(5))
    failed: list[Exception] = []
    subscription = stage.linker.subscribe(
        handler, "topic", retry=Retry(jitter=0), on_failure=failed.append
    )
    deferred = emitting(stage)

    assert subscription.cancel()
    run(stage)

    assert handler.times == [0]
    assert statuses(result_of(deferred)) == ["skipped"]
    assert failed == []


def test_a_subscription_that_cancels_itself_as_it_fails_is_not_tried_again() -> None:
    stage = Stage()

    def last_one() -> None:
        subscription.cancel()
        raise ValueError

    subscription = stage.linker.subscribe(last_one, "topic", retry=Retry(jitter=0))
    deferred = emitting(stage)
    run(stage)

    assert subscription.calls == 1
    assert statuses(result_of(deferred)) == ["skipped"]


def test_a_muted_subscription_is_not_tried_again() -> None:
    stage = Stage()
    handler = Failing(stage, *errors(5))
    subscription = stage.linker.subscribe(handler, "topic", retry=Retry(jitter=0))
    deferred = emitting(stage)

    with subscription.muted():
        run(stage)

    assert handler.times == [0]
    assert statuses(result_of(deferred)) == ["skipped"]


def test_cancelling_the_emission_between_two_attempts_ends_it() -> None:
    stage = Stage()
    handler = Failing(stage, *errors(5))
    failed: list[Exception] = []
    stage.linker.subscribe(handler, "topic", retry=Retry(), on_failure=failed.append)
    deferred = emitting(stage)

    deferred.cancel()

    assert statuses(result_of(deferred)) == ["cancelled"]
    assert (len(handler.times), failed) == (1, [])
    assert stage.clock.getDelayedCalls() == []
    assert stage.emitter.in_flight == 0


def test_cancelling_the_emission_during_an_attempt_ends_it() -> None:
    stage = Stage()
    blocked = Blocked()
    stage.linker.subscribe(blocked, "topic", retry=Retry())
    deferred = emitting(stage)

    deferred.cancel()

    assert statuses(result_of(deferred)) == ["cancelled"]
    assert blocked.seen == ["started", "cancelled"]
    assert stage.clock.getDelayedCalls() == []


def test_a_handler_that_fails_while_it_is_cancelled_is_not_tried_again() -> None:
    stage = Stage()
    error = ValueError("in clean-up")
    blocked = Blocked(raises=error)
    stage.linker.subscribe(blocked, "topic", retry=Retry())
    deferred = emitting(stage)

    deferred.cancel()

    assert result_of(deferred).exceptions == [error]
    assert blocked.seen == ["started", "cancelled"]
    assert stage.clock.getDelayedCalls() == []


def test_a_handler_that_cancels_its_emission_and_fails_is_not_tried_again() -> None:
    stage = Stage()

    def give_up() -> None:
        deferred.cancel()
        raise ValueError

    subscription = stage.linker.subscribe(give_up, "topic", retry=Retry())
    deferred = stage.emitter.emit("topic")
    stage.clock.advance(0)

    assert statuses(result_of(deferred)) == ["cancelled"]
    assert subscription.calls == 1
    assert stage.clock.getDelayedCalls() == []


def test_a_once_handler_has_all_its_attempts_for_one_event() -> None:
    stage = Stage()
    handler = Failing(stage, *errors(2))
    subscription = stage.linker.subscribe(handler, "topic", once=True, retry=Retry(jitter=0))

    first, second = stage.emitter.emit("topic"), stage.emitter.emit("topic")
    run(stage)

    assert result_of(first).values == ["done"]
    assert statuses(result_of(second)) == ["skipped"]
    assert handler.times == [0, 1, 3]
    assert not subscription.active


def test_a_once_handler_that_is_used_up_can_be_kept_from_further_attempts() -> None:
    stage = Stage()
    handler = Failing(stage, *errors(2))
    subscription = stage.linker.subscribe(handler, "topic", once=True, retry=Retry(jitter=0))
    deferred = emitting(stage)

    assert subscription.cancel() is False
    run(stage)

    assert statuses(result_of(deferred)) == ["skipped"]
    assert handler.times == [0]


def test_the_predicate_is_asked_once() -> None:
    stage = Stage()
    asked: list[str] = []
    handler = Failing(stage, *errors(2))

    def where() -> bool:
        asked.append("asked")
        return True

    stage.linker.subscribe(handler, "topic", retry=Retry(), where=where)

    stage.emitter.emit("topic")
    run(stage)

    assert (asked, len(handler.times)) == (["asked"], 3)


def test_a_failing_predicate_is_not_tried_again() -> None:
    stage = Stage()
    asked: list[int] = []

    def where() -> bool:
        asked.append(1)
        raise ValueError

    stage.linker.subscribe(print, "topic", where=where, retry=Retry())

    assert statuses(stage.emit("topic")) == ["failed"]
    assert (asked, stage.clock.getDelayedCalls()) == ([1], [])


def test_other_handlers_do_not_wait_for_the_one_that_is_tried_again() -> None:
    stage = Stage()
    stage.linker.subscribe(Failing(stage, *errors(2)), "topic", retry=Retry(jitter=0))
    other = Failing(stage)
    stage.linker.subscribe(other, "topic")

    deferred = emitting(stage)

    assert other.times == [0]
    assert not deferred.called
    run(stage)
    assert result_of(deferred).values == ["done", "done"]


@pytest.mark.parametrize("way", ["emit", "notify"])
def test_stop_on_error_stops_at_the_last_attempt_and_ends_the_attempts_of_others(way: str) -> None:
    stage = Stage(on_error="stop")
    endless = Failing(stage, *errors(99))
    stage.linker.subscribe(endless, "topic", retry=Retry(attempts=99, delay=0.5, factor=1))
    stage.linker.subscribe(Failing(stage, *errors(9)), "topic", retry=Retry(attempts=2, jitter=0))
    after = Failing(stage)
    stage.linker.subscribe(after, "topic")

    getattr(stage.emitter, way)("topic")
    run(stage)

    assert after.times == [0]
    assert 1 < len(endless.times) < 4
    assert stage.emitter.in_flight == 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", ["emit", "notify"])
def test_system_exit_is_not_tried_again(kind: type[Failing], way: str) -> None:
    stage = Stage()
    handler = kind(stage, SystemExit(3))
    stage.linker.subscribe(handler, "topic", retry=Retry())
    getattr(stage.emitter, way)("topic")

    try:
        run(stage)
    except SystemExit:
        run(stage)

    assert len(handler.times) == 1
    assert stage.emitter.in_flight == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"attempts": 0}, "attempts must be a positive whole number, not 0"),
        ({"attempts": -1}, "attempts must be a positive whole number, not -1"),
        ({"attempts": 2.0}, "attempts must be a positive whole number, not 2.0"),
        ({"attempts": True}, "attempts must be a positive whole number, not True"),
        ({"attempts": None}, "attempts must be a positive whole number, not None"),
        ({"delay": 0}, "delay must be a positive number, not 0"),
        ({"delay": "1"}, "delay must be a positive number, not '1'"),
        ({"delay": None}, "delay must be a positive number, not None"),
        ({"delay": float("inf")}, "delay must be a positive number, not inf"),
        ({"factor": -2}, "factor must be a positive number, not -2"),
        ({"factor": float("nan")}, "factor must be a positive number, not nan"),
        ({"max_delay": None}, "max_delay must be a positive number, not None"),
        ({"max_delay": False}, "max_delay must be a positive number, not False"),
        ({"jitter": 1}, "jitter must be from 0 to below 1, not 1"),
        ({"jitter": -0.1}, "jitter must be from 0 to below 1, not -0.1"),
        ({"jitter": float("nan")}, "jitter must be from 0 to below 1, not nan"),
        ({"jitter": "0.2"}, "jitter must be from 0 to below 1, not '0.2'"),
        ({"retry_on": ValueError("no")}, "an exception class is needed, not ValueErr"),
        ({"retry_on": (OSError, str)}, "an exception class is needed, not <class 'str'>"),
        ({"give_up_on": None}, "an exception class is needed, not None"),
        ({"give_up_on": "OSError"}, "an exception class is needed, not 'OSError'"),
        ({"give_up_on": "builtins:print"}, "an exception class is needed, not <built-in"),
    ],
)
def test_a_retry_that_makes_no_sense_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidHandler, match=message):
        Retry(**options)


def test_a_dotted_name_that_leads_to_nothing_is_refused() -> None:
    with pytest.raises(UnknownName, match="NoSuchError"):
        Retry(retry_on="builtins:NoSuchError")


@pytest.mark.parametrize("retry", [3, True, {"attempts": 3}, Retry])
def test_retry_must_be_a_retry(retry: Any) -> None:
    linker = EventLinker()

    with pytest.raises(InvalidHandler, match=r"retry must be a Retry\(\.\.\.\), not "):
        linker.subscribe(print, "topic", retry=retry)

    assert linker.subscriptions() == []
