"""Hygiene: a test that leaves something behind in the reactor fails, and says what."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from itertools import chain
from time import monotonic
from typing import Any
from weakref import WeakSet

import pytest
import pytest_twisted
from twisted.internet import defer, task
from twisted.internet.interfaces import IListeningPort
from twisted.logger import (
    ILogObserver,
    LogEvent,
    STDLibLogObserver,
    globalLogBeginner,
    globalLogPublisher,
)
from twisted.python.failure import Failure
from zope.interface import implementer

pytest_plugins = ["pytester"]

# Asynchronous trial tests cannot share a process with pytest-twisted: `tox -e trial` runs them.
collect_ignore = ["trial"]

GRACE = 0.5
"""Seconds a socket that is being closed may take for it."""

_failed: WeakSet[defer.DebugInfo] = WeakSet()


class _DebugInfo(defer.DebugInfo):
    """Twisted makes one for each Deferred that fails, and reports the failure when it is collected.

    Knowing them tells us when a garbage collection is worth its time: hardly ever.
    """

    def __init__(self) -> None:
        _failed.add(self)


def pytest_configure() -> None:
    defer.DebugInfo = _DebugInfo  # type: ignore[misc]
    # Twisted's log goes where pytest shows it. Unstarted, it would keep the last failures alive.
    globalLogBeginner.beginLoggingTo(
        [STDLibLogObserver()], discardBuffer=True, redirectStandardIO=False
    )


@implementer(ILogObserver)
class Hygiene:
    """What one test leaves behind. The reactor may already hold what wider fixtures need."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._errors: list[Failure] = []
        self._turn()  # starts the reactor, for the first test, and with it the wakers
        self._selectables_before = list(self._selectables())
        self._calls_before = [call.func for call in reactor.getDelayedCalls()]

    def flush(self, *types: type[BaseException]) -> list[Failure]:
        """The errors, of these types if any are given, that Twisted had to log; now forgiven."""
        self._collect_deferreds()
        flushed = [error for error in self._errors if not types or error.check(*types)]
        self._errors = [error for error in self._errors if error not in flushed]
        return flushed

    def __call__(self, event: LogEvent) -> None:
        """Note what nobody caught: in Deferreds, in delayed calls, in protocols.

        What txevents logs of its own accord is the business of the tests.
        """
        failure = event.get("log_failure")
        namespace = event.get("log_namespace", "")
        if failure is not None and (namespace == "log_legacy" or namespace.startswith("twisted.")):
            self._errors.append(failure)

    def leaks(self) -> list[str]:
        """Describe what is left, and remove it, so that the next test starts clean."""
        self._turn()
        if self._open() or self._pending():
            self._turn()
            self._turn()
        deadline = monotonic() + GRACE
        while self._open() and monotonic() < deadline:
            self._turn(0.005)
        found = []
        for call in self._pending():
            found.append(f"a delayed call: {call}")
            call.cancel()
        for selectable in self._open():
            found.append(f"an open port or connection: {selectable!r}")
            self._close(selectable)
        if found:
            self._turn()
        found += [f"an unhandled error: {error.getTraceback()}" for error in self.flush()]
        return found

    def _turn(self, seconds: float = 0) -> None:
        pytest_twisted.blockon(task.deferLater(self._reactor, seconds))

    def _selectables(self) -> Iterator[Any]:
        return chain(self._reactor.getReaders(), self._reactor.getWriters())

    def _open(self) -> list[Any]:
        new = {id(s): s for s in self._selectables() if s not in self._selectables_before}
        return list(new.values())

    def _pending(self) -> list[Any]:
        # What repeats itself in a wider fixture is a new call of the same function each time.
        calls = self._reactor.getDelayedCalls()
        return [c for c in calls if c.active() and c.func not in self._calls_before]

    def _close(self, selectable: Any) -> None:
        if IListeningPort.providedBy(selectable):
            pytest_twisted.blockon(defer.maybeDeferred(selectable.stopListening))
        elif hasattr(selectable, "abortConnection"):
            selectable.abortConnection()
        else:
            self._reactor.removeReader(selectable)
            self._reactor.removeWriter(selectable)

    def _collect_deferreds(self) -> None:
        if any(info.failResult is not None for info in _failed):
            gc.collect()


@pytest.fixture(autouse=True)
def hygiene(twisted_greenlet: object) -> Iterator[Hygiene]:
    """Fails the test that leaves something behind; ``hygiene.flush()`` forgives expected errors."""
    from twisted.internet import reactor

    hygiene = Hygiene(reactor)
    globalLogPublisher.addObserver(hygiene)
    try:
        yield hygiene
        leaks = hygiene.leaks()
    finally:
        globalLogPublisher.removeObserver(hygiene)
    if leaks:
        pytest.fail("\n".join(["the test left behind", *leaks]), pytrace=False)
