"""txevents: a Twisted reactor-based event framework. These are its public names."""

from txevents._version import __version__
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
