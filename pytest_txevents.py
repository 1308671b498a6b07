"""The pytest plugin: fixtures for tests of handlers and of code that emits.

Each run of pytest imports this module, before anything measures coverage. So it stands outside of
the package, and imports nothing of it that a test does not ask for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from txevents.linker import EventLinker
    from txevents.testing import ClockEmitter, LeakCheck, RecordingEmitter


@pytest.fixture
def event_linker() -> EventLinker:
    """An `EventLinker` of the test's own."""
    from txevents.linker import EventLinker

    return EventLinker()


@pytest.fixture
def event_emitter(event_linker: EventLinker) -> Iterator[ClockEmitter]:
    """A `ClockEmitter` on `event_linker`; an event that it has not done with fails the test."""
    from txevents.testing import ClockEmitter

    emitter = ClockEmitter(event_linker)
    yield emitter
    try:
        emitter.assert_idle()
    except AssertionError as exc:
        raise pytest.fail.Exception(str(exc), pytrace=False) from None


@pytest.fixture
def recording_emitter(event_linker: EventLinker) -> RecordingEmitter:
    """A `RecordingEmitter` on `event_linker`."""
    from txevents.testing import RecordingEmitter

    return RecordingEmitter(event_linker)


@pytest.fixture
def event_leak_check(request: pytest.FixtureRequest) -> Iterator[LeakCheck]:
    """Fails a test that leaves something behind in the reactor: see `leak_check`.

    `event_leak_check.flush()` forgives errors that were to be expected.
    """
    from txevents.testing import LeakError, leak_check

    twisted = request.config.pluginmanager.get_plugin("twisted")  # pytest-twisted
    try:
        with leak_check(wait=twisted and twisted.blockon) as check:
            yield check
    except LeakError as exc:
        raise pytest.fail.Exception(str(exc), pytrace=False) from None
