"""`Subscription`: the handle of a registered handler."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any, Self

from twisted.python.reflect import safe_str
from zope.interface import implementer

from txevents.gate import Gate
from txevents.interfaces import ISubscription
from txevents.keys import check_key, spell_key
from txevents.policy import Policy

if TYPE_CHECKING:
    from txevents.linker import EventLinker

# Handlers may run in threads: two of them must not both use up a `once` subscription.
_ending = Lock()


@implementer(ISubscription)
class Subscription:
    """One handler, the keys it listens to, its policy; also the handle that cancels it.

    Made by `EventLinker.subscribe`. For reading:

    * `handler`, `keys`, `policy`, `name`;
    * `active`: whether it may still be called for further events;
    * `calls`: how often the handler was called, each attempt counted; `failures`: how often it
      raised; `last_error`: what it raised last, as text, or `None`.

    As a context manager it cancels itself at the end of the block.
    """

    __slots__ = (
        "__weakref__",
        "_linker",
        "_muted",
        "_name",
        "active",
        "calls",
        "cancelled",
        "failures",
        "gate",
        "handler",
        "keys",
        "last_error",
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
        self._muted = 0
        self._name = name
        self.handler = handler
        self.keys = keys
        self.policy = policy
        self.order = order
        self.calls = 0
        self.failures = 0
        self.last_error: str | None = None
        self.active = True
        self.cancelled = False
        self.gate = Gate(policy) if policy.gated else None
        # The handler, while running it takes no more than calling it: the emitters' fast path.
        self.plain = handler if policy.plain else None

    @property
    def name(self) -> str:
        """The name given at registration, or `module.qualname` of the handler."""
        return name_of(self.handler) if self._name is None else self._name

    def cancel(self) -> bool:
        """End the subscription; after this returns the handler is not called again.

        That holds for events that wait in its queue and for further attempts too; a call that is
        being made goes on. Returns `True`, and `False` when it was not active any more.
        """
        self.cancelled = True
        return self._end()

    def _end(self) -> bool:
        with _ending:
            if not self.active:
                return False
            self.active = False
        self.plain = None
        self._linker.forget(self, self.keys)
        return True

    def remove(self, key: Any) -> bool:
        """Stop listening to one of `keys`; without its last one the subscription is cancelled.

        Returns whether it listened to `key`. Raises `InvalidKey` for what is no key.
        """
        key = check_key(key)
        if not self.active or key not in self.keys:
            return False
        if self.keys == (key,):
            return self.cancel()
        self.keys = tuple(k for k in self.keys if k != key)
        self._linker.forget(self, (key,))
        return True

    @contextmanager
    def muted(self) -> Iterator[Self]:
        """Return a context manager: within its block the handler is not called."""
        self._muted += 1
        self.plain = None
        try:
            yield self
        finally:
            self._muted -= 1
            if not self._muted and self.active and self.policy.plain:
                self.plain = self.handler

    @property
    def silent(self) -> bool:
        """Whether it was cancelled or is muted, so that not even a claimed event is handled."""
        return self.cancelled or self._muted > 0

    def claim(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """Ask whether the handler runs for this event, and use up a `once` subscription if so.

        For emitters, when the handler's turn has come. Lets the exception of a predicate through.
        """
        if self.why_not(args, kwargs) is not None:
            return False
        # A predicate may have cancelled the subscription, or emitted and so used it up.
        return self._end() if self.policy.once else self.active

    def why_not(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str | None:
        """Return in words why the handler would not be called with these arguments, or `None`."""
        if not self.active:
            return "it was cancelled" if self.cancelled else "it was for one event, which has been"
        if self._muted:
            return "it is muted"
        for predicate in self.policy.where:
            if not predicate(*args, **kwargs):
                return f"its predicate {name_of(predicate)} says no"
        return None

    def failed(self, exception: BaseException) -> None:
        """Count a failure of the handler; for emitters."""
        self.failures += 1
        # As text: an exception would keep the frames of its traceback alive, and what is in them.
        self.last_error = f"{type(exception).__name__}: {safe_str(exception)}"[:1000]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.cancel()

    def __repr__(self) -> str:
        keys = ", ".join(map(spell_key, self.keys))
        state = "" if self.active else " (cancelled)"
        return f"<Subscription {self.name} on {keys}{state}>"


def name_of(function: Any) -> str:
    """Return `module.qualname` of a callable of any kind."""
    while isinstance(function, partial):
        function = function.func
    if not hasattr(function, "__qualname__"):
        function = type(function)
    module = getattr(function, "__module__", None)  # a method of a builtin type has none
    qualname: str = function.__qualname__
    return f"{module}.{qualname}" if module else qualname
