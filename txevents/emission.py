"""One emission, an event on its way through its subscriptions, and its `Outcome`."""

from __future__ import annotations

from asyncio import CancelledError as FutureCancelled
from asyncio import isfuture
from collections.abc import Awaitable, Coroutine, Generator
from contextvars import Context, copy_context
from functools import partial
from types import coroutine
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

import msgspec
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from txevents.errors import HandlerTimeout
from txevents.events import topic_of
from txevents.gate import NO_KEY, Dropped
from txevents.subscription import Subscription

if TYPE_CHECKING:
    from txevents.emitters.base import EventEmitter

T = TypeVar("T")
Status = Literal["done", "failed", "skipped", "dropped", "cancelled"]


class Result(msgspec.Struct, eq=False):
    """What became of one subscription in an emission.

    * `status`: `"done"`; `"failed"`: the handler or a predicate raised `exception`; `"skipped"`: a
      predicate said no, or the subscription had been cancelled, muted or used up before its turn;
      `"dropped"`: the queue of its policy was full, and this was the rule for it;
      `"cancelled"`: the emission was, before the handler had finished.
    * `value`: what the handler returned, waited for.
    * `callback_exception`: what the `on_success` or `on_failure` callback raised.
    """

    subscription: Subscription
    status: Status
    value: Any = None
    exception: BaseException | None = None
    callback_exception: BaseException | None = None


class Outcome(msgspec.Struct, eq=False):
    """What became of an emission: `results` has one `Result` for each subscription, in order."""

    event: object
    results: tuple[Result, ...]

    @property
    def ok(self) -> bool:
        """Whether no handler and no callback failed, and none was dropped or cancelled."""
        return not self.exceptions and all(r.status in ("done", "skipped") for r in self.results)

    @property
    def values(self) -> list[Any]:
        """What the handlers that are done returned, in order of calling."""
        return [result.value for result in self.results if result.status == "done"]

    @property
    def exceptions(self) -> list[BaseException]:
        """What handlers and callbacks raised, in order of calling."""
        both = ((r.exception, r.callback_exception) for r in self.results)
        return [exc for pair in both for exc in pair if exc is not None]

    def raise_for_failures(self) -> None:
        """Raise an `ExceptionGroup` of `exceptions`, if there are any.

        It is a `BaseExceptionGroup` when one of them is no `Exception`.
        """
        if exceptions := self.exceptions:
            failed = [r for r in self.results if r.exception or r.callback_exception]
            first = f"{failed[0].subscription.name}: {type(exceptions[0]).__name__}"
            raise BaseExceptionGroup(
                f"{len(failed)} of {len(self.results)} handlers failed on {topic_of(self.event)}, "
                f"the first one {first}",
                exceptions,
            )


class Running:
    """A handler that has been called and has not finished; `deferred` fires with its `Result`."""

    __slots__ = ("cancelled", "deferred")

    def __init__(self) -> None:
        self.cancelled = False
        self.deferred: Deferred[Result]

    def cancel(self) -> None:
        """Cancel what the handler waits for."""
        self.cancelled = True
        self.deferred.cancel()


