"""What the tests of the core share: a stage to emit on, and a way to read the log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from twisted.internet.base import DelayedCall
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from zope.interface import implementer

from txevents import Envelope, EventLinker, Outcome, ReactorEmitter
from txevents.events import ENVELOPE

T = TypeVar("T")


class TurnClock(Clock):
    """A `Clock` that can be told to make one turn, and no more, as the reactor does."""

    def turn(self) -> None:
        """Make the calls that are due, and not those that they schedule."""
        for call in self.getDelayedCalls():
            assert isinstance(call, DelayedCall)
            if call.getTime() > self.seconds():
                continue
            self.calls.remove(call)
            call.called = 1
            call.func(*call.args, **call.kw)


class Stage:
    """A linker and an emitter on a clock of their own."""

    def __init__(self, **options: Any) -> None:
        self.clock = TurnClock()
        self.linker = EventLinker()
        self.emitter = ReactorEmitter(self.linker, self.clock, **options)

    def emit(self, event: object, /, *args: Any, **kwargs: Any) -> Outcome:
        """Emit, let the handlers run, and return the outcome; none of them may wait."""
        deferred = self.emitter.emit(event, *args, **kwargs)
        self.clock.advance(0)
        return result_of(deferred)

    def notify(self, event: object, /, *args: Any, **kwargs: Any) -> None:
        """Emit without an outcome, and let the handlers run."""
        self.emitter.notify(event, *args, **kwargs)
        self.clock.advance(0)


def result_of(deferred: Deferred[T]) -> T:
    """Return what `deferred` has fired with."""
    results: list[T] = []
    deferred.addCallback(results.append)
    assert results, f"{deferred} has not fired"
    return results[0]


@contextmanager
def logged() -> Iterator[list[LogEvent]]:
    """Collect what txevents logs."""
    events: list[LogEvent] = []

    @implementer(ILogObserver)
    def observe(event: LogEvent) -> None:
        if event.get("log_namespace", "").startswith("txevents."):
            events.append(event)

    globalLogPublisher.addObserver(observe)
    try:
        yield events
    finally:
        globalLogPublisher.removeObserver(observe)


@contextmanager
def carrying(envelope: Envelope) -> Iterator[None]:
    """Do as a source does: what is emitted in the block came in `envelope`."""
    token = ENVELOPE.set(envelope)
    try:
        yield
    finally:
        ENVELOPE.reset(token)


class Blocked:
    """A handler that waits until the test lets it go on; knows what happened to it."""

    def __init__(self, *, swallows: bool = False, raises: Exception | None = None) -> None:
        self.deferred: Deferred[str] = Deferred()
        self.seen: list[str] = []
        self._swallows = swallows
        self._raises = raises

    async def __call__(self) -> str:
        self.seen.append("started")
        try:
            return await self.deferred
        except CancelledError:
            self.seen.append("cancelled")
            if self._raises:
                raise self._raises from None
            if not self._swallows:
                raise
            return "swallowed"


def refuse(*args: object) -> None:
    raise ValueError("no")


def emitting(stage: Stage) -> Deferred[Outcome]:
    deferred = stage.emitter.emit("topic")
    stage.clock.advance(0)
    return deferred


def statuses(outcome: Outcome) -> list[str]:
    return [result.status for result in outcome.results]
