"""How a subscription's handler is run: the keywords of `EventLinker.on` and `subscribe`."""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable
from math import inf, isnan
from typing import Any, Literal, TypeGuard

import attrs

from txevents.errors import InvalidHandler, Permanent, RetryAfter
from txevents.keys import check_callable, resolve

Predicate = Callable[..., object]
Overflow = Literal["error", "drop_newest", "drop_oldest"]


def not_(predicate: Predicate | str) -> Predicate:
    """Return the opposite of `predicate`, for `where=not_(is_test)`."""
    called = check_predicate("where", predicate)

    def negated(*args: Any, **kwargs: Any) -> bool:
        return not called(*args, **kwargs)

    negated.__module__ = ""
    negated.__qualname__ = f"not_({getattr(called, '__qualname__', repr(called))})"
    return negated


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def check_positive(keyword: str, value: object) -> None:
    """Raise `InvalidHandler` that names `keyword` if `value` is no positive, finite number."""
    if not (_is_number(value) and 0 < value < inf):
        raise InvalidHandler(f"{keyword} must be a positive number, not {value!r}")


def check_count(keyword: str, value: object) -> None:
    """Raise `InvalidHandler` that names `keyword` if `value` is no positive whole number."""
    if not (_is_number(value) and isinstance(value, int) and value > 0):
        raise InvalidHandler(f"{keyword} must be a positive whole number, not {value!r}")


def _positive(instance: object, attribute: Any, value: Any) -> None:
    check_positive(attribute.name, value)


def _count(instance: object, attribute: Any, value: Any) -> None:
    check_count(attribute.name, value)


def _share(instance: object, attribute: Any, value: object) -> None:
    if not (_is_number(value) and 0 <= value < 1):
        raise InvalidHandler(f"{attribute.name} must be from 0 to below 1, not {value!r}")


def _exception_types(value: Any) -> tuple[type[BaseException], ...]:
    types = tuple(map(resolve, value)) if isinstance(value, tuple | list) else (resolve(value),)
    for kind in types:
        if not (isinstance(kind, type) and issubclass(kind, BaseException)):
            raise InvalidHandler(f"an exception class is needed, not {kind!r}")
    return types


@attrs.frozen(kw_only=True)
class Retry:
    """When a failed handler is tried again, and when not.

    * `attempts`: how often it is called at most, the first time included.
    * `delay`, `factor`, `max_delay`: seconds until the second attempt, by what they are multiplied
      for each further one, and where that ends.
    * `jitter`: the share by which a delay varies at random, 0.2 for ±20 %.
    * `retry_on`, `give_up_on`: exception classes; an exception is retried if it is one of the first
      and none of the second.

    A handler has the last word: `RetryAfter(seconds)` asks for another attempt then, `Permanent`
    for none.
    """

    attempts: int = attrs.field(default=3, validator=_count)
    delay: float = attrs.field(default=1.0, validator=_positive)
    factor: float = attrs.field(default=2.0, validator=_positive)
    max_delay: float = attrs.field(default=60.0, validator=_positive)
    jitter: float = attrs.field(default=0.2, validator=_share)
    retry_on: tuple[type[BaseException], ...] = attrs.field(
        default=(Exception,), converter=_exception_types
    )
    give_up_on: tuple[type[BaseException], ...] = attrs.field(
        default=(), converter=_exception_types
    )

    def delay_after(self, attempt: int, exception: BaseException) -> float | None:
        """Return the seconds to wait after `attempt` (from 1) failed, `None` to give up."""
        if attempt >= self.attempts or isinstance(exception, Permanent):
            return None
        if isinstance(exception, RetryAfter):
            return max(0.0, exception.seconds)
        if not isinstance(exception, self.retry_on) or isinstance(exception, self.give_up_on):
            return None
        try:
            delay = min(self.delay * float(self.factor) ** (attempt - 1), self.max_delay)
        except OverflowError:
            delay = self.max_delay
        return delay * random.uniform(1 - self.jitter, 1 + self.jitter)


