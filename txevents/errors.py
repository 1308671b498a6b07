"""What txevents raises.

Every exception derives from `TxEventsError` and from the builtin exception that a caller would
already expect at that place, so that both kinds of `except` work.
"""

from __future__ import annotations


class TxEventsError(Exception):
    """Base class of all exceptions that txevents raises of its own accord."""


class InvalidKey(TxEventsError, TypeError):
    """Something that cannot be listened to was given as a key."""


class InvalidTopic(TxEventsError, ValueError):
    """A topic or topic pattern breaks the rules of topics."""


class InvalidHandler(TxEventsError, TypeError):
    """A handler, predicate or callback could never do its work."""


class InvalidEvent(TxEventsError, TypeError):
    """Something that is not an event was emitted."""


class LinkageError(TxEventsError, ValueError):
    """A `with linker.on(...)` block is incomplete or contradicts itself."""


class SubscriptionLimit(TxEventsError, RuntimeError):
    """A key has as many subscriptions as its linker allows."""


class UnknownName(TxEventsError, ImportError):
    """A dotted name, `"package.module:name"`, leads to nothing."""


class UnknownPredicate(TxEventsError, TypeError):
    """A keyword is neither one of the policy nor a predicate of the linker."""


class QueueFull(TxEventsError, RuntimeError):
    """An event came while as many as may be were waiting already."""


class HandlerTimeout(TxEventsError, TimeoutError):
    """A handler took longer than its policy's `timeout`."""


class RetryAfter(TxEventsError, RuntimeError):
    """For handlers to raise: try again, `seconds` from now."""

    def __init__(self, seconds: float, reason: str = "") -> None:
        super().__init__(reason or f"again in {seconds} s")
        self.seconds = seconds


class Permanent(TxEventsError, RuntimeError):
    """For handlers to raise: trying again would not help."""


class EndlessEvents(TxEventsError, RuntimeError):
    """In a test, events went on emitting events and no time passed."""


class LeakError(TxEventsError, AssertionError):
    """A test left something behind; `leaks` has a line, or a traceback, for each thing."""

    def __init__(self, leaks: list[str]) -> None:
        super().__init__("\n".join(["left behind:", *leaks]))
        self.leaks = leaks
