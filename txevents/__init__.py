"""txevents: a Twisted reactor-based event framework. These are its public names.

They are imported when they are first asked for: the pytest plugin is in this package, and each run
of pytest imports it, whether it has to do with events or not.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from txevents._version import __version__

if TYPE_CHECKING:
    from txevents.emission import Outcome, Result
    from txevents.emitters.base import EventEmitter
    from txevents.emitters.reactor import ReactorEmitter
    from txevents.errors import (
        InvalidEvent,
        InvalidHandler,
        InvalidKey,
        InvalidTopic,
        LinkageError,
        TxEventsError,
    )
    from txevents.events import Envelope, current_envelope, event
    from txevents.linker import EventLinker, default_linker
    from txevents.policy import not_
    from txevents.subscription import Subscription

    on = default_linker.on

__all__ = [
    "Envelope",
    "EventEmitter",
    "EventLinker",
    "InvalidEvent",
    "InvalidHandler",
    "InvalidKey",
    "InvalidTopic",
    "LinkageError",
    "Outcome",
    "ReactorEmitter",
    "Result",
    "Subscription",
    "TxEventsError",
    "__version__",
    "current_envelope",
    "default_linker",
    "event",
    "not_",
    "on",
]

_NAMES_BY_MODULE = {
    "emission": "Outcome Result",
    "emitters.base": "EventEmitter",
    "emitters.reactor": "ReactorEmitter",
    "errors": "InvalidEvent InvalidHandler InvalidKey InvalidTopic LinkageError TxEventsError",
    "events": "Envelope current_envelope event",
    "linker": "EventLinker default_linker",
    "policy": "not_",
    "subscription": "Subscription",
}
_MODULES = {name: module for module, names in _NAMES_BY_MODULE.items() for name in names.split()}


if not TYPE_CHECKING:  # A type checker shall see that other names are not there.

    def __getattr__(name: str) -> Any:
        if name == "on":
            value = __getattr__("default_linker").on
        elif name in _MODULES:
            value = getattr(import_module(f"txevents.{_MODULES[name]}"), name)
        else:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return __all__
