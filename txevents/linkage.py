"""`Linkage`: what `linker.on(...)` returns."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Protocol, Self, TypeVar

import attrs

from txevents.errors import LinkageError, SubscriptionLimit
from txevents.keys import check_handler
from txevents.policy import Policy

if TYPE_CHECKING:
    from txevents.linker import EventLinker
    from txevents.subscription import Subscription

E = TypeVar("E")
F = TypeVar("F", bound=Callable[..., Any])
P = ParamSpec("P")
R = TypeVar("R")


class TypedLinkage(Protocol[E]):
    """A `Linkage` for one class, as type checkers see it: handlers must take its instances."""

    def __call__(
        self, handler: Callable[Concatenate[E, P], R], /
    ) -> Callable[Concatenate[E, P], R]:
        """Subscribe `handler` and return it unchanged."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, exc: object, traceback: object
    ) -> None: ...

    def on_event(
        self, handler: Callable[Concatenate[E, P], R], /
    ) -> Callable[Concatenate[E, P], R]:
        """Name a handler of the event; several share the callbacks of the block."""

    def on_success(self, callback: F) -> F:
        """Name the callback for each handler's result."""

    def on_failure(self, callback: F) -> F:
        """Name the callback for each handler's exception."""


class Linkage:
    """What `linker.on(...)` returns: a decorator, and a context manager for several handlers.

    In the `with` form nothing is registered before the block has ended without an exception.
    """

    def __init__(
        self,
        linker: EventLinker,
        keys: tuple[Any, ...],
        name: str | None,
        policy: Policy,
        given: Iterable[str],
    ) -> None:
        self._linker = linker
        self._keys = keys
        self._name = name
        self._policy = policy
        self._given = set(given)
        self._handlers: list[Callable[..., Any]] = []

    def __call__(self, handler: F) -> F:
        """Subscribe `handler` and return it unchanged."""
        self._linker.register(handler, self._keys, self._name, self._policy)
        return handler

    def __enter__(self) -> Self:
        return self

    def on_event(self, handler: F) -> F:
        """Name a handler of the event; several share the callbacks of the block."""
        check_handler(handler)
        self._handlers.append(handler)
        return handler

    def on_success(self, callback: F) -> F:
        """Name the callback for each handler's result."""
        return self._set_callback("on_success", callback)

    def on_failure(self, callback: F) -> F:
        """Name the callback for each handler's exception."""
        return self._set_callback("on_failure", callback)

    def _set_callback(self, which: str, callback: F) -> F:
        if which in self._given:
            raise LinkageError(
                f"this block has an {which} already: {getattr(self._policy, which)!r}"
            )
        self._given.add(which)
        changes: dict[str, Any] = {which: callback}
        self._policy = attrs.evolve(self._policy, **changes)
        return callback

    def __exit__(self, kind: type[BaseException] | None, exc: object, traceback: object) -> None:
        if kind is not None:
            return
        if not self._handlers:
            raise LinkageError(
                "the block names no handler: decorate one with @link.on_event "
                "(link is what stands after `as`)"
            )
        made: list[Subscription] = []
        try:
            for handler in self._handlers:
                made.append(self._linker.register(handler, self._keys, self._name, self._policy))  # noqa: PERF401 - those made before it fails are needed
        except SubscriptionLimit:
            for subscription in made:
                subscription.cancel()
            raise
