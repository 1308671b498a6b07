"""`EventEmitter`: what all emitters share. How handlers run is up to the subclass."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Literal, cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from txevents.emission import Emission, Outcome
from txevents.errors import InvalidEvent
from txevents.events import topic_of
from txevents.interfaces import IEventEmitter
from txevents.linker import EventLinker, default_linker
from txevents.subscription import Subscription

OnError = Literal["continue", "stop"]
OnFailure = Callable[[BaseException, object, Subscription], object]


@implementer(IEventEmitter)
class EventEmitter(ABC):
    """Emits events to the subscriptions of a linker; a subclass says how their handlers run.

    * `linker`: who listens; the default linker if not given. Assign another at any time: events
      emitted from then on ask that one.
    * `reactor`: for timeouts, retries and what a subclass needs; `None` is the installed one.
    * `on_error`: with `"stop"`, the first failure of an event's handlers cancels the others.
    * `on_failure`: called with `(exception, event, subscription)` for each failure of a handler or
      of a callback, after it has been logged.

    A subclass implements `_process`.
    """

    _log = Logger()

    def __init__(
        self,
        linker: EventLinker | None = None,
        reactor: IReactorTime | None = None,
        *,
        on_error: OnError = "continue",
        on_failure: OnFailure | None = None,
    ) -> None:
        if on_error not in ("continue", "stop"):
            raise ValueError(f'on_error must be "continue" or "stop", not {on_error!r}')
        self.linker = default_linker if linker is None else linker
        if inspect.iscoroutinefunction(on_failure):
            raise TypeError(
                f"on_failure is not waited for, so it cannot be the coroutine {on_failure!r}"
            )
        self.on_error = on_error
        self.on_failure = on_failure
        self._reactor = reactor

    @property
    def linker(self) -> EventLinker:
        """The linker asked at each emission; may be replaced at any time."""
        return self._linker

    @linker.setter
    def linker(self, linker: EventLinker) -> None:
        if not isinstance(linker, EventLinker):
            raise TypeError(f"an emitter needs an EventLinker, not {linker!r}")
        self._linker = linker
        self._linker_replaced()

    @property
    def reactor(self) -> IReactorTime:
        """The reactor given, or else the installed one, looked up when it is first needed."""
        if self._reactor is None:
            # Importing it earlier would install it, and defeat `twistd --reactor`.
            from twisted.internet import reactor

            self._reactor = cast(IReactorTime, reactor)
        return self._reactor

    def _linker_replaced(self) -> None:  # noqa: B027 - optional for a subclass
        """Hear that `linker` is another one."""

    @abstractmethod
    def _process(self, emission: Emission) -> None:
        """Call `emission.start()`, once, when and where the handlers shall run.

        Called in the context of the emitting code, whose `contextvars` the handlers should see.
        """

    def _settled(self, emission: Emission) -> None:  # noqa: B027 - optional for a subclass
        """Hear that an emission is over, just before its Deferred fires."""

    def emit(self, event: object, /, *args: Any, **kwargs: Any) -> Deferred[Outcome]:
        """Emit an event; the Deferred fires with its `Outcome` when each handler has settled.

        An object's handlers are called `handler(event, *args, **kwargs)`, a topic's are called
        `handler(*args, **kwargs)`. The subscriptions are those of this moment. The Deferred never
        fails because of a handler. Cancelling it cancels the handlers that still run, starts no
        other, and fires it with the `Outcome`. Raises `InvalidEvent` (a `TypeError`) at once for
        `None`, `""` and a class.
        """
        subscriptions = self.linker.subscriptions_for(event)
        if not isinstance(event, str):
            args = (event, *args)
        emission = Emission(self, event, args, kwargs, subscriptions)
        self._process(emission)
        return emission.deferred

    def emit_objects(self, *objects: object) -> Deferred[Outcome]:
        """Emit several objects together, to the handlers of tuple keys: `handler(*objects)`.

        Returns what `emit` returns; the event of the `Outcome` is the tuple of objects. Raises
        `InvalidEvent` without objects, or if one of them is no event.
        """
        if not objects:
            raise InvalidEvent("emit_objects needs at least one object")
        subscriptions = self.linker.subscriptions_for_objects(objects)
        emission = Emission(self, objects, objects, {}, subscriptions)
        self._process(emission)
        return emission.deferred

    def notify(self, event: object, /, *args: Any, **kwargs: Any) -> None:
        """Emit and forget: failures go to the `on_failure` callbacks and to the log.

        Takes and raises what `emit` does.
        """
        self.emit(event, *args, **kwargs)

    def report_retry(
        self, exception: Exception, subscription: Subscription, attempt: int, delay: float
    ) -> None:
        """Log that an attempt failed and another follows."""
        subscription.failed(exception)
        self._log.warn(
            "{subscription.name} failed in attempt {attempt}, again in {delay:.3g} s: {reason}",
            subscription=subscription,
            attempt=attempt,
            delay=delay,
            reason=subscription.last_error,
        )

    def report_failure(
        self,
        exception: BaseException,
        event: object,
        subscription: Subscription,
        callback: Callable[..., object] | None = None,
    ) -> None:
        """Log the failure of a handler, or of its policy's `callback`, and tell `on_failure`."""
        failure = Failure(exception)
        topic = topic_of(event)
        if callback is None:
            subscription.failed(exception)
            self._log.failure(
                "{subscription.name} failed on {topic}",
                failure,
                topic=topic,
                event=event,
                subscription=subscription,
            )
        else:
            self._log.failure(
                "callback {callback} of {subscription.name} failed on {topic}",
                failure,
                topic=topic,
                event=event,
                subscription=subscription,
                callback=getattr(callback, "__qualname__", repr(callback)),
            )
        if self.on_failure is not None:
            try:
                self.on_failure(exception, event, subscription)
            except Exception:
                self._log.failure("the emitter's on_failure hook failed on {topic}", topic=topic)
