"""`wait_for` and `stream`: events in a coroutine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.python.failure import Failure

from tests.core_helpers import Stage, logged, result_of, statuses
from txevents import EventLinker, HandlerTimeout, InvalidHandler, InvalidKey, Outcome, QueueFull
from txevents.streams import EventStream


class Order:
    def __init__(self, total: int = 0) -> None:
        self.total = total


def failure_of(deferred: Deferred[Any]) -> BaseException:
    """Return what `deferred` has failed with."""
    failures: list[Failure] = []
    deferred.addErrback(failures.append)
    (failure,) = failures
    assert failure.value is not None
    return failure.value


# -- one event


def test_wait_for_gives_the_next_object() -> None:
    stage = Stage()
    waiting = stage.linker.wait_for(Order)
    order = Order()

    stage.notify("topic")
    assert not waiting.called
    stage.notify(order)
    stage.notify(Order())

    assert result_of(waiting) is order
    assert stage.linker.subscriptions() == []


@pytest.mark.parametrize(
    ("args", "kwargs", "given_back"),
    [
        ((), {}, None),
        ((1,), {}, 1),
        ((None,), {}, None),
        (((1, 2),), {}, (1, 2)),
        ((1, 2), {}, (1, 2)),
        ((), {"word": 1}, ({"word": 1},)),
        ((1,), {"word": 2}, (1, {"word": 2})),
        ((1, 2), {"word": 3}, (1, 2, {"word": 3})),
    ],
)
def test_a_topic_gives_what_it_was_emitted_with(
    args: tuple[Any, ...], kwargs: dict[str, Any], given_back: object
) -> None:
    stage = Stage()
    waiting = stage.linker.wait_for("topic")
    stream = stage.linker.stream("topic")

    stage.notify("topic", *args, **kwargs)

    assert result_of(waiting) == given_back
    assert result_of(anext_of(stream)) == given_back


def test_wait_for_takes_several_keys() -> None:
    stage = Stage()
    waiting = [stage.linker.wait_for("a.*", Order) for _ in range(2)]

    stage.notify("a.b", 1)

    assert [result_of(deferred) for deferred in waiting] == [1, 1]


def test_wait_for_listens_from_the_call_on() -> None:
    stage = Stage()
    stage.emitter.notify("topic", "before")

    waiting = stage.linker.wait_for("topic")
    stage.emitter.notify("topic", "after")
    stage.emitter.notify("topic", "later")
    stage.clock.advance(0)

    assert result_of(waiting) == "after"


def test_wait_for_waits_for_one_that_the_predicate_accepts() -> None:
    stage = Stage()
    waiting = stage.linker.wait_for(Order, where=lambda order: order.total > 1)

    for total in range(5):
        stage.notify(Order(total))

    assert result_of(waiting).total == 2


def test_a_failing_predicate_does_not_end_the_waiting() -> None:
    stage = Stage()
    waiting = stage.linker.wait_for("topic", where=lambda number: 1 / number)

    with logged() as events:
        stage.notify("topic", 0)
    stage.notify("topic", 1)

    assert [event["log_failure"].type for event in events] == [ZeroDivisionError]
    assert result_of(waiting) == 1


def test_nothing_came_in_time() -> None:
    stage = Stage()
    waiting = stage.linker.wait_for("topic", timeout=5, reactor=stage.clock)
    stage.clock.advance(4.9)
    assert not waiting.called

    stage.clock.advance(0.1)

    error = failure_of(waiting)
    assert (type(error), str(error)) == (HandlerTimeout, "nothing came for 5 s")
    assert stage.linker.subscriptions() == []
    assert stage.emit("topic").results == ()


def test_an_event_that_came_in_time_leaves_no_delayed_call() -> None:
    stage = Stage()
    waiting = stage.linker.wait_for("topic", timeout=5, reactor=stage.clock)

    stage.notify("topic", 1)

    assert result_of(waiting) == 1
    assert stage.clock.getDelayedCalls() == []


def test_the_installed_reactor_is_the_default() -> None:
    stage = Stage()
    waiting = stage.linker.wait_for("topic", timeout=60)

    stage.notify("topic", 1)

    assert result_of(waiting) == 1  # and the hygiene fixture finds no delayed call


@pytest.mark.parametrize("timeout", [None, 5])
def test_cancelling_ends_the_listening(timeout: float | None) -> None:
    stage = Stage()
    waiting = stage.linker.wait_for("topic", timeout=timeout, reactor=stage.clock)
    stage.emitter.notify("topic", 1)

    waiting.cancel()
    stage.clock.advance(0)

    assert isinstance(failure_of(waiting), CancelledError)
    assert stage.linker.subscriptions() == []
    assert stage.clock.getDelayedCalls() == []


def test_a_coroutine_waits_for_one_event_after_another() -> None:
    stage = Stage()
    seen: list[int] = []

    async def take() -> None:
        while len(seen) < 3:
            seen.append(await stage.linker.wait_for("topic"))

    taking = ensureDeferred(take())
    for number in range(5):
        stage.notify("topic", number)

    assert seen == [0, 1, 2]
    assert taking.called


def test_what_waits_for_an_event_may_fail_without_the_emitter_hearing_of_it() -> None:
    stage = Stage()
    waiting = stage.linker.wait_for("topic").addCallback(lambda number: 1 / number)

    assert stage.emit("topic", 0).ok
    assert isinstance(failure_of(waiting), ZeroDivisionError)


@pytest.mark.parametrize(
    ("keys", "options", "error", "message"),
    [
        ((), {}, InvalidKey, "at least one key"),
        ((1,), {"timeout": 5}, InvalidKey, "cannot listen to 1"),
        (("topic",), {"where": 1, "timeout": 5}, InvalidHandler, "where must be callable, not 1"),
        (("topic",), {"timeout": -1}, InvalidHandler, "timeout must be a positive number, not -1"),
        (("topic",), {"timeout": "5"}, InvalidHandler, "timeout must be a positive number, not"),
    ],
)
def test_wait_for_refuses_what_makes_no_sense_and_listens_to_nothing(
    keys: tuple[Any, ...], options: dict[str, Any], error: type[Exception], message: str
) -> None:
    stage = Stage()

    with pytest.raises(error, match=message):
        stage.linker.wait_for(*keys, **options, reactor=stage.clock)

    assert stage.linker.subscriptions() == []
    assert stage.clock.getDelayedCalls() == []


# -- all events


def anext_of(stream: EventStream) -> Deferred[Any]:
    """Return the Deferred of the next event, which `anext` would hide from mypy."""
    return stream.__anext__()


def take_all(stream: EventStream) -> list[Any]:
    """Return what is in a closed stream."""

    async def take() -> list[Any]:
        return [event async for event in stream]

    return result_of(ensureDeferred(take()))


def emitting(stage: Stage, *events: int) -> list[Deferred[Outcome]]:
    deferreds = [stage.emitter.emit("topic", event) for event in events]
    stage.clock.advance(0)
    return deferreds


def test_a_stream_gives_events_as_they_come() -> None:
    stage = Stage()
    seen: list[int] = []
    stream = stage.linker.stream("topic")

    async def take() -> str:
        async for number in stream:
            seen.append(number)  # noqa: PERF401 - one at a time, as they come
        return "ended"

    emitting(stage, 1, 2)
    taking = ensureDeferred(take())
    assert seen == [1, 2]
    emitting(stage, 3)
    assert seen == [1, 2, 3]
    stream.close()

    assert result_of(taking) == "ended"
    emitting(stage, 4)
    assert seen == [1, 2, 3]


def test_a_stream_listens_from_when_it_is_made() -> None:
    stage = Stage()
    stage.emitter.notify("topic", "before")
    stream = stage.linker.stream("topic")
    stage.emitter.notify("topic", "after")
    stage.clock.advance(0)
    stream.close()

    assert take_all(stream) == ["after"]


def test_a_stream_takes_several_keys_and_a_predicate() -> None:
    stage = Stage()
    stream = stage.linker.stream("a.*", "b", where=lambda number: number % 2)
    for number, topic in enumerate(["a.b", "a.b", "b", "b", "c", "c"]):
        stage.notify(topic, number)
    stream.close()

    assert take_all(stream) == [1, 3]


@pytest.mark.parametrize(
    ("overflow", "kept", "dropped"),
    [("drop_oldest", [2, 3, 4], 2), ("drop_newest", [0, 1, 2], 2), ("error", [0, 1, 2], 0)],
)
def test_a_stream_that_is_full_follows_its_rule(
    overflow: Any, kept: list[int], dropped: int
) -> None:
    stage = Stage()
    stream = stage.linker.stream("topic", maxsize=3, overflow=overflow)

    outcomes = [result_of(deferred) for deferred in emitting(stage, *range(5))]

    assert stream.dropped == dropped
    errors = [str(exc) for outcome in outcomes for exc in outcome.exceptions]
    assert errors == ["3 events wait in the stream already"] * (2 if overflow == "error" else 0)
    assert all(isinstance(e, QueueFull) for outcome in outcomes for e in outcome.exceptions)
    stream.close()
    assert take_all(stream) == kept


def test_a_stream_that_blocks_holds_the_emitting_code_back() -> None:
    stage = Stage()
    emitted: list[int] = []
    stream = stage.linker.stream("topic", maxsize=2, overflow="block")

    async def produce() -> None:
        for number in range(6):
            await stage.emitter.emit("topic", number)
            emitted.append(number)

    producing = ensureDeferred(produce())
    for _ in range(9):
        stage.clock.advance(0)
    assert emitted == [0, 1]

    taken = []
    for _ in range(6):
        taken.append(result_of(anext_of(stream)))
        stage.clock.advance(0)
        assert emitted == list(range(min(len(taken) + 2, 6)))
    assert taken == list(range(6))
    assert result_of(producing) is None
    assert stream.dropped == 0


def test_blocked_events_keep_their_order() -> None:
    stage = Stage()
    stream = stage.linker.stream("topic", maxsize=1, overflow="block")
    deferreds = emitting(stage, *range(4))

    assert [deferred.called for deferred in deferreds] == [True, False, False, False]
    assert [result_of(anext_of(stream)) for _ in range(2)] == [0, 1]
    assert [deferred.called for deferred in deferreds] == [True, True, True, False]
    emitting(stage, 4)
    stream.close()
    assert take_all(stream) == [2, 3, 4]
    assert all(result_of(deferred).ok for deferred in deferreds)


def test_a_cancelled_emission_that_was_blocked_leaves_no_ghost() -> None:
    stage = Stage()
    stream = stage.linker.stream("topic", maxsize=1, overflow="block")
    deferreds = emitting(stage, *range(4))

    deferreds[1].cancel()
    deferreds[3].cancel()

    assert statuses(result_of(deferreds[1])) == ["cancelled"]
    assert [result_of(anext_of(stream)) for _ in range(2)] == [0, 2]
    waiting = anext_of(stream)
    assert not waiting.called
    assert stage.emitter.in_flight == 0
    emitting(stage, 5)
    assert result_of(waiting) == 5


def test_who_waits_gets_the_event_and_the_buffer_stays_empty() -> None:
    stage = Stage()
    stream = stage.linker.stream("topic", maxsize=1, overflow="block")
    waiting = [anext_of(stream), anext_of(stream)]

    deferreds = emitting(stage, 1, 2, 3)

    assert [result_of(deferred) for deferred in waiting] == [1, 2]
    assert all(deferred.called for deferred in deferreds)


def test_two_consumers_share_the_events() -> None:
    stage = Stage()
    stream = stage.linker.stream("topic")
    seen: list[tuple[str, int]] = []

    async def take(name: str) -> str:
        async for number in stream:
            seen.append((name, number))  # noqa: PERF401 - one at a time, as they come
        return name

    taking = [ensureDeferred(take(name)) for name in "ab"]
    emitting(stage, 1, 2, 3)
    stream.close()

    assert seen == [("a", 1), ("b", 2), ("a", 3)]
    assert [result_of(deferred) for deferred in taking] == ["a", "b"]


def test_cancelling_one_who_waits_loses_no_event() -> None:
    stage = Stage()
    stream = stage.linker.stream("topic")
    first, second = anext_of(stream), anext_of(stream)

    first.cancel()
    emitting(stage, 1, 2)

    assert isinstance(failure_of(first), CancelledError)
    assert result_of(second) == 1
    assert result_of(anext_of(stream)) == 2


def test_a_coroutine_that_is_cancelled_in_its_loop_does_not_take_another_event() -> None:
    stage = Stage()
    stream = stage.linker.stream("topic")

    async def take() -> None:
        async for _ in stream:
            pass

    taking = ensureDeferred(take())
    taking.cancel()
    emitting(stage, 1)

    assert isinstance(failure_of(taking), CancelledError)
    assert result_of(anext_of(stream)) == 1


def test_a_cancelled_taker_that_has_its_event_keeps_it() -> None:
    stage = Stage()
    stream = stage.linker.stream("topic")
    taken = anext_of(stream)
    emitting(stage, 1)

    taken.cancel()

    assert result_of(taken) == 1


def test_closing_ends_the_iteration_after_what_is_buffered() -> None:
    stage = Stage()
    stream = stage.linker.stream("topic", maxsize=2, overflow="block")
    deferreds = emitting(stage, 1, 2, 3, 4)

    stream.close()

    assert stream.closed
    assert all(result_of(deferred).ok for deferred in deferreds)
    assert stage.linker.subscriptions() == []
    assert take_all(stream) == [1, 2, 3, 4]
    assert take_all(stream) == []


def test_closing_wakes_all_who_wait_and_may_be_repeated() -> None:
    stream = EventLinker().stream("topic")
    waiting = [anext_of(stream), anext_of(stream)]

    stream.close()
    stream.close()

    assert [type(failure_of(deferred)) for deferred in waiting] == [StopAsyncIteration] * 2


def test_events_of_the_same_batch_do_not_reach_a_closed_stream() -> None:
    stage = Stage()
    stream = stage.linker.stream("topic")
    stage.emitter.notify("topic", 1)

    stream.close()
    stage.clock.advance(0)

    assert take_all(stream) == []


def test_the_one_that_takes_may_close_the_stream() -> None:
    stage = Stage()
    stream = stage.linker.stream("topic", maxsize=1, overflow="block")

    async def take() -> list[int]:
        seen = []
        async for number in stream:
            seen.append(number)
            stream.close()
        return seen

    taking = ensureDeferred(take())
    deferreds = emitting(stage, 1, 2)

    assert result_of(taking) == [1]
    assert statuses(result_of(deferreds[1])) == ["skipped"]


async def leave_with(linker: EventLinker) -> EventStream:
    with linker.stream("topic") as stream:
        assert len(linker.subscriptions()) == 1
        return stream


async def leave_async_with(linker: EventLinker) -> EventStream:
    async with linker.stream("topic") as stream:
        assert len(linker.subscriptions()) == 1
        return stream


@pytest.mark.parametrize("leave", [leave_with, leave_async_with])
def test_leaving_its_block_closes_the_stream(leave: Callable[[EventLinker], Any]) -> None:
    linker = EventLinker()

    stream = result_of(ensureDeferred(leave(linker)))

    assert stream.closed
    assert linker.subscriptions() == []


async def fail_with(linker: EventLinker) -> None:
    with linker.stream("topic"):
        raise ValueError("in the block")


async def fail_async_with(linker: EventLinker) -> None:
    async with linker.stream("topic"):
        raise ValueError("in the block")


@pytest.mark.parametrize("fail", [fail_with, fail_async_with])
def test_an_error_in_its_block_closes_the_stream_and_goes_on(
    fail: Callable[[EventLinker], Any],
) -> None:
    linker = EventLinker()

    error = failure_of(ensureDeferred(fail(linker)))

    assert str(error) == "in the block"
    assert linker.subscriptions() == []


@pytest.mark.parametrize(
    ("keys", "options", "error", "message"),
    [
        ((), {}, InvalidKey, "at least one key"),
        (("a",), {"maxsize": 0}, InvalidHandler, "maxsize must be a positive whole number, not 0"),
        (("a",), {"maxsize": None}, InvalidHandler, "maxsize must be a positive whole number"),
        (("a",), {"maxsize": 1.5}, InvalidHandler, "maxsize must be a positive whole number"),
        (
            ("a",),
            {"overflow": "drop"},
            InvalidHandler,
            'overflow must be "drop_oldest", "drop_newest", "error" or "block", not \'drop\'',
        ),
        (("a",), {"where": 1}, InvalidHandler, "where must be callable, not 1"),
    ],
)
def test_a_stream_that_makes_no_sense_is_refused(
    keys: tuple[Any, ...], options: dict[str, Any], error: type[Exception], message: str
) -> None:
    linker = EventLinker()

    with pytest.raises(error, match=message):
        linker.stream(*keys, **options)

    assert linker.subscriptions() == []


@given(st.integers(1, 4), st.lists(st.sampled_from(["emit", "take", "cancel emission"])))
def test_with_block_nothing_is_lost_nor_given_twice(maxsize: int, steps: list[str]) -> None:
    stage = Stage()
    stream = stage.linker.stream("topic", maxsize=maxsize, overflow="block")
    emitted: list[Deferred[Outcome]] = []
    cancelled: set[int] = set()
    taken: list[Any] = []
    for step in steps:
        pending = [n for n, deferred in enumerate(emitted) if not deferred.called]
        if step == "emit":
            emitted += emitting(stage, len(emitted))
        elif step == "take":
            anext_of(stream).addCallbacks(taken.append, lambda failure: None)
        elif pending:
            emitted[pending[0]].cancel()
            cancelled.add(pending[0])
        expected = len(emitted) - len(cancelled) - len(taken) - maxsize
        assert sum(not deferred.called for deferred in emitted) == max(expected, 0)
    stream.close()

    taken += take_all(stream)
    assert taken == [n for n in range(len(emitted)) if n not in cancelled]
    assert all(deferred.called for deferred in emitted)
