"""Keys, what a handler can be registered for, and the checks of what users hand in."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

from zope.interface.interface import InterfaceClass

from txevents.errors import InvalidEvent, InvalidHandler, InvalidKey, UnknownName
from txevents.topics import check_topic

_DOTTED_NAME = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*:[^\W\d]\w*(?:\.[^\W\d]\w*)*").fullmatch


def resolve(value: Any) -> Any:
    """Return the object that a dotted name, `"package.module:name"`, leads to; others as they are.

    Raises `UnknownName`, which says how far the name led.
    """
    if not isinstance(value, str) or not _DOTTED_NAME(value):
        return value
    module_name, _, path = value.partition(":")
    try:
        found = import_module(module_name)
    except ImportError as exc:
        raise UnknownName(
            f"{value!r}: cannot import {module_name}: {exc} "
            "(what looks like module:name is a dotted name, not a topic)"
        ) from exc
    reached = module_name
    for name in path.split("."):
        try:
            found = getattr(found, name)
        except AttributeError:
            raise UnknownName(f"{value!r}: {reached} has no {name!r}") from None
        reached += f".{name}"
    return found


def check_callable(keyword: str, value: Any) -> Callable[..., Any]:
    """Return `value`, or raise `InvalidHandler` that names `keyword` if it cannot be called."""
    if not callable(value):
        raise InvalidHandler(f"{keyword} must be callable, not {value!r}")
    called: Callable[..., Any] = value
    return called


def check_event(event: object) -> None:
    if event is None:
        raise InvalidEvent("None is not an event")
    if isinstance(event, str):
        if not event:
            raise InvalidEvent("an empty string is not a topic")
    elif isinstance(event, type):
        raise InvalidEvent(
            f"{event.__qualname__} is a class: emit an instance, {event.__name__}(...)"
        )
    elif isinstance(event, InterfaceClass):
        raise InvalidEvent(f"{event.__name__} is an interface: emit an object that provides it")


def check_keys(keys: tuple[Any, ...]) -> tuple[Any, ...]:
    if not keys:
        raise InvalidKey(f"give at least one key: {_ACCEPTED}")
    return tuple(dict.fromkeys(check_key(key) for key in keys))


_ACCEPTED = (
    "an interface, a class, a topic or topic pattern, `...` for everything, "
    "or a tuple of interfaces and classes for emit_objects"
)


def check_key(key: Any) -> Any:
    """Return a key, found if it is a dotted name; raise `InvalidKey` or `InvalidTopic`."""
    key = resolve(key)
    if isinstance(key, str):
        return check_topic(str.__str__(key))
    if isinstance(key, tuple):
        if not key:
            raise InvalidKey("a tuple key needs at least one interface or class")
        return tuple(_check_object_key(part) for part in key)
    return _check_object_key(key)


def _check_object_key(key: Any) -> Any:
    key = resolve(key)
    if key is ... or isinstance(key, type | InterfaceClass):
        return key
    if inspect.isroutine(key):
        raise InvalidKey(
            f"cannot listen to the function {key.__qualname__}: give {_ACCEPTED}, "
            "as in @linker.on(key)"
        )
    raise InvalidKey(f"cannot listen to {key!r}: give {_ACCEPTED}")


def check_handler(handler: Any) -> Callable[..., Any]:
    """Return `handler`, or raise `InvalidHandler` if calling it could never do its work."""
    if not callable(handler):
        raise InvalidHandler(f"a handler must be callable, not {handler!r}")
    function: Any = handler
    while isinstance(function, partial):
        function = function.func
    if not inspect.isclass(function) and not inspect.isroutine(function):
        function = type(function).__call__
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise InvalidHandler(
            f"{handler!r} is a generator function, so calling it would run nothing: "
            "make it an `async def` without `yield`, or decorate it with @inlineCallbacks"
        )
    called: Callable[..., Any] = handler
    return called


def spell_key(key: Any) -> str:
    if key is ...:
        return "..."
    if isinstance(key, tuple):
        return f"({', '.join(map(spell_key, key))})"
    return repr(key) if isinstance(key, str) else str(key.__name__)
