"""`ClockEmitter`: a `ReactorEmitter` whose time the test makes pass."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any

from twisted.internet.task import Clock

from txevents.emission import Emission
from txevents.emitters.reactor import ReactorEmitter
from txevents.errors import EndlessEvents
from txevents.linker import EventLinker
from txevents.testing.recording import Emitted

LISTED = 10


class TurningClock(Clock):
    """A `Clock` on which calls are made as the reactor makes them: each at its time, in turns.

    Twisted's own `advance` jumps to the end first, so that what is due on the way is late and what
    it schedules comes later still; and with calls that schedule each other it never returns.
    """

    def __init__(self, max_turns: int, describe: Callable[[], str]) -> None:
        super().__init__()
        self._max_turns = max_turns
        self._describe = describe

    def advance(self, amount: float) -> None:
        """Let `amount` seconds pass, and make the calls that are due meanwhile or now.

        Raises `EndlessEvents` when calls go on scheduling calls and no time passes.
        """
        end = self.rightNow + amount
        self._make_calls_due()
        while (due := min((call.getTime() for call in self.calls), default=inf)) <= end:
            self.rightNow = max(self.rightNow, due)
            self._make_calls_due()
        self.rightNow = max(self.rightNow, end)

    def _make_calls_due(self) -> None:
        for _ in range(self._max_turns):
            turn = [call for call in self.calls if call.getTime() <= self.rightNow]
            if not turn:
                return
            for call in turn:
                if call.active() and call.getTime() <= self.rightNow:
                    self.calls.remove(call)
                    call.called = 1
                    call.func(*call.args, **call.kw)
        raise EndlessEvents(f"after {self._max_turns} turns at one time {self._describe()}")


class ClockEmitter(ReactorEmitter):
    """A `ReactorEmitter` on a `Clock` of its own, `clock`: nothing happens until the test says so.

    * `max_turns`: how many turns of the reactor may follow each other at one time.
    * `options`: those of `ReactorEmitter`.
    """

    def __init__(
        self, linker: EventLinker | None = None, *, max_turns: int = 1000, **options: Any
    ) -> None:
        self.clock: Clock = TurningClock(max_turns, self._describe_due)
        super().__init__(linker, self.clock, **options)

    def flush(self) -> None:
        """Dispatch every event that is due now, and the events that their handlers emit.

        Raises `EndlessEvents` when events go on emitting events. Time stands still.
        """
        self.clock.advance(0)

    def advance(self, seconds: float) -> None:
        """Dispatch what is due, then let `seconds` pass: what waits for its time runs at its time.

        Raises `EndlessEvents` as `flush` does.
        """
        self.clock.advance(seconds)

    def assert_idle(self) -> None:
        """Raise `AssertionError` if an event waits for its turn, or for a handler to finish."""
        __tracebackhide__ = True
        if not self.in_flight:
            return
        waiting = self._waiting_events()
        number = self.in_flight
        lines = ["1 event is not handled:" if number == 1 else f"{number} events are not handled:"]
        lines += [f"    {event} waits for its turn: call flush()" for event in waiting[:LISTED]]
        running = sorted(
            str(Emitted.from_call(r.event, r.args, r.kwargs))
            if isinstance(r, Emission)
            else "an event"
            for r in self._running
        )
        lines += [f"    {event} has a handler that has not finished" for event in running[:LISTED]]
        if number >= len(lines):
            lines.append(f"    and {number + 1 - len(lines)} more")
        raise AssertionError("\n".join(lines))

    def _waiting_events(self) -> list[Emitted]:
        return [Emitted.from_call(*waiting) for waiting in self.waiting_events()]

    def _describe_due(self) -> str:
        if waiting := self._waiting_events():
            different = list(dict.fromkeys(map(str, waiting)))
            more = ", ..." if len(different) > LISTED else ""
            listed = ", ".join(different[:LISTED])
            return f"handlers still emit events: {listed}{more}"
        due = [call for call in self.clock.calls if call.getTime() <= self.clock.seconds()]
        return f"calls still schedule calls: {', '.join(map(str, due[:LISTED]))}"
