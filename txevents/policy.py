"""How a subscription's handler is run: the keywords of `EventLinker.on` and `subscribe`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from math import isnan
from typing import Any

import attrs

from txevents.errors import InvalidHandler

Predicate = Callable[..., object]


def not_(predicate: Predicate) -> Predicate:
    """Return the opposite of `predicate`, for `where=not_(is_test)`."""
    _check_predicate(predicate)

    def negated(*args: Any, **kwargs: Any) -> bool:
        return not predicate(*args, **kwargs)

    negated.__qualname__ = f"not_({getattr(predicate, '__qualname__', repr(predicate))})"
    return negated


def _check_callable(keyword: str, value: object) -> None:
    if not callable(value):
        raise InvalidHandler(f"{keyword} must be callable, not {value!r}")


def _predicates(
    where: Predicate | tuple[Predicate, ...] | list[Predicate] | None,
) -> tuple[Predicate, ...]:
    if where is None:
        return ()
    predicates = tuple(where) if isinstance(where, tuple | list) else (where,)
    for predicate in predicates:
        _check_predicate(predicate)
    return predicates


def _check_predicate(predicate: object) -> None:
    _check_callable("where", predicate)
    if inspect.iscoroutinefunction(predicate):
        raise InvalidHandler(f"a predicate is not waited for, so it cannot be {predicate!r}")


def _check_callback(instance: object, attribute: Any, value: object) -> None:
    if value is not None:
        _check_callable(attribute.name, value)


def _check_priority(instance: object, attribute: Any, value: object) -> None:
    if not isinstance(value, int | float) or isnan(value):
        raise InvalidHandler(f"priority must be a number, not {value!r}")


@attrs.frozen
class Policy:
    """The rules of one subscription.

    * `once`: the handler runs for one event, then the subscription is cancelled.
    * `priority`: a number; handlers with a higher one run first. Default 0.
    * `where`: predicates, called like the handler when its turn has come; the handler runs if each
      returns something true.
    * `on_success`: called with the handler's result, `None` included.
    * `on_failure`: called with the exception that the handler raised.

    Callbacks may be anything that a handler may be: their coroutines and Deferreds are waited for.
    """

    once: bool = False
    priority: float = attrs.field(default=0, validator=_check_priority)
    where: tuple[Predicate, ...] = attrs.field(default=(), converter=_predicates)
    on_success: Callable[[Any], object] | None = attrs.field(
        default=None, validator=_check_callback
    )
    on_failure: Callable[[Exception], object] | None = attrs.field(
        default=None, validator=_check_callback
    )

    @property
    def plain(self) -> bool:
        """Whether running the handler takes no more than calling it."""
        return not (self.once or self.where or self.on_success or self.on_failure)


DEFAULT_POLICY = Policy()