def _predicates(where: Any) -> tuple[Predicate, ...]:
    if where is None:
        return ()
    predicates = where if isinstance(where, tuple | list) else (where,)
    return tuple(check_predicate("where", predicate) for predicate in predicates)


def check_predicate(keyword: str, value: Any) -> Predicate:
    """Return the predicate that `value` is or names, or raise `InvalidHandler`."""
    predicate = check_callable(keyword, resolve(value))
    if any(map(inspect.iscoroutinefunction, (predicate, type(predicate).__call__))):
        raise InvalidHandler(f"a predicate is not waited for, so it cannot be {predicate!r}")
    return predicate


def _optional(value: Any) -> Any:
    return None if value is None else resolve(value)


def _check_callback(instance: object, attribute: Any, value: object) -> None:
    if value is not None:
        check_callable(attribute.name, value)


def _check_priority(instance: object, attribute: Any, value: object) -> None:
    if not isinstance(value, int | float) or isnan(value):
        raise InvalidHandler(f"priority must be a number, not {value!r}")


def _check_retry(instance: object, attribute: Any, value: object) -> None:
    if value is not None and not isinstance(value, Retry):
        raise InvalidHandler(f"retry must be a Retry(...), not {value!r}")


def _check_overflow(instance: object, attribute: Any, value: object) -> None:
    if value not in ("error", "drop_newest", "drop_oldest"):
        raise InvalidHandler(
            f'overflow must be "error", "drop_newest" or "drop_oldest", not {value!r}'
        )


@attrs.frozen(kw_only=True)
class Policy:
    """The rules of one subscription.

    * `once`: the handler runs for one event, then the subscription is cancelled.
    * `priority`: a number; handlers with a higher one run first. Default 0.
    * `where`: predicates, called like the handler when its turn has come; the handler runs if each
      returns something true.
    * `on_success`: called with the handler's result, `None` included.
    * `on_failure`: called with the exception that the handler raised, at its last attempt.
    * `timeout`: seconds that an attempt may take; then what it waits for is cancelled, and it fails
      with `HandlerTimeout`.
    * `retry`: a `Retry`.
    * `concurrency`: how many events the handler may be at work on at a time; the rest queue.
    * `ordered_by`: called like the handler, returns a key; events of one key are handled one after
      another, in the order they were emitted, different keys in parallel.
    * `max_queue`: how many events may queue for `concurrency` and `ordered_by` together.
    * `overflow`: what happens past that: `"error"` fails the event with `QueueFull`,
      `"drop_newest"` drops it, `"drop_oldest"` drops the one that waits longest.

    Callbacks may be anything that a handler may be: their coroutines and Deferreds are waited for.
    """

    once: bool = False
    priority: float = attrs.field(default=0, validator=_check_priority)
    where: tuple[Predicate, ...] = attrs.field(default=(), converter=_predicates)
    on_success: Callable[[Any], object] | None = attrs.field(
        default=None, converter=_optional, validator=_check_callback
    )
    on_failure: Callable[[Exception], object] | None = attrs.field(
        default=None, converter=_optional, validator=_check_callback
    )
    timeout: float | None = attrs.field(
        default=None, validator=attrs.validators.optional(_positive)
    )
    retry: Retry | None = attrs.field(default=None, validator=_check_retry)
    concurrency: int | None = attrs.field(default=None, validator=attrs.validators.optional(_count))
    ordered_by: Callable[..., object] | None = attrs.field(
        default=None, converter=_optional, validator=_check_callback
    )
    max_queue: int = attrs.field(default=1000, validator=_count)
    overflow: Overflow = attrs.field(default="error", validator=_check_overflow)

    @property
    def plain(self) -> bool:
        """Whether running the handler takes no more than calling it."""
        return self == DEFAULT_POLICY or self == attrs.evolve(
            DEFAULT_POLICY, priority=self.priority
        )

    @property
    def gated(self) -> bool:
        """Whether events may have to queue for the handler."""
        return self.concurrency is not None or self.ordered_by is not None


DEFAULT_POLICY = Policy()
