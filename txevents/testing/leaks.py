"""`leak_check`: what a test leaves behind in the reactor makes it fail."""

from __future__ import annotations

import gc
from collections.abc import Callable, Coroutine, Iterator
from itertools import chain
from time import monotonic
from types import TracebackType
from typing import Any, Self
from weakref import WeakSet

from twisted.internet import defer, task
from twisted.internet.interfaces import IListeningPort
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from twisted.python.failure import Failure
from zope.interface import implementer

from txevents.errors import LeakError

GRACE = 0.5
"""Seconds a socket that is being closed may take for it."""

Wait = Callable[[defer.Deferred[Any]], Any]


def leak_check(reactor: Any = None, *, wait: Wait | None = None) -> LeakCheck:
    """Return a context manager that raises `LeakError` for what its block leaves behind.

    That is: delayed calls, open ports and connections, failures of Deferreds that nobody handled,
    and other errors that Twisted had to log. They are removed, so that the next test starts clean.
    An error of the block itself goes on its way, with a note of what was left behind.

    The reactor, `None` is the installed one, gets a few turns for what is about to end. Where it
    runs already, as in an asynchronous test, that takes `async with`. `wait` is a function that
    returns when a Deferred has fired, such as `pytest_twisted.blockon` in a pytest fixture;
    `None` iterates the reactor. `reactor` may be a `Clock` too.
    """
    return LeakCheck(reactor, wait)


@implementer(ILogObserver)
class _Errors:
    """Notes what nobody caught: in Deferreds, in delayed calls, in protocols.

    Not what txevents logs of its own accord: an `Outcome` has that, and tests look there.
    """

    def __init__(self) -> None:
        self.failures: list[Failure] = []

    def __call__(self, event: LogEvent) -> None:
        failure = event.get("log_failure")
        namespace = event.get("log_namespace", "")
        if failure is not None and (namespace == "log_legacy" or namespace.startswith("twisted.")):
            self.failures.append(failure)


class LeakCheck:
    """What a block leaves behind: see `leak_check`. The reactor may hold other things before it."""

    def __init__(self, reactor: Any, wait: Wait | None) -> None:
        self._reactor = reactor
        self._wait = wait
        self._errors = _Errors()
        # The debugging information of each Deferred that fails: Twisted reports the failure when
        # this is collected. It tells when a garbage collection is worth its time: hardly ever.
        self._failed: WeakSet[defer.DebugInfo] = WeakSet()

    def flush(self, *types: type[BaseException]) -> list[Failure]:
        """Return the errors noted so far, of these types if any are given; they are forgiven."""
        if any(info.failResult is not None for info in self._failed):
            gc.collect()
        failures = self._errors.failures
        flushed = [error for error in failures if not types or error.check(*types)]
        self._errors.failures = [error for error in failures if error not in flushed]
        return flushed

    def __enter__(self) -> Self:
        if self._wait is None and getattr(self._installed_reactor(), "running", False):
            raise RuntimeError(
                "the reactor is running, and `with` cannot wait for it: "
                "use `async with leak_check()`, or the pytest fixture event_leak_check"
            )
        self._block(self._begin())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        __tracebackhide__ = True
        self._report(self._block(self._end()), exc)

    async def __aenter__(self) -> Self:
        await self._begin()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        __tracebackhide__ = True
        self._report(await self._end(), exc)

    def _report(self, leaks: list[str], exc: BaseException | None) -> None:
        __tracebackhide__ = True
        if leaks and exc is None:
            raise LeakError(leaks)
        if leaks and exc is not None:
            exc.add_note(str(LeakError(leaks)))

    async def _begin(self) -> None:
        self._installed_reactor()
        await self._turn()  # the first one of all starts the reactor, and with it the wakers
        self._selectables_before = list(self._selectables())
        self._calls_before = [call.func for call in self._reactor.getDelayedCalls()]
        self._track_failed_deferreds()
        globalLogPublisher.addObserver(self._errors)

    async def _end(self) -> list[str]:
        try:
            return await self._leaks()
        finally:
            globalLogPublisher.removeObserver(self._errors)
            defer.DebugInfo = self._debug_info_before  # type: ignore[misc]

    def _track_failed_deferreds(self) -> None:
        self._debug_info_before = defer.DebugInfo
        failed = self._failed

        class DebugInfo(defer.DebugInfo):
            def __init__(self) -> None:
                super().__init__()
                failed.add(self)

        defer.DebugInfo = DebugInfo  # type: ignore[misc]

    async def _leaks(self) -> list[str]:
        """Describe what is left, and remove it."""
        await self._turn()
        if self._open() or self._pending():
            await self._turn()
            await self._turn()
        deadline = monotonic() + GRACE
        while self._open() and monotonic() < deadline:
            await self._turn(0.005)
        found = []
        for call in self._pending():
            found.append(f"a delayed call: {call}")
            call.cancel()
        for selectable in self._open():
            found.append(f"an open port or connection: {selectable!r}")
            await self._close(selectable)
        if found:
            await self._turn()
        errors = [error.getTraceback().rstrip() for error in self.flush()]
        return found + [f"an unhandled error: {traceback}" for traceback in errors]

    def _installed_reactor(self) -> Any:
        if self._reactor is None:
            from twisted.internet import reactor

            self._reactor = reactor
        return self._reactor

    async def _turn(self, seconds: float = 0) -> None:
        if isinstance(self._reactor, task.Clock):
            self._reactor.advance(0)
        else:
            await task.deferLater(self._reactor, seconds)

    def _block(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Do the work, and return its result, where the reactor does not run or `wait` is given."""
        deferred = defer.Deferred.fromCoroutine(work)
        if self._wait is not None:
            return self._wait(deferred)
        results: list[Any] = []
        deferred.addBoth(results.append)
        while not results:
            self._reactor.iterate(0.001)
        if isinstance(results[0], Failure):
            results[0].raiseException()
        return results[0]

    def _selectables(self) -> Iterator[Any]:
        reactor = self._reactor
        if not hasattr(reactor, "getReaders"):
            return iter(())
        return chain(reactor.getReaders(), reactor.getWriters())

    def _open(self) -> list[Any]:
        new = {id(s): s for s in self._selectables() if s not in self._selectables_before}
        return list(new.values())

    def _pending(self) -> list[Any]:
        # What repeats itself in a wider fixture is a new call of the same function each time.
        calls = self._reactor.getDelayedCalls()
        return [c for c in calls if c.active() and c.func not in self._calls_before]

    async def _close(self, selectable: Any) -> None:
        if IListeningPort.providedBy(selectable):
            await defer.maybeDeferred(selectable.stopListening)
        elif hasattr(selectable, "abortConnection"):
            selectable.abortConnection()
        else:
            self._reactor.removeReader(selectable)
            self._reactor.removeWriter(selectable)
