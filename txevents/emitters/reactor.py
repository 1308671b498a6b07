"""`ReactorEmitter`: runs handlers on the reactor, some turns later, in batches."""

from __future__ import annotations

from collections.abc import Iterator
from contextvars import Context, copy_context
from itertools import islice
from operator import length_hint
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from txevents.emission import Emission, Result, Running, begin, resume
from txevents.emitters.base import EventEmitter, OnError, OnFailure
from txevents.linker import EventLinker, Plan

# What one turn of the reactor dispatches at most, so that a storm of events leaves I/O its turn.
MAX_BATCH = 1000

# A context and, for `notify`: plan, event, arguments (None for an event alone); for `emit`: None
# and the emission.
_Queued = tuple[Context, Plan | None, Any, tuple[Any, ...] | None, Any]


class ReactorEmitter(EventEmitter):
    """The default emitter: handlers run on the reactor thread, never inside `emit` or `notify`.

    Events are dispatched in the order they were emitted, in one `callLater` for each batch. Events
    emitted while a batch is dispatched go into the next one. The handlers of one event start in one
    turn of the reactor, in the `contextvars` context that the event was emitted in. `reactor=None`
    means the installed one, looked up when the first event is emitted.
    """

    def __init__(
        self,
        linker: EventLinker | None = None,
        reactor: IReactorTime | None = None,
        *,
        on_error: OnError = "continue",
        on_failure: OnFailure | None = None,
    ) -> None:
        super().__init__(linker, on_error=on_error, on_failure=on_failure)
        self._reactor = reactor
        # What arrives is a list, and the one before it is walked: a fifth of the cost of a `notify`
        # was that of a deque.
        self._queue: list[_Queued] = []
        self._batch: Iterator[_Queued] = iter(())
        self._scheduled = False
        self._running: set[Running | Emission] = set()
        self._waiting: list[tuple[int, Deferred[None]]] = []

    def _linker_replaced(self) -> None:
        # The linker clears these dictionaries and never replaces them.
        self._object_plans = self.linker.plans.objects
        self._topic_plans = self.linker.plans.topics

    @property
    def in_flight(self) -> int:
        """How many events wait for their turn or have a handler that has not finished.

        For `notify`, each handler that has not finished counts.
        """
        return length_hint(self._batch) + len(self._queue) + len(self._running)

    def when_in_flight_below(self, limit: int) -> Deferred[None]:
        """Return a Deferred that fires with `None` once `in_flight` is below `limit`."""
        deferred: Deferred[None] = Deferred(self._stop_waiting)
        self._waiting.append((limit, deferred))
        self._wake_waiting()
        return deferred

    # This repeats what the base class does by way of an Emission: without one, and its Deferred, a
    # notification costs a fifth (0.28 us against 1.5, one handler that does nothing).
    def notify(self, event: object, /, *args: Any, **kwargs: Any) -> None:
        """Emit and forget: failures go to the `on_failure` callbacks and to the log.

        Takes and raises what `emit` does.
        """
        if args or kwargs or type(event) is str:
            self._notify_slowly(event, args, kwargs)
            return
        try:
            # A dictionary look-up where `providedBy` would cost as much as all the rest.
            plan = self._object_plans[event.__provides__]  # type: ignore[attr-defined]
        except Exception:
            self._notify_slowly(event, args, kwargs)
            return
        if plan:
            self._queue.append((copy_context(), plan, event, None, kwargs))
            if not self._scheduled:
                self._schedule()

    def _notify_slowly(self, event: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        plan = self._topic_plans.get(event) if type(event) is str else None
        if plan is None:
            plan = self.linker.subscriptions_for(event)
        if plan:
            call_args = args if isinstance(event, str) else (event, *args)
            self._queue.append((copy_context(), plan, event, call_args, kwargs))
            if not self._scheduled:
                self._schedule()

    def _process(self, emission: Emission) -> None:
        self._queue.append((copy_context(), None, emission, None, None))
        if not self._scheduled:
            self._schedule()

    def _schedule(self) -> None:
        if self._reactor is None:
            # Importing it earlier would install it, and defeat `twistd --reactor`.
            from twisted.internet import reactor

            self._reactor = cast(IReactorTime, reactor)
        self._scheduled = True
        self._reactor.callLater(0, self._dispatch_batch)

    def _dispatch_batch(self) -> None:
        if not length_hint(self._batch):
            self._batch, self._queue = iter(self._queue), []
        dispatch = self._dispatch if self.on_error == "continue" else self._dispatch_until_failure
        try:
            for queued in islice(self._batch, MAX_BATCH):
                queued[0].run(dispatch, queued)
        finally:
            self._scheduled = False
            if self._queue or length_hint(self._batch):
                self._schedule()
            if self._waiting:
                self._wake_waiting()

    def _start(self, emission: Emission) -> None:
        if not emission.deferred.called:  # or it was cancelled while it was queued
            self._running.add(emission)
            emission.start()

    def _settled(self, emission: Emission) -> None:
        self._running.discard(emission)
        if self._waiting:
            self._wake_waiting()

    def _dispatch(self, queued: _Queued) -> None:
        _, plan, event, args, kwargs = queued
        if plan is None:
            self._start(event)
            return
        for subscription in plan:
            handler = subscription.plain
            if handler is None:
                call_args = (event,) if args is None else args
                begun = begin(self, subscription, event, call_args, kwargs)
            else:
                try:
                    value = handler(event) if args is None else handler(*args, **kwargs)
                    if value is None or not hasattr(value, "__await__"):
                        continue
                except Exception as exc:
                    self.report_failure(exc, event, subscription)
                    continue
                begun = resume(self, subscription, event, value)
            if isinstance(begun, Running):
                self._running.add(begun)
                begun.deferred.addCallback(self._finished, begun)

    def _dispatch_until_failure(self, queued: _Queued) -> None:
        _, plan, event, args, kwargs = queued
        if plan is None:
            self._start(event)
        else:
            self._start(Emission(self, event, (event,) if args is None else args, kwargs, plan))

    def _finished(self, result: Result, running: Running) -> None:
        self._running.discard(running)
        if self._waiting:
            self._wake_waiting()

    def _wake_waiting(self) -> None:
        # Who is woken may emit and so fill up again, ask again, or stop another one from waiting.
        for item in list(self._waiting):
            limit, deferred = item
            if self.in_flight < limit and item in self._waiting:
                self._waiting.remove(item)
                deferred.callback(None)

    def _stop_waiting(self, deferred: Deferred[None]) -> None:
        self._waiting = [item for item in self._waiting if item[1] is not deferred]
