"""`Subscription`, the handle of a registered handler, and `Linkage`, what registers one."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Self, TypeVar

from zope.interface import implementer

from txevents.errors import LinkageError
from txevents.interfaces import ISubscription
from txevents.keys import check_handler, spell_key
from txevents.policy import Policy

if TYPE_CHECKING:
    from txevents.linker import EventLinker

F = TypeVar("F", bound=Callable[..., Any])


@implementer(ISubscription)
class Subscription:
    """One handler, the keys it listens to, its policy; also the handle that cancels it.

    Made by `EventLinker.subscribe`. `handler`, `keys`, `policy`, `name` and `active` are for
    reading.
    """

    __slots__ = (
        "__weakref__",
        "_linker",
        "_name",
        "active",
        "handler",
        "keys",
        "order",
        "plain",
        "policy",
    )

    def __init__(
        self,
        linker: EventLinker,
        handler: Callable[..., Any],
        keys: tuple[Any, ...],
        policy: Policy,
        name: str | None,
        order: int,
    ) -> None:
        self._linker = linker
        self._name = name
        self.handler = handler
        self.keys = keys
        self.policy = policy
        self.order = order
        self.active = True
        # The handler, while running it takes no more than calling it: the emitters' fast path.
        self.plain = handler if policy.plain else None

    @property
    def name(self) -> str:
        """The name given at registration, or `module.qualname` of the handler."""
        if self._name is not None:
            return self._name
        function = self.handler
        while isinstance(function, partial):
            function = function.func
        if not hasattr(function, "__qualname__"):
            function = type(function)
        module = getattr(function, "__module__", None)  # a method of a builtin type has none
        qualname: str = function.__qualname__
        return f"{module}.{qualname}" if module else qualname

    def cancel(self) -> bool:
        """End the subscription; after this returns the handler is not started again.

        Returns `True`, and `False` when there was nothing to cancel any more.
        """
        if not self.active:
            return False
        self.active = False
        self.plain = None
        self._linker.forget(self)
        return True

    def claim(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """Ask whether the handler runs for this event, and use up a `once` subscription if so.

        For emitters, when the handler's turn has come. Lets the exception of a predicate through.
        """
        if not self.active:
            return False
        for predicate in self.policy.where:
            if not predicate(*args, **kwargs):
                return False
        # A predicate may have cancelled the subscription, or emitted and so used it up.
        return self.cancel() if self.policy.once else self.active

    def __repr__(self) -> str:
        keys = ", ".join(spell_key(key) for key in self.keys)
        state = "" if self.active else " (cancelled)"
        return f"<Subscription {self.name} on {keys}{state}>"


class Linkage:
    """What `linker.on(...)` returns: a decorator, and a context manager for several handlers.

    In the `with` form nothing is registered before the block has ended without an exception.
    """

    def __init__(
        self, linker: EventLinker, keys: tuple[Any, ...], name: str | None, policy: dict[str, Any]
    ) -> None:
        self._linker = linker
        self._keys = keys
        self._name = name
        self._policy = policy
        self._handlers: list[Callable[..., Any]] = []

    def __call__(self, handler: F) -> F:
        """Subscribe `handler` and return it unchanged."""
        self._linker.subscribe(handler, *self._keys, name=self._name, **self._policy)
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
        if self._policy.get(which) is not None:
            raise LinkageError(f"this block has an {which} already: {self._policy[which]!r}")
        self._policy[which] = callback
        return callback

    def __exit__(self, kind: type[BaseException] | None, exc: object, traceback: object) -> None:
        if kind is not None:
            return
        if not self._handlers:
            raise LinkageError(
                "the block names no handler: decorate one with @link.on_event "
                "(link is what stands after `as`)"
            )
        for handler in self._handlers:
            self._linker.subscribe(handler, *self._keys, name=self._name, **self._policy)
