"""`@subscriber` marks a handler; `linker.scan(package)` registers what is marked."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Iterator
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

import attrs

from txevents.errors import InvalidHandler
from txevents.keys import check_handler, check_keys

if TYPE_CHECKING:
    from txevents.linker import EventLinker
    from txevents.subscription import Subscription

F = TypeVar("F", bound=Callable[..., Any])

_MARKS = "__txevents_marks__"


@attrs.frozen(eq=False)
class Mark:
    """What one `@subscriber(...)` says."""

    keys: tuple[Any, ...]
    name: str | None
    policy: dict[str, Any]


def subscriber(*keys: Any, name: str | None = None, **policy: Any) -> Callable[[F], F]:
    """Mark a function or class for `EventLinker.scan`, which subscribes it to `keys`.

    Takes what `EventLinker.on` takes, and registers nothing itself: importing a module has no side
    effects. May be used several times on one function. A method that it marks is not found: only
    what has a name in its module is. Raises `InvalidKey`, `InvalidTopic` or `InvalidHandler` at
    once; what concerns the policy is raised by `scan`.
    """
    mark = Mark(check_keys(keys), name, policy)

    def add(handler: F) -> F:
        check_handler(handler)
        try:
            # What has none, such as a partial, does not tell the module it is defined in either.
            handler.__qualname__  # noqa: B018
            setattr(handler, _MARKS, (*vars(handler).get(_MARKS, ()), mark))
        except (AttributeError, TypeError):
            raise InvalidHandler(
                f"@subscriber marks functions and classes, not {handler!r}"
            ) from None
        return handler

    return add


def scan(linker: EventLinker, package: ModuleType | str) -> list[Subscription]:
    """Do the work of `EventLinker.scan`."""
    root = import_module(package) if isinstance(package, str) else package
    made = []
    linker.scanned = {mark: s for mark, s in linker.scanned.items() if not s.cancelled}
    for module in [root, *_modules_below(root)]:
        for handler in list(_own_members(module)):
            for mark in reversed(vars(handler).get(_MARKS, ())):
                if mark not in linker.scanned:
                    made.append(
                        linker.subscribe(handler, *mark.keys, name=mark.name, **mark.policy)
                    )
                    linker.scanned[mark] = made[-1]
    return made


def _modules_below(package: ModuleType) -> Iterator[ModuleType]:
    if hasattr(package, "__path__"):
        # It would pass over a package that cannot be imported; we import each one before it does.
        for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not info.name.endswith(".__main__"):
                yield import_module(info.name)


def _own_members(module: ModuleType) -> Iterator[Any]:
    """Return what is defined in `module`, not what it has imported."""
    for member in vars(module).values():
        if hasattr(member, "__dict__") and getattr(member, "__module__", None) == module.__name__:
            yield member
