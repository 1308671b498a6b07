"""`Subscription`: the handle of a registered handler."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from threading import Barrier, Thread
from time import sleep
from types import FrameType
from typing import Any
from weakref import ref

import pytest
from twisted.internet.defer import Deferred, fail
from zope.interface.verify import verifyObject

from tests.core_helpers import Stage, logged, result_of, statuses
from txevents import EventLinker, InvalidKey, InvalidTopic, Subscription, UnknownName
from txevents.interfaces import ISubscription

# What makes an emitter take each of its ways to call a handler: alone or with others.
POLICIES: list[dict[str, Any]] = [{}, {"where": lambda *args: True}, {"concurrency": 1}]
WITH_POLICIES = pytest.mark.parametrize("policy", POLICIES, ids=["plain", "where", "concurrency"])
WAYS = pytest.mark.parametrize("way", ["emit", "notify"])
ALONE_OR_NOT = pytest.mark.parametrize("others", [0, 1])


class Order:
    pass


def refuse(*args: object) -> None:
    raise ValueError("no")


async def refuse_at_once(*args: object) -> None:
    raise ValueError("no")


def refuse_with_a_deferred(*args: object) -> Deferred[None]:
    return fail(ValueError("no"))


def test_a_subscription_provides_its_interface() -> None:
    verifyObject(ISubscription, EventLinker().subscribe(print, "topic"))


def test_a_subscription_tells_what_was_registered() -> None:
    subscription = EventLinker().subscribe(print, Order, "topic", Order, name="mine", priority=3)

    assert subscription.handler is print
    assert subscription.keys == (Order, "topic")
    assert subscription.name == "mine"
    assert subscription.policy.priority == 3
    assert subscription.active
    assert (subscription.calls, subscription.failures, subscription.last_error) == (0, 0, None)
    assert repr(subscription) == "<Subscription mine on Order, 'topic'>"
    subscription.cancel()
    assert repr(subscription) == "<Subscription mine on Order, 'topic' (cancelled)>"


class Handler:
    def __call__(self) -> None:
        pass

    def method(self) -> None:
        pass


@pytest.mark.parametrize(
    ("handler", "name"),
    [
        (refuse, "tests.test_subscription.refuse"),
        (Order, "tests.test_subscription.Order"),
        (Handler(), "tests.test_subscription.Handler"),
        (Handler().method, "tests.test_subscription.Handler.method"),
        (partial(partial(refuse, 1), 2), "tests.test_subscription.refuse"),
        (print, "builtins.print"),
        ([].append, "list.append"),
        ("tests.test_subscription:refuse", "tests.test_subscription.refuse"),
    ],
)
def test_a_subscription_is_called_like_its_handler(handler: Any, name: str) -> None:
    assert EventLinker().subscribe(handler, "topic").name == name


# -- cancel


@WITH_POLICIES
@WAYS
@ALONE_OR_NOT
def test_a_cancelled_handler_is_never_called_again(
    policy: dict[str, Any], way: str, others: int
) -> None:
    stage = Stage()
    heard: list[int] = []

    def handler(number: int) -> None:
        heard.append(number)
        if number == 2:
            assert subscription.cancel()

    for _ in range(others):
        stage.linker.subscribe(lambda number: None, "topic")
    subscription = stage.linker.subscribe(handler, "topic", **policy)
    for number in range(5):
        getattr(stage.emitter, way)("topic", number)
    stage.clock.advance(0)
    getattr(stage.emitter, way)("topic", 5)
    stage.clock.advance(0)

    assert heard == [0, 1, 2]
    assert not subscription.active
    assert subscription.cancel() is False
    assert stage.emitter.in_flight == 0


def test_the_block_of_a_subscription_cancels_it() -> None:
    stage = Stage()
    heard: list[int] = []

    with stage.linker.subscribe(heard.append, "topic") as subscription:
        assert isinstance(subscription, Subscription)
        stage.notify("topic", 1)
        stage.emitter.notify("topic", 2)
    stage.notify("topic", 3)

    assert heard == [1]
    assert not subscription.active


def test_the_block_of_a_subscription_lets_errors_through_and_may_cancel_it_itself() -> None:
    linker = EventLinker()

    def fail_in_the_block() -> None:
        with linker.subscribe(print, "topic") as subscription:
            subscription.cancel()
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail_in_the_block()
    assert linker.subscriptions() == []


# -- muted


@WITH_POLICIES
@WAYS
@ALONE_OR_NOT
def test_a_muted_handler_is_not_called(policy: dict[str, Any], way: str, others: int) -> None:
    stage = Stage()
    heard: list[int] = []
    for _ in range(others):
        stage.linker.subscribe(lambda number: None, "topic")
    subscription = stage.linker.subscribe(heard.append, "topic", **policy)

    def emit(number: int) -> None:
        getattr(stage, way)("topic", number)

    emit(1)
    with subscription.muted() as same:
        assert same is subscription
        assert subscription.active
        emit(2)
        with subscription.muted():
            emit(3)
        emit(4)
    emit(5)

    assert heard == [1, 5]
    assert subscription.calls == 2


@WITH_POLICIES
def test_an_event_that_came_to_a_muted_handler_is_skipped(policy: dict[str, Any]) -> None:
    stage = Stage()
    subscription = stage.linker.subscribe(print, "topic", **policy)

    with subscription.muted():
        outcome = stage.emit("topic")

    assert statuses(outcome) == ["skipped"]
    assert outcome.ok


def test_the_turn_of_the_handler_counts_and_not_the_moment_of_emitting() -> None:
    stage = Stage()
    heard: list[int] = []
    subscription = stage.linker.subscribe(heard.append, "topic")

    with subscription.muted():
        stage.emitter.notify("topic", 1)
    stage.clock.advance(0)
    stage.emitter.notify("topic", 2)
    with subscription.muted():
        stage.clock.advance(0)

    assert heard == [1]


def test_an_error_in_the_muted_block_goes_on_and_ends_the_muting() -> None:
    stage = Stage()
    subscription = stage.linker.subscribe(lambda: "heard", "topic")

    with pytest.raises(ValueError, match="no"), subscription.muted():
        raise ValueError("no")

    assert stage.emit("topic").values == ["heard"]


@WITH_POLICIES
def test_a_handler_cancelled_while_it_was_muted_stays_so(policy: dict[str, Any]) -> None:
    stage = Stage()
    heard: list[int] = []
    subscription = stage.linker.subscribe(heard.append, "topic", **policy)

    stage.emitter.notify("topic", 1)
    with subscription.muted():
        subscription.cancel()
    stage.clock.advance(0)

    assert heard == []
    assert not subscription.active


def test_an_event_that_came_to_a_muted_once_handler_does_not_use_it_up() -> None:
    stage = Stage()
    subscription = stage.linker.subscribe(lambda: "heard", "topic", once=True)

    with subscription.muted():
        assert stage.emit("topic").values == []

    assert stage.emit("topic").values == ["heard"]


# -- counters


@WITH_POLICIES
@WAYS
@ALONE_OR_NOT
@pytest.mark.parametrize("handler", [refuse, refuse_at_once, refuse_with_a_deferred])
def test_calls_and_failures_are_counted(
    policy: dict[str, Any], way: str, others: int, handler: Callable[..., object]
) -> None:
    stage = Stage()
    for _ in range(others):
        stage.linker.subscribe(lambda *args: None, "topic", Order)
    failing = stage.linker.subscribe(handler, "topic", Order, **policy)
    working = stage.linker.subscribe(lambda *args: 1, "topic", Order, **policy)

    for event in ["topic", Order(), Order()]:
        getattr(stage, way)(event)
    getattr(stage, way)("topic", 1)

    assert (failing.calls, failing.failures, failing.last_error) == (4, 4, "ValueError: no")
    assert (working.calls, working.failures, working.last_error) == (4, 0, None)


@WAYS
def test_calls_of_a_handler_that_has_an_event_for_itself_are_counted(way: str) -> None:
    stage = Stage()
    working = stage.linker.subscribe(lambda *args: 1, Order)
    failing = stage.linker.subscribe(refuse, "topic")

    for event in [Order(), Order(), "topic"]:
        getattr(stage, way)(event)
    getattr(stage, way)(Order(), 1)

    assert (working.calls, working.failures) == (3, 0)
    assert (failing.calls, failing.failures) == (1, 1)


def test_a_handler_that_is_stopped_counts_its_calls() -> None:
    stage = Stage(on_error="stop")
    first = stage.linker.subscribe(refuse, "topic")
    second = stage.linker.subscribe(print, "topic")

    stage.emit("topic")
    stage.notify("topic")

    assert (first.calls, first.failures) == (2, 2)
    assert (second.calls, second.failures) == (0, 0)


def test_a_call_is_counted_when_it_begins_and_its_failure_when_it_ends() -> None:
    stage = Stage()
    deferred: Deferred[None] = Deferred()
    subscription = stage.linker.subscribe(lambda: deferred, "topic")

    stage.notify("topic")
    assert (subscription.calls, subscription.failures) == (1, 0)
    deferred.errback(ValueError("late"))

    assert (subscription.calls, subscription.failures) == (1, 1)
    assert subscription.last_error == "ValueError: late"


def test_what_is_skipped_is_no_call() -> None:
    stage = Stage()
    subscription = stage.linker.subscribe(print, "topic", where=lambda: False)

    stage.emit("topic")

    assert (subscription.calls, subscription.failures) == (0, 0)


def test_the_last_error_stays_after_a_success() -> None:
    stage = Stage()
    subscription = stage.linker.subscribe(lambda number: 1 / number, "topic")

    for number in [0, 1]:
        stage.emit("topic", number)

    assert subscription.last_error == "ZeroDivisionError: division by zero"
    assert (subscription.calls, subscription.failures) == (2, 1)


def test_the_last_error_is_bounded() -> None:
    subscription = EventLinker().subscribe(print, "topic")

    subscription.failed(ValueError("x" * 10**6))

    assert subscription.last_error == "ValueError: " + "x" * 988


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


@WITH_POLICIES
@WAYS
def test_an_exception_without_a_text_is_a_failure_like_any_other(
    policy: dict[str, Any], way: str
) -> None:
    stage = Stage()
    heard: list[str] = []

    def handler() -> None:
        raise Unprintable

    subscription = stage.linker.subscribe(handler, "topic", **policy)
    stage.linker.subscribe(lambda: heard.append("other"), "topic")

    with logged() as events:
        getattr(stage, way)("topic")

    assert heard == ["other"]
    assert (subscription.calls, subscription.failures) == (1, 1)
    assert str(subscription.last_error).startswith("Unprintable: ")
    assert [event["log_failure"].type for event in events] == [Unprintable]


def test_the_last_error_keeps_nothing_of_the_failed_call_alive() -> None:
    subscription = EventLinker().subscribe(print, "topic")

    def call() -> ref[Order]:
        local = Order()
        try:
            raise ValueError("no")
        except ValueError as exc:
            subscription.failed(exc)
        return ref(local)

    assert call()() is None
    assert subscription.last_error == "ValueError: no"


# -- remove


def test_one_of_several_keys_is_removed() -> None:
    stage = Stage()
    subscription = stage.linker.subscribe(lambda *args: 1, Order, "a", "b.*")

    assert subscription.remove("a")

    assert subscription.keys == (Order, "b.*")
    assert subscription.active
    assert [stage.emit(event).values for event in (Order(), "a", "b.c")] == [[1], [], [1]]


def test_without_its_last_key_a_subscription_is_cancelled() -> None:
    stage = Stage()
    subscription = stage.linker.subscribe(print, Order, "a")
    stage.emitter.notify("a")

    assert subscription.remove(Order)
    assert subscription.remove("a")
    stage.clock.advance(0)

    assert (subscription.active, subscription.calls) == (False, 0)
    assert subscription.remove("a") is False
    assert subscription.cancel() is False
    assert stage.linker.subscriptions() == []


@pytest.mark.parametrize("key", ["b", "a.*", int, ..., (Order,)])
def test_a_key_it_does_not_listen_to_is_not_removed(key: Any) -> None:
    subscription = EventLinker().subscribe(print, Order, "a")

    assert subscription.remove(key) is False
    assert subscription.keys == (Order, "a")


@pytest.mark.parametrize("key", [..., (Order, ...), "#", Order])
def test_each_kind_of_key_can_be_removed(key: Any) -> None:
    linker = EventLinker()
    subscription = linker.subscribe(print, key, "a")

    assert subscription.remove(key)
    assert subscription.keys == ("a",)
    assert linker.subscriptions(key) == []


def test_a_key_may_be_removed_by_its_dotted_name() -> None:
    subscription = EventLinker().subscribe(print, Order, "a")

    assert subscription.remove("tests.test_subscription:Order")
    assert subscription.keys == ("a",)


@pytest.mark.parametrize(
    ("key", "error"),
    [(1, InvalidKey), (None, InvalidKey), ("", InvalidTopic), ("tests:Nothing", UnknownName)],
)
def test_what_is_no_key_cannot_be_removed(key: Any, error: type[Exception]) -> None:
    subscription = EventLinker().subscribe(print, "a")

    with pytest.raises(error):
        subscription.remove(key)

    assert subscription.keys == ("a",)


def test_an_event_emitted_before_its_key_was_removed_is_heard() -> None:
    stage = Stage()
    heard: list[int] = []
    subscription = stage.linker.subscribe(heard.append, "a", "b")
    stage.emitter.notify("a", 1)

    subscription.remove("a")
    stage.clock.advance(0)
    stage.notify("a", 2)

    assert heard == [1]


# -- threads


def slow_motion(frame: FrameType, event: str, arg: object) -> Any:
    """Trace the lines that end a subscription, and let other threads run between them."""
    if frame.f_code is not Subscription._end.__code__:
        return None
    sleep(0.0001)
    return slow_motion


def test_a_once_subscription_that_many_threads_claim_is_used_once() -> None:
    linker = EventLinker()
    threads, rounds = 8, 50
    subscriptions = [linker.subscribe(print, "topic", once=True) for _ in range(rounds)]
    claimed: list[Subscription] = []
    barrier = Barrier(threads, timeout=10)

    def claim() -> None:
        before = sys.gettrace()
        sys.settrace(slow_motion)
        try:
            for subscription in subscriptions:
                barrier.wait()
                if subscription.claim((), {}):
                    claimed.append(subscription)
        finally:
            sys.settrace(before)

    workers = [Thread(target=claim) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    assert claimed == subscriptions
    assert not any(subscription.active for subscription in subscriptions)
    assert linker.subscriptions() == []


def test_a_handler_that_is_cancelled_is_told_to_the_outcome_as_skipped() -> None:
    stage = Stage()
    subscription = stage.linker.subscribe(print, "topic")
    deferred = stage.emitter.emit("topic")

    subscription.cancel()
    stage.clock.advance(0)

    assert statuses(result_of(deferred)) == ["skipped"]
