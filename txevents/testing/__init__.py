"""For tests of your own handlers and emitting code, with pytest, pytest-twisted or trial."""

from txevents.errors import EndlessEvents, LeakError
from txevents.testing.assertions import assert_emitted, assert_not_emitted, assert_ok
from txevents.testing.clock import ClockEmitter
from txevents.testing.leaks import LeakCheck, leak_check
from txevents.testing.mixin import EventsTestMixin
from txevents.testing.recording import Emitted, RecordingEmitter, captured

__all__ = [
    "ClockEmitter",
    "Emitted",
    "EndlessEvents",
    "EventsTestMixin",
    "LeakCheck",
    "LeakError",
    "RecordingEmitter",
    "assert_emitted",
    "assert_not_emitted",
    "assert_ok",
    "captured",
    "leak_check",
]
