"""Every kind of callable may be a handler, and each is called alike."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from functools import partial
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, inlineCallbacks, succeed

from tests.core_helpers import Stage, logged, result_of


class Event:
    pass


def plain(*args: Any, **kwargs: Any) -> Any:
    return args, kwargs


async def at_once(*args: Any, **kwargs: Any) -> Any:
    return args, kwargs


async def after_a_fired_deferred(*args: Any, **kwargs: Any) -> Any:
    return await succeed((args, kwargs))


def deferred(*args: Any, **kwargs: Any) -> Deferred[Any]:
    return succeed((args, kwargs))


@inlineCallbacks
def inline_callbacks(*args: Any, **kwargs: Any) -> Generator[Deferred[Any], Any, Any]:
    yield succeed(None)
    return args, kwargs


class Handlers:
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return args, kwargs

    def method(self, *args: Any, **kwargs: Any) -> Any:
        return args, kwargs

    async def async_method(self, *args: Any, **kwargs: Any) -> Any:
        return args, kwargs

    @classmethod
    def class_method(cls, *args: Any, **kwargs: Any) -> Any:
        return args, kwargs

    @staticmethod
    def static_method(*args: Any, **kwargs: Any) -> Any:
        return args, kwargs


class AsyncHandler:
    async def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return args, kwargs


class Awaitable:
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._call = args, kwargs

    def __await__(self) -> Iterator[Any]:
        return after_a_fired_deferred(*self._call[0], **self._call[1]).__await__()


HANDLERS = [
    plain,
    at_once,
    after_a_fired_deferred,
    deferred,
    inline_callbacks,
    Handlers(),
    Handlers().method,
    Handlers().async_method,
    Handlers.class_method,
    Handlers.static_method,
    AsyncHandler(),
    Awaitable,
    lambda *args, **kwargs: (args, kwargs),
    partial(plain),
    partial(at_once),
]
POLICIES: list[dict[str, Any]] = [{}, {"where": lambda *args, **kwargs: True}]


@pytest.mark.parametrize("handler", HANDLERS)
@pytest.mark.parametrize("policy", POLICIES, ids=["plain", "with a policy"])
def test_each_kind_of_handler_is_called_with_the_arguments(
    handler: Any, policy: dict[str, Any]
) -> None:
    stage = Stage()
    stage.linker.subscribe(handler, Event, "topic", **policy)
    event = Event()

    with logged() as events:
        assert stage.emit("topic").values == [((), {})]
        assert stage.emit("topic", 1, word=2).values == [((1,), {"word": 2})]
        assert stage.emit(event).values == [((event,), {})]
        assert stage.emit(event, 1, word=2).values == [((event, 1), {"word": 2})]
    assert events == []


@pytest.mark.parametrize("emitted", [("topic",), ("topic", 1), (Event(),), (Event(), 1)])
@pytest.mark.parametrize("word", [{}, {"event": 1, "self": 2, "args": 3}])
@pytest.mark.parametrize("on_error", ["continue", "stop"])
@pytest.mark.parametrize("policy", POLICIES, ids=["plain", "with a policy"])
def test_handlers_are_notified_with_the_same_arguments(
    emitted: tuple[Any, ...], word: dict[str, Any], on_error: str, policy: dict[str, Any]
) -> None:
    stage = Stage(on_error=on_error)
    calls: list[Any] = []
    stage.linker.subscribe(
        lambda *args, **kwargs: calls.append((args, kwargs)), Event, "topic", **policy
    )

    for _ in range(2):  # the second time from the cache
        stage.notify(*emitted, **word)

    arguments = emitted[1:] if isinstance(emitted[0], str) else emitted
    assert calls == [(arguments, word)] * 2


def test_a_class_makes_an_instance_of_each_event() -> None:
    class View:
        def __init__(self, event: Event) -> None:
            self.event = event

    stage = Stage()
    stage.linker.subscribe(View, Event)
    event = Event()

    [view] = stage.emit(event).values
    assert isinstance(view, View)
    assert view.event is event


def test_a_partial_has_its_arguments_first() -> None:
    stage = Stage()
    stage.linker.subscribe(partial(plain, "first", word=1), "topic")

    assert stage.emit("topic", "second", other=2).values == [
        (("first", "second"), {"word": 1, "other": 2})
    ]


def waiting_coroutine(blocked: Deferred[str]) -> Callable[[], object]:
    async def wait() -> str:
        return await blocked

    return wait


def waiting_inline_callbacks(blocked: Deferred[str]) -> Callable[[], object]:
    @inlineCallbacks
    def wait() -> Generator[Deferred[str], str, str]:
        result = yield blocked
        return result

    return wait


def waiting_deferred(blocked: Deferred[str]) -> Callable[[], object]:
    return lambda: blocked


WAITING = [waiting_coroutine, waiting_inline_callbacks, waiting_deferred]
Make = Callable[[Deferred[str]], Callable[[], object]]


@pytest.mark.parametrize("make", WAITING)
@pytest.mark.parametrize("policy", [{}, {"where": lambda: True}])
def test_a_handler_that_waits_is_waited_for(make: Make, policy: dict[str, Any]) -> None:
    stage = Stage()
    blocked: Deferred[str] = Deferred()
    stage.linker.subscribe(make(blocked), "topic", **policy)
    stage.linker.subscribe(lambda: "not waiting", "topic")
    emitting = stage.emitter.emit("topic")
    stage.clock.advance(0)

    assert not emitting.called
    blocked.callback("waited")
    assert result_of(emitting).values == ["waited", "not waiting"]


@pytest.mark.parametrize("make", WAITING)
@pytest.mark.parametrize("way", ["emit", "notify"])
def test_a_handler_that_fails_after_it_waited_is_reported(make: Make, way: str) -> None:
    stage = Stage()
    blocked: Deferred[str] = Deferred()
    subscription = stage.linker.subscribe(make(blocked), "topic")
    error = ValueError("no")

    with logged() as events:
        emitting = getattr(stage.emitter, way)("topic")
        stage.clock.advance(0)
        assert events == []
        blocked.errback(error)

    assert [event["log_failure"].value for event in events] == [error]
    assert events[0]["subscription"] is subscription
    if way == "emit":
        assert result_of(emitting).exceptions == [error]
    assert stage.emitter.in_flight == 0


def test_a_handler_may_wait_many_times() -> None:
    stage = Stage()
    steps: list[Deferred[int]] = [Deferred() for _ in range(3)]

    async def total() -> int:
        result = 0
        for step in steps:
            try:
                result += await step
            except ValueError:
                result += 100
        return result

    stage.linker.subscribe(total, "topic")
    emitting = stage.emitter.emit("topic")
    stage.clock.advance(0)
    steps[0].callback(1)
    steps[1].errback(ValueError())
    steps[2].callback(10)

    assert result_of(emitting).values == [111]


def test_handlers_of_one_event_overlap() -> None:
    stage = Stage()
    blocked: list[Deferred[str]] = [Deferred(), Deferred()]
    ended: list[str] = []

    for wait in blocked:

        @stage.linker.on("topic")
        async def hear(wait: Deferred[str] = wait) -> str:
            ended.append(await wait)
            return ended[-1]

    emitting = stage.emitter.emit("topic")
    stage.clock.advance(0)
    blocked[1].callback("second")
    blocked[0].callback("first")

    assert ended == ["second", "first"]
    assert result_of(emitting).values == ["first", "second"]


def refuse() -> None:
    raise ValueError("no")


async def refuse_at_once() -> None:
    raise ValueError("no")


async def refuse_after_a_fired_deferred() -> None:
    await succeed(None)
    raise ValueError("no")


class Sulking:
    """A value that cannot even be asked what it is."""

    def __getattr__(self, name: str) -> Any:
        raise ValueError("no")


REFUSING = [
    refuse,
    refuse_at_once,
    refuse_after_a_fired_deferred,
    lambda: fail(ValueError("no")),
    Sulking,
]


@pytest.mark.parametrize("handler", REFUSING)
@pytest.mark.parametrize("way", ["emit", "notify"])
@pytest.mark.parametrize("policy", [{}, {"where": lambda: True}])
def test_a_failure_does_not_stop_the_others(
    handler: Callable[[], object], way: str, policy: dict[str, Any]
) -> None:
    stage = Stage()
    heard: list[str] = []
    stage.linker.subscribe(lambda: heard.append("before"), "topic")
    stage.linker.subscribe(handler, "topic", **policy)
    stage.linker.subscribe(lambda: heard.append("after"), "topic")

    with logged() as events:
        getattr(stage, way)("topic")

    assert heard == ["before", "after"]
    assert [str(event["log_failure"].value) for event in events] == ["no"]


def test_a_handler_that_is_called_with_the_wrong_arguments_has_failed() -> None:
    stage = Stage()
    stage.linker.subscribe(lambda: None, "topic")

    [exception] = stage.emit("topic", 1).exceptions
    assert isinstance(exception, TypeError)
