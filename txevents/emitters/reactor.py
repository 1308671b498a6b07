"""`ReactorEmitter`: runs handlers on the reactor, some turns later, in batches."""

from __future__ import annotations

from collections.abc import Iterator
from contextvars import copy_context
from copy import copy
from itertools import islice
from operator import length_hint
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from txevents.emission import Emission, Result, Running, begin, resume
from txevents.emitters.base import EventEmitter, OnError, OnFailure
from txevents.events import Envelope
from txevents.linker import EventLinker
from txevents.plans import Plan
from txevents.subscription import Subscription

# What one turn of the reactor dispatches at most, so that a storm of events leaves I/O its turn.
MAX_BATCH = 1000

_NO_KWARGS: dict[str, Any] = {}


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
        super().__init__(linker, reactor, on_error=on_error, on_failure=on_failure)
        # Three items for each event: its context, its plan, and the event; or the context, None,
        # and an Emission or the arguments of `_dispatch`. Against a deque of tuples this saves a
        # quarter of the cost of a `notify`: there is less for the garbage collector to follow.
        self._queue: list[Any] = []
        self._batch: Iterator[Any] = iter(())  # over the queue that is being dispatched
        self._scheduled = False
        self._running: set[Running | Emission] = set()
        self._waiting: list[tuple[int, Deferred[None]]] = []

    def _linker_replaced(self) -> None:
        # The linker clears these dictionaries and never replaces them.
        self._plans = self.linker.plans
        self._object_plans = self._plans.objects

    @property
    def in_flight(self) -> int:
        """How many events wait for their turn or have a handler that has not finished.

        For `notify`, each handler that has not finished counts.
        """
        return (length_hint(self._batch) + len(self._queue)) // 3 + len(self._running)

    def waiting_events(self) -> list[tuple[object, tuple[Any, ...], dict[str, Any]]]:
        """Return the events that wait for their turn, with what their handlers will be called."""
        found = []
        items = iter([*copy(self._batch), *self._queue])
        for _, plan, work in zip(items, items, items, strict=True):
            if plan is not None:
                found.append((work, (work,), _NO_KWARGS))
            elif isinstance(work, Emission):
                found.append((work.event, work.args, work.kwargs))
            else:
                found.append(work[1:])
        return found

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
        kind = type(event)
        if args or kwargs or kind is str:
            self._notify_slowly(event, args, kwargs)
            return
        try:
            # A look-up where `providedBy` would cost as much as all the rest.
            plan = self._object_plans[event.__provides__]  # type: ignore[attr-defined]
        except Exception:
            self._notify_slowly(event, args, kwargs)
            return
        if not plan:
            if kind is not Envelope:
                return
            plan = self._plans.envelopes.get(event.type, ())  # type: ignore[attr-defined]
            if not plan:
                self._notify_slowly(event, args, kwargs)
                return
        queue = self._queue
        queue.append(copy_context())
        queue.append(plan)
        queue.append(event)
        if not self._scheduled:
            self._schedule()

    def _notify_slowly(self, event: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        plan = None
        if type(event) is str:
            plan = self._plans.topics.get(event)
        if plan is None:
            plan = self.linker.subscriptions_for(event)
        if not plan:
            return
        if not isinstance(event, str):
            if not (args or kwargs):
                self._enqueue(plan, event)
                return
            args = (event, *args)
        self._enqueue(None, (plan, event, args, kwargs or _NO_KWARGS))

    def _process(self, emission: Emission) -> None:
        self._enqueue(None, emission)

    def _enqueue(self, plan: Plan | None, event: object) -> None:
        self._queue += (copy_context(), plan, event)
        if not self._scheduled:
            self._schedule()

    def _schedule(self) -> None:
        self._scheduled = True
        self.reactor.callLater(0, self._dispatch_batch)

    def _dispatch_batch(self) -> None:
        if not length_hint(self._batch):
            self._batch, self._queue = iter(self._queue), []
        batch = self._batch
        stop = self.on_error == "stop"
        try:
            for context, plan, event in islice(zip(batch, batch, batch, strict=True), MAX_BATCH):
                if plan is None:
                    context.run(self._work, event)
                elif (
                    len(plan) == 1
                    and (handler := (subscription := plan[0]).plain) is not None
                    and not stop
                ):
                    # `_dispatch` does this too; for the usual case, a call less saves a tenth.
                    subscription.calls += 1
                    try:
                        value = context.run(handler, event)
                        if value is None or not hasattr(value, "__await__"):
                            continue
                    except Exception as exc:
                        context.run(self.report_failure, exc, event, subscription)
                    else:
                        context.run(self._resume, subscription, event, value)
                else:
                    context.run(self._dispatch, plan, event, (event,), _NO_KWARGS)
        finally:
            self._scheduled = False
            if not length_hint(batch):
                self._batch = iter(())  # at its end, the old one may still hold the events
            if self._queue or length_hint(batch):
                self._schedule()
            if self._waiting:
                self._wake_waiting()

    def _work(self, work: Emission | tuple[Any, ...]) -> None:
        if isinstance(work, Emission):
            self._start(work)
        else:
            self._dispatch(*work)

    def _start(self, emission: Emission) -> None:
        if not emission.deferred.called:  # or it was cancelled while it was queued
            self._running.add(emission)
            emission.start()

    def _settled(self, emission: Emission) -> None:
        self._running.discard(emission)
        if self._waiting:
            self._wake_waiting()

    def _dispatch(
        self, plan: Plan, event: object, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        if self.on_error == "stop":
            self._start(Emission(self, event, args, kwargs, plan))
            return
        for subscription in plan:
            handler = subscription.plain
            if handler is None:
                self._track(begin(self, subscription, event, args, kwargs))
                continue
            subscription.calls += 1
            try:
                value = handler(*args, **kwargs)
                if value is None or not hasattr(value, "__await__"):
                    continue
            except Exception as exc:
                self.report_failure(exc, event, subscription)
            else:
                self._resume(subscription, event, value)

    def _resume(self, subscription: Subscription, event: object, awaitable: Any) -> None:
        self._track(resume(self, subscription, event, awaitable))

    def _track(self, begun: Result | Running) -> None:
        if isinstance(begun, Running):
            self._running.add(begun)
            begun.deferred.addCallback(self._finished, begun)

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
