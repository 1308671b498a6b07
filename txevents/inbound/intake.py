"""The acceptance path that all sources share: from an `Envelope` to scheduled handlers."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import Deferred
from zope.interface import implementer

from txevents.emitters.reactor import ReactorEmitter
from txevents.events import ENVELOPE, Envelope
from txevents.interfaces import IIntake
from txevents.wire.problems import Refusal
from txevents.wire.typed import read_typed

# Accepted and unfinished events: past this, HTTP answers 503 and TCP is not read.
MAX_IN_FLIGHT = 10_000


@implementer(IIntake)
class Intake:
    """Gives each envelope to one emitter for each linker, as the class declared for its topic.

    A message whose topic is declared by an `@event` class that a subscription reaches arrives as an
    instance of the class; any other arrives as the `Envelope`. `max_in_flight` bounds the events
    that are accepted and not finished.
    """

    def __init__(
        self, emitters: Sequence[ReactorEmitter], max_in_flight: int = MAX_IN_FLIGHT
    ) -> None:
        self._emitters = tuple(emitters)
        self._max_in_flight = max_in_flight

    @property
    def in_flight(self) -> int:
        """How many events are accepted and not finished, in the emitter that has the most."""
        return max([emitter.in_flight for emitter in self._emitters])

    @property
    def room(self) -> int:
        """How many more events may be accepted now; see `IIntake`."""
        return self._max_in_flight - self.in_flight

    def accept(self, envelope: Envelope) -> None:
        """Check and schedule one event if there is room; see `IIntake`.

        Raises `Refusal`: 422 when the data does not fit the declared class, 503 without room.
        """
        if self.room <= 0:
            raise Refusal(
                503, "too many events are unfinished: send this one again later", Retry_After="1"
            )
        self.schedule(envelope)

    def schedule(self, envelope: Envelope) -> None:
        """Check and schedule one event; see `IIntake`.

        Raises `Refusal`: 422 when the data does not fit the declared class.
        """
        # All are read before any is scheduled: a refused event has run no handler.
        events: list[object] = []
        for emitter in self._emitters:
            cls = emitter.linker.class_for(envelope.type)
            events.append(envelope if cls is None else read_typed(envelope, cls))
        token = ENVELOPE.set(envelope)
        try:
            for emitter, event in zip(self._emitters, events, strict=True):
                emitter.notify(event)
        finally:
            ENVELOPE.reset(token)

    def when_ready(self) -> Deferred[None]:
        """Return a Deferred that fires with `None` once there is room."""
        return self._when_below(self._max_in_flight)

    def when_idle(self) -> Deferred[None]:
        """Return a Deferred that fires with `None` once nothing is in flight."""
        return self._when_below(1)

    def _when_below(self, limit: int) -> Deferred[None]:
        return Deferred.fromCoroutine(self._wait_below(limit))

    async def _wait_below(self, limit: int) -> None:
        while self.in_flight >= limit:
            for emitter in self._emitters:
                await emitter.when_in_flight_below(limit)
