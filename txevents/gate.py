"""`Gate`: how many events a handler is at work on, and which wait."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

from twisted.internet.defer import Deferred

from txevents.errors import QueueFull
from txevents.policy import Policy

NO_KEY = object()  # of events that are not ordered


class Dropped(Exception):
    """An event was dropped from the queue, by the overflow rule of the policy."""


class Gate:
    """Lets events through to one handler: `concurrency` at a time, those of one key in turn.

    Events wait in the order they came. One that waits for its key does not hold up other keys.
    """

    def __init__(self, policy: Policy) -> None:
        self._free = policy.concurrency
        self._max_queue = policy.max_queue
        self._overflow = policy.overflow
        self._busy: set[Hashable] = set()
        # In a plain dictionary the way to the first item gets longer with each one taken out.
        self._waiting: OrderedDict[Deferred[None], Hashable] = OrderedDict()
        self._admitting = False

    def enter(self, key: Hashable = NO_KEY) -> Deferred[None]:
        """Return a Deferred that fires with `None` when the handler may start; then `leave`.

        It fails with `QueueFull` or `Dropped` when the queue is full, and may be cancelled. Raises
        `TypeError` at once for a key that is not hashable.
        """
        hash(key)  # in `leave` it would fail another event, and no other one would be let in
        entered: Deferred[None] = Deferred(self._withdraw)
        # What is let in may enter another one, which shall not overtake those that wait.
        if self._may_start(key) and not self._admitting:
            self._start(key)
            entered.callback(None)
        elif len(self._waiting) < self._max_queue:
            self._waiting[entered] = key
        elif self._overflow == "error":
            entered.errback(QueueFull(f"{self._max_queue} events wait for the handler already"))
        elif self._overflow == "drop_newest":
            entered.errback(Dropped())
        else:
            oldest = next(iter(self._waiting))
            del self._waiting[oldest]
            self._waiting[entered] = key
            oldest.errback(Dropped())
        return entered

    def leave(self, key: Hashable = NO_KEY) -> None:
        """Say that the handler has finished with an event that had entered."""
        if self._free is not None:
            self._free += 1
        self._busy.discard(key)
        # What is let in here may finish at once and leave, within `callback`: no deeper than that.
        if not self._admitting:
            self._admitting = True
            try:
                while (entered := self._next()) is not None:
                    entered.callback(None)
            finally:
                self._admitting = False

    def _next(self) -> Deferred[None] | None:
        for entered, key in self._waiting.items():
            if self._may_start(key):
                del self._waiting[entered]
                self._start(key)
                return entered
            if self._free == 0:
                break
        return None

    def _may_start(self, key: Hashable) -> bool:
        return self._free != 0 and key not in self._busy

    def _start(self, key: Hashable) -> None:
        if self._free is not None:
            self._free -= 1
        if key is not NO_KEY:
            self._busy.add(key)

    def _withdraw(self, entered: Deferred[None]) -> None:
        self._waiting.pop(entered, None)
