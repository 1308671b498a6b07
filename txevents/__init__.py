"""txevents: a Twisted reactor-based event framework. These are its public names."""

from txevents._version import __version__
from txevents.emission import Outcome, Result
from txevents.emitters.base import EventEmitter
from txevents.emitters.reactor import ReactorEmitter
from txevents.errors import (
    HandlerTimeout,
    InvalidEvent,
    InvalidHandler,
    InvalidKey,
    InvalidTopic,
    LinkageError,
    Permanent,
    QueueFull,
    RetryAfter,
    SubscriptionLimit,
    TxEventsError,
    UnknownName,
    UnknownPredicate,
)
from txevents.events import Envelope, current_envelope, event
from txevents.linker import EventLinker, default_linker
from txevents.policy import Retry, not_
from txevents.scan import subscriber
from txevents.streams import EventStream
from txevents.subscription import Subscription

on = default_linker.on

__all__ = [
    "Envelope",
    "EventEmitter",
    "EventLinker",
    "EventStream",
    "HandlerTimeout",
    "InvalidEvent",
    "InvalidHandler",
    "InvalidKey",
    "InvalidTopic",
    "LinkageError",
    "Outcome",
    "Permanent",
    "QueueFull",
    "ReactorEmitter",
    "Result",
    "Retry",
    "RetryAfter",
    "Subscription",
    "SubscriptionLimit",
    "TxEventsError",
    "UnknownName",
    "UnknownPredicate",
    "__version__",
    "current_envelope",
    "default_linker",
    "event",
    "not_",
    "on",
    "subscriber",
]
