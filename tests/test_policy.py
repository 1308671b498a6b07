"""The keywords of `on` and `subscribe`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed

from tests.core_helpers import Stage, logged, result_of
from txevents import EventLinker, InvalidHandler, not_


class Order:
    def __init__(self, total: int = 0) -> None:
        self.total = total


def is_big(order: Order) -> bool:
    return order.total > 100


def is_even(order: Order) -> bool:
    return order.total % 2 == 0


def refuse(*args: object, **kwargs: object) -> None:
    raise ValueError("no")


def test_a_once_handler_hears_one_event() -> None:
    stage = Stage()
    subscription = stage.linker.subscribe(lambda: "heard", "topic", once=True)

    assert stage.emit("topic").values == ["heard"]
    assert stage.emit("topic").results == ()
    assert not subscription.active
    assert subscription.cancel() is False


def test_a_once_handler_hears_one_of_several_events_emitted_before_the_first_is_dispatched() -> (
    None
):
    stage = Stage()
    stage.linker.subscribe(lambda number: number, "topic", once=True)

    deferreds = [stage.emitter.emit("topic", number) for number in range(3)]
    stage.clock.advance(0)

    outcomes = [result_of(deferred) for deferred in deferreds]
    assert [outcome.values for outcome in outcomes] == [[0], [], []]
    assert [outcome.results[0].status for outcome in outcomes] == ["done", "skipped", "skipped"]


@pytest.mark.parametrize("on_error", ["continue", "stop"])
def test_a_once_handler_is_notified_once(on_error: str) -> None:
    stage = Stage(on_error=on_error)
    heard: list[int] = []
    stage.linker.subscribe(heard.append, "topic", once=True)

    for number in range(3):
        stage.emitter.notify("topic", number)
    stage.clock.advance(0)

    assert heard == [0]


def test_a_once_handler_is_used_up_when_it_starts() -> None:
    stage = Stage()
    blocked: Deferred[None] = Deferred()

    async def wait() -> None:
        await blocked

    stage.linker.subscribe(wait, "topic", once=True)
    deferred = stage.emitter.emit("topic")
    stage.clock.advance(0)

    assert stage.emit("topic").results == ()
    blocked.callback(None)
    assert result_of(deferred).values == [None]


def test_a_once_handler_that_fails_is_used_up() -> None:
    stage = Stage()
    stage.linker.subscribe(refuse, "topic", once=True)

    assert len(stage.emit("topic").exceptions) == 1
    assert stage.emit("topic").results == ()


def test_an_event_that_the_predicate_refuses_does_not_use_up_a_once_handler() -> None:
    stage = Stage()
    stage.linker.subscribe(lambda order: order.total, Order, once=True, where=is_big)

    assert stage.emit(Order(1)).values == []
    assert stage.emit(Order(101)).values == [101]
    assert stage.emit(Order(102)).results == ()


def test_a_failing_predicate_does_not_use_up_a_once_handler() -> None:
    stage = Stage()
    stage.linker.subscribe(print, Order, once=True, where=refuse)

    assert [len(stage.emit(Order()).exceptions) for _ in range(2)] == [1, 1]


def test_a_predicate_that_emits_and_so_uses_up_a_once_handler_does_not_run_it_twice() -> None:
    stage = Stage()
    heard: list[int] = []

    def where(number: int) -> bool:
        if number == 0:
            subscription.claim((1,), {})
        return True

    subscription = stage.linker.subscribe(heard.append, "topic", once=True, where=where)

    assert stage.emit("topic", 0).results[0].status == "skipped"
    assert heard == []


def test_a_predicate_may_cancel_the_subscription() -> None:
    stage = Stage()

    def cancel() -> bool:
        return subscription.cancel()

    subscription = stage.linker.subscribe(print, "topic", where=cancel)

    assert stage.emit("topic").results[0].status == "skipped"


@pytest.mark.parametrize(
    ("where", "heard"),
    [
        (None, [1, 2, 101, 102]),
        ((), [1, 2, 101, 102]),
        (is_big, [101, 102]),
        ((is_big,), [101, 102]),
        ([is_big, is_even], [102]),
        (not_(is_big), [1, 2]),
        ((not_(is_big), is_even), [2]),
        (not_(not_(is_even)), [2, 102]),
        (lambda order: order.total - 1, [2, 101, 102]),
    ],
)
def test_a_handler_runs_where_each_predicate_says_so(where: Any, heard: list[int]) -> None:
    stage = Stage()
    stage.linker.subscribe(lambda order: order.total, Order, where=where)

    assert [v for n in (1, 2, 101, 102) for v in stage.emit(Order(n)).values] == heard


def test_a_refused_event_is_skipped_and_the_outcome_is_good() -> None:
    stage = Stage()
    stage.linker.subscribe(print, Order, where=is_big, on_success=refuse, on_failure=refuse)

    outcome = stage.emit(Order())

    assert [result.status for result in outcome.results] == ["skipped"]
    assert outcome.ok


def test_predicates_are_called_with_the_arguments_of_the_handler() -> None:
    stage = Stage()
    calls: list[Any] = []

    def where(*args: object, **kwargs: object) -> bool:
        calls.append((args, kwargs))
        return True

    stage.linker.subscribe(lambda *args, **kwargs: None, Order, "topic", where=(where, not_(where)))
    order = Order()
    stage.emit(order, 1, word=2)
    stage.emit("topic", 1, word=2)

    assert calls == [((order, 1), {"word": 2})] * 2 + [((1,), {"word": 2})] * 2


def test_predicates_are_asked_in_order_when_the_turn_of_the_handler_has_come() -> None:
    stage = Stage()
    order = Order()
    stage.linker.subscribe(lambda order: setattr(order, "total", 101), ...)
    stage.linker.subscribe(lambda order: order.total, Order, where=(is_big, lambda order: True))
    stage.linker.subscribe(print, Order, where=(not_(is_big), refuse))

    assert [result.status for result in stage.emit(order).results] == ["done", "done", "skipped"]


def test_a_failing_predicate_is_a_failure_of_its_subscription_alone() -> None:
    stage = Stage()
    failed: list[Exception] = []
    stage.linker.subscribe(lambda order: "ran", Order, where=refuse, on_failure=failed.append)
    stage.linker.subscribe(lambda order: "other", Order)

    with logged() as events:
        outcome = stage.emit(Order())

    assert [result.status for result in outcome.results] == ["failed", "done"]
    assert outcome.values == ["other"]
    assert outcome.exceptions == failed
    assert [event["log_failure"].value for event in events] == failed


def test_not_has_a_readable_name() -> None:
    assert not_(is_big).__qualname__ == "not_(is_big)"
    assert "not_(functools.partial(" in not_(partial(is_big)).__qualname__


def answer() -> str:
    return "result"


async def answer_at_once() -> str:
    return "result"


def answer_with_deferred() -> Deferred[str]:
    return succeed("result")


@pytest.mark.parametrize("handler", [answer, answer_at_once, answer_with_deferred])
def test_the_success_callback_gets_the_result(handler: Callable[[], object]) -> None:
    stage = Stage()
    succeeded: list[object] = []
    stage.linker.subscribe(handler, "topic", on_success=succeeded.append, on_failure=refuse)

    assert stage.emit("topic").values == ["result"]
    assert succeeded == ["result"]


async def nothing() -> None:
    pass


@pytest.mark.parametrize("handler", [lambda: None, nothing, lambda: succeed(None)])
def test_the_success_callback_gets_none_too(handler: Callable[[], object]) -> None:
    stage = Stage()
    succeeded: list[object] = []
    stage.linker.subscribe(handler, "topic", on_success=succeeded.append)

    assert stage.emit("topic").ok
    assert succeeded == [None]


async def refuse_at_once() -> None:
    raise ValueError("no")


@pytest.mark.parametrize("handler", [refuse, refuse_at_once, lambda: fail(ValueError("no"))])
@pytest.mark.parametrize("way", ["emit", "notify"])
def test_the_failure_callback_gets_the_exception(handler: Callable[[], object], way: str) -> None:
    stage = Stage()
    failed: list[Exception] = []
    stage.linker.subscribe(handler, "topic", on_success=refuse, on_failure=failed.append)

    with logged() as events:
        getattr(stage, way)("topic")

    assert [str(exc) for exc in failed] == ["no"]
    assert [event["log_failure"].value for event in events] == failed


def test_a_failure_that_a_callback_has_heard_stands_in_the_outcome() -> None:
    stage = Stage()
    stage.linker.subscribe(refuse, "topic", on_failure=lambda exc: "handled")

    outcome = stage.emit("topic")

    assert not outcome.ok
    assert [result.status for result in outcome.results] == ["failed"]


@pytest.mark.parametrize("handler", [answer, refuse])
@pytest.mark.parametrize("as_deferred", [False, True])
def test_callbacks_are_waited_for(handler: Callable[[], object], as_deferred: bool) -> None:
    stage = Stage()
    blocked: Deferred[None] = Deferred()

    async def wait(result: object) -> None:
        await blocked

    callback = (lambda result: blocked) if as_deferred else wait
    stage.linker.subscribe(handler, "topic", on_success=callback, on_failure=callback)
    deferred = stage.emitter.emit("topic")
    stage.clock.advance(0)

    assert not deferred.called
    blocked.callback(None)
    assert len(result_of(deferred).results) == 1


async def refuse_later(result: object) -> None:
    await succeed(None)
    raise ValueError("callback")


def refuse_with_deferred(result: object) -> Deferred[None]:
    return fail(ValueError("callback"))


def refuse_plainly(result: object) -> None:
    raise ValueError("callback")


@pytest.mark.parametrize("callback", [refuse_plainly, refuse_later, refuse_with_deferred])
@pytest.mark.parametrize("handler", [answer, refuse])
def test_an_error_in_a_callback_is_logged_and_stands_in_the_outcome(
    handler: Callable[[], object], callback: Callable[[object], object]
) -> None:
    stage = Stage()
    told: list[BaseException] = []
    stage.emitter.on_failure = lambda exc, event, subscription: told.append(exc)
    subscription = stage.linker.subscribe(
        handler, "topic", on_success=callback, on_failure=callback
    )
    stage.linker.subscribe(lambda: "other", "topic")

    with logged() as events:
        outcome = stage.emit("topic")

    result = outcome.results[0]
    assert str(result.callback_exception) == "callback"
    assert result.status == ("done" if handler is answer else "failed")
    assert outcome.values[-1] == "other"
    assert not outcome.ok
    assert outcome.exceptions == told
    assert outcome.exceptions[-1] is result.callback_exception
    assert events[-1]["log_failure"].value is result.callback_exception
    assert (events[-1]["subscription"], events[-1]["callback"]) == (
        subscription,
        callback.__qualname__,
    )


def test_callbacks_are_not_called_for_a_handler_whose_turn_did_not_come() -> None:
    stage = Stage(on_error="stop")
    stage.linker.subscribe(refuse, "topic")
    called: list[object] = []
    stage.linker.subscribe(
        answer, "topic", on_success=called.append, on_failure=called.append, name="stopped"
    )

    stage.emit("topic")

    assert called == []


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ({"where": "is_big"}, "where must be callable, not 'is_big'"),
        ({"where": (is_big, None)}, "where must be callable, not None"),
        ({"on_success": 1}, "on_success must be callable, not 1"),
        ({"on_failure": "log"}, "on_failure must be callable, not 'log'"),
        ({"priority": "high"}, "priority must be a number, not 'high'"),
        ({"priority": float("nan")}, "priority must be a number, not nan"),
        ({"priority": None}, "priority must be a number, not None"),
    ],
)
def test_a_bad_policy_is_refused_and_nothing_registered(
    policy: dict[str, Any], message: str
) -> None:
    linker = EventLinker()

    with pytest.raises(InvalidHandler, match=message):
        linker.subscribe(print, "topic", **policy)
    with pytest.raises(TypeError, match=message):
        linker.on("topic", **policy)(print)

    assert linker.subscriptions_for("topic") == ()


def test_an_unknown_keyword_is_refused() -> None:
    with pytest.raises(TypeError, match="often"):
        EventLinker().subscribe(print, "topic", often=True)


def test_not_needs_something_callable() -> None:
    with pytest.raises(InvalidHandler, match="where must be callable, not True"):
        not_(True)  # type: ignore[arg-type]
