"""The map of the house: every interface of txevents, with its contract.

From the network to the function: an `IIntake` takes an `Envelope` from a source and gives it, as a
typed event where a class is declared, to an `IEventEmitter`; this asks its `IEventLinker` who
listens, and runs the handlers of those `ISubscription`s.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

if TYPE_CHECKING:
    from txevents.emission import Outcome
    from txevents.events import Envelope
    from txevents.linkage import Linkage
    from txevents.subscription import Subscription


class IEventLinker(Interface):
    """Who listens to what. Knows nothing about running handlers."""

    def subscribe(
        handler: Callable[..., Any], *keys: Any, name: str | None = None, **policy: Any
    ) -> Subscription:
        """Register `handler` for each of `keys` and return its `ISubscription`.

        A key is an interface, a class (its subclasses match too), a topic, a topic pattern, `...`
        for everything, or a tuple of interfaces and classes for `emit_objects`. `policy` holds the
        fields of `txevents.policy.Policy`, and `name`.
        """

    def on(*keys: Any, name: str | None = None, **policy: Any) -> Linkage:
        """Return a decorator that subscribes a function, and a context manager: see `Linkage`."""

    def subscriptions_for(event: object) -> tuple[Subscription, ...]:
        """Return the tuple of subscriptions that `event` reaches now, in the order of calling.

        Raises `InvalidEvent` for `None`, `""` and a class.
        """

    def subscriptions_for_objects(objects: tuple[object, ...]) -> tuple[Subscription, ...]:
        """The same for the tuple of objects of one `emit_objects`."""


class ISubscription(Interface):
    """One handler, the keys it listens to, its policy; also the handle that cancels it."""

    handler = Attribute("The callable.")
    keys = Attribute("The tuple of keys it was registered for.")
    name = Attribute("A name for logs; by default `module.qualname` of the handler.")
    policy = Attribute("A `txevents.policy.Policy`.")
    active = Attribute("Whether the handler may still be called.")

    def cancel() -> bool:
        """End the subscription; after this returns the handler is not started again.

        Returns `True`, and `False` when there was nothing to cancel any more.
        """


class IEventEmitter(Interface):
    """How an event runs through its handlers. Owned by the reactor thread."""

    linker = Attribute("The `IEventLinker` asked at each emission; may be replaced at any time.")

    def emit(event: object, /, *args: Any, **kwargs: Any) -> Deferred[Outcome]:
        """Emit an event and return a Deferred that fires with its `Outcome`.

        `event` is an object, whose handlers are called `handler(event, *args, **kwargs)`, or a
        topic, whose handlers are called `handler(*args, **kwargs)`. The Deferred fires when each
        handler has settled and never fails because of one; cancelling it cancels what runs and
        what has not started, and fires it. Raises `InvalidEvent` at once for what is no event.
        """

    def emit_objects(*objects: object) -> Deferred[Outcome]:
        """Like `emit`, for the handlers of a tuple key; they are called `handler(*objects)`."""

    def notify(event: object, /, *args: Any, **kwargs: Any) -> None:
        """Emit and forget: failures go to the `on_failure` callbacks and to the log."""


class IIntake(Interface):
    """Where every source delivers: the shared acceptance path."""

    room = Attribute("How many more events may be accepted; none, if not positive.")

    def accept(envelope: Envelope) -> None:
        """Schedule one event if there is room.

        Raises `txevents.wire.problems.Refusal` when the event cannot be taken; then none of its
        handlers runs. Returns `None` when all of them have been scheduled.
        """

    def schedule(envelope: Envelope) -> None:
        """Do what `accept` does, for a source that has asked for `room`."""

    def when_ready() -> Deferred[None]:
        """Return a Deferred that fires with `None` once there is room."""
