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