def begin(
    emitter: EventEmitter,
    subscription: Subscription,
    event: object,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Result | Running:
    """Call the handler of `subscription` with `args` and `kwargs`, if its policy lets it run.

    Returns the `Result`, or what is running when the handler, or a callback of its policy, has not
    finished. Each exception has been reported to `emitter`; only a `BaseException` that is no
    `Exception` is let through.
    """
    handler = subscription.plain
    if handler is None:
        running = Running()
        run = _run_under_policy(running, emitter, subscription, args, kwargs)
        return resume(emitter, subscription, event, run, running)
    subscription.calls += 1
    try:
        value = handler(*args, **kwargs)
        if value is None or not hasattr(value, "__await__"):
            return Result(subscription, "done", value)
    except Exception as exc:
        emitter.report_failure(exc, event, subscription)
        return Result(subscription, "failed", exception=exc)
    return resume(emitter, subscription, event, value)


def resume(
    emitter: EventEmitter,
    subscription: Subscription,
    event: object,
    awaitable: Awaitable[Any],
    running: Running | None = None,
) -> Result | Running:
    """Wait for what a handler returned, and settle: the rest of `begin`."""
    running = running or Running()
    settling = _settle(running, emitter, subscription, event, awaitable)
    # A coroutine that never waits ends in its first step: 0.6 us, where fromCoroutine takes 5.5.
    # All steps are taken in one context, or the coroutine could not reset its context variables.
    context = copy_context()
    try:
        pending = context.run(settling.send, None)
    except StopIteration as stop:
        result: Result = stop.value
        return result
    running.deferred = Deferred.fromCoroutine(_continued(settling, pending, context))
    running.deferred.addErrback(_broken, emitter, subscription, event)
    return running


def _broken(
    failure: Failure, emitter: EventEmitter, subscription: Subscription, event: object
) -> Result:
    """Settle a handler that raised a `BaseException` that is no `Exception` after it had waited."""
    exception = cast(BaseException, failure.value)
    emitter.report_failure(exception, event, subscription)
    return Result(subscription, "failed", exception=exception)


async def _settle(
    running: Running,
    emitter: EventEmitter,
    subscription: Subscription,
    event: object,
    awaitable: Awaitable[Any],
) -> Result:
    policy = subscription.policy
    argument: Any
    try:
        value = await _awaitable(awaitable)
    except Dropped:
        return Result(subscription, "dropped")
    except (Exception, FutureCancelled) as exc:
        if running.cancelled and isinstance(exc, CancelledError | FutureCancelled):
            return Result(subscription, "cancelled", exception=exc)
        emitter.report_failure(exc, event, subscription)
        result = Result(subscription, "failed", exception=exc)
        callback, argument = policy.on_failure, exc
    else:
        if value is _SKIPPED:
            return Result(subscription, "skipped")
        result = Result(subscription, "done", value)
        callback, argument = policy.on_success, value
    if callback is not None:
        try:
            returned = callback(argument)
            if hasattr(returned, "__await__"):
                await _awaitable(returned)
        except (Exception, FutureCancelled) as exc:
            emitter.report_failure(exc, event, subscription, callback)
            result.callback_exception = exc
    return result


_SKIPPED = object()


async def _run_under_policy(
    running: Running,
    emitter: EventEmitter,
    subscription: Subscription,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    """Return what the handler returns, waited for, or `_SKIPPED` if it shall not be called."""
    if not subscription.claim(args, kwargs):
        return _SKIPPED
    gate = subscription.gate
    if gate is None:
        return await _attempt(running, emitter, subscription, args, kwargs)
    ordered_by = subscription.policy.ordered_by
    key: Any = NO_KEY if ordered_by is None else ordered_by(*args, **kwargs)
    await gate.enter(key)
    collected = False
    try:
        return await _attempt(running, emitter, subscription, args, kwargs)
    except GeneratorExit:
        collected = True  # as garbage, with its emitter: what queues shall not start because of it
        raise
    finally:
        if not collected:
            gate.leave(key)


async def _attempt(
    running: Running,
    emitter: EventEmitter,
    subscription: Subscription,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    retry = subscription.policy.retry
    attempt = 0
    while not subscription.silent:
        attempt += 1
        subscription.calls += 1
        try:
            value = subscription.handler(*args, **kwargs)
            if hasattr(value, "__await__"):
                value = await _within_timeout(emitter, subscription, _awaitable(value))
            return value
        except Exception as exc:
            if retry is None or running.cancelled:
                raise
            delay = retry.delay_after(attempt, exc)
            if delay is None:
                raise
            emitter.report_retry(exc, subscription, attempt, delay)
        await deferLater(emitter.reactor, delay)
    return _SKIPPED


def _within_timeout(
    emitter: EventEmitter, subscription: Subscription, awaitable: Awaitable[Any]
) -> Awaitable[Any]:
    timeout = subscription.policy.timeout
    if timeout is None:
        return awaitable

    async def wait() -> Any:
        return await awaitable

    return Deferred.fromCoroutine(wait()).addTimeout(timeout, emitter.reactor, _timed_out)


def _timed_out(result: Any, timeout: float) -> Any:
    """Make a `HandlerTimeout` of the cancelling; a handler that returned all the same has done."""
    if isinstance(result, Failure) and result.check(CancelledError):
        raise HandlerTimeout(f"the handler took longer than {timeout} s")
    return result


def _awaitable(returned: Any) -> Any:
    """Return what Deferred's coroutines can wait for: a Deferred in place of an asyncio future."""
    return Deferred.fromFuture(returned) if isfuture(returned) else returned


@coroutine
def _continued(
    stepped: Coroutine[Any, Any, T], pending: Any, context: Context
) -> Generator[Any, Any, T]:
    """Go on with a coroutine whose first step, taken in `context`, has yielded `pending`."""
    while True:
        try:
            received = yield _awaitable(pending)
        except GeneratorExit:
            stepped.close()  # which may have been collected, and so closed, before
            raise
        except BaseException as exc:
            step = partial(stepped.throw, exc)
        else:
            step = partial(stepped.send, received)
        try:
            pending = context.run(step)
        except StopIteration as stop:
            return cast(T, stop.value)


class Emission:
    """One event on its way through its subscriptions, for emitters.

    `start` runs the handlers; `deferred` fires with the `Outcome` when each has settled.
    """

    __slots__ = (
        "_emitter",
        "_pending",
        "_results",
        "_running",
        "_stopped",
        "args",
        "deferred",
        "event",
        "kwargs",
        "subscriptions",
    )

    def __init__(
        self,
        emitter: EventEmitter,
        event: object,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        subscriptions: tuple[Subscription, ...],
    ) -> None:
        self._emitter = emitter
        self.event = event
        self.args = args
        self.kwargs = kwargs
        self.subscriptions = subscriptions
        self._results: list[Result | None] = [None] * len(subscriptions)
        self._running: dict[int, Running] = {}
        # One more than there are handlers to settle, until all of them have been started.
        self._pending = len(subscriptions) + 1
        self._stopped = False
        self.deferred: Deferred[Outcome] = Deferred(self._cancel)

    def start(self) -> None:
        """Start each handler in turn, in the current context; asynchronous ones then overlap.

        Lets a `BaseException` that is no `Exception`, such as `SystemExit`, through when the rest
        has been cancelled.
        """
        for index, subscription in enumerate(self.subscriptions):
            if self._stopped:
                self._settle(index, Result(subscription, "cancelled"))
                continue
            try:
                begun = begin(self._emitter, subscription, self.event, self.args, self.kwargs)
            except BaseException as exc:
                self._results[index] = Result(subscription, "failed", exception=exc)
                self._cancel(self.deferred)
                raise
            if isinstance(begun, Result):
                self._settle(index, begun)
            else:
                self._wait_for(index, begun)
        self._countdown()

    def _wait_for(self, index: int, running: Running) -> None:
        self._running[index] = running
        running.deferred.addCallback(partial(self._settle, index))
        if self._stopped:  # by what the handler did before it waited
            running.cancel()

    def _settle(self, index: int, result: Result) -> None:
        if self._results[index] is not None:
            return  # given up as cancelled before
        self._results[index] = result
        self._running.pop(index, None)
        if result.status == "failed" and self._emitter.on_error == "stop":
            self._stop()
        self._countdown()

    def _countdown(self) -> None:
        self._pending -= 1
        if not self._pending:
            self._emitter._settled(self)
            self.deferred.callback(Outcome(self.event, tuple(filter(None, self._results))))

    def _stop(self) -> None:
        self._stopped = True
        for running in list(self._running.values()):
            running.cancel()

    def _cancel(self, deferred: Deferred[Outcome]) -> None:
        """Stop; a handler that will not be cancelled is left to itself."""
        self._stop()
        if not self.deferred.called:
            for index, subscription in enumerate(self.subscriptions):
                if self._results[index] is None:
                    self._results[index] = Result(subscription, "cancelled")
            self._pending = 1
            self._countdown()
