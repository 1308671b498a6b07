"""`EventsTestMixin`: a linker, an emitter and assertions for trial's test cases."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from txevents.emission import Outcome
from txevents.linker import EventLinker
from txevents.testing.assertions import Recorded, assert_emitted, assert_not_emitted, assert_ok
from txevents.testing.clock import ClockEmitter
from txevents.testing.recording import captured

if TYPE_CHECKING:
    # Not imported otherwise: who tests with pytest may do without trial.
    from twisted.trial.unittest import SynchronousTestCase as _TestCase
else:
    _TestCase = object


class EventsTestMixin(_TestCase):
    """Stands before `SynchronousTestCase` or `TestCase` of `twisted.trial.unittest`.

    Each test has a `linker` of its own, and an `emitter`, a `ClockEmitter` on it. A test that ends
    while an event waits for its turn, or for a handler to finish, fails. A `setUp` of your own
    calls that of the mixin.
    """

    linker: EventLinker
    emitter: ClockEmitter

    def setUp(self) -> None:
        """Make the linker and the emitter."""
        super().setUp()
        self.linker = EventLinker()
        self.emitter = ClockEmitter(self.linker)
        self.addCleanup(self.emitter.assert_idle)

    def captured(self, *keys: Any, where: Any = None) -> list[Any]:
        """Return a list that fills, until the test ends, as that of `txevents.testing.captured`."""
        events: list[Any] = self.enterContext(captured(self.linker, *keys, where=where))
        return events

    def assertEmitted(
        self, recorded: Recorded, key: Any, /, count: int | None = None, **attributes: Any
    ) -> list[Any]:
        """Do as `txevents.testing.assert_emitted`."""
        with self._failing():
            return assert_emitted(recorded, key, count, **attributes)

    def assertNotEmitted(self, recorded: Recorded, key: Any, /, **attributes: Any) -> None:
        """Do as `txevents.testing.assert_not_emitted`."""
        with self._failing():
            assert_not_emitted(recorded, key, **attributes)

    def assertOutcomeOk(self, outcome: Outcome) -> None:
        """Do as `txevents.testing.assert_ok`."""
        with self._failing():
            assert_ok(outcome)

    @contextmanager
    def _failing(self) -> Iterator[None]:
        """Make a failure of an assertion what trial counts as one, and not as an error."""
        try:
            yield
        except AssertionError as exc:
            raise self.failureException(str(exc)) from exc.__cause__
