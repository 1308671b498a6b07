"""Hygiene: a test that leaves something behind in the reactor fails, and says what."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import pytest_twisted
from twisted.logger import STDLibLogObserver, globalLogBeginner

from txevents.testing import LeakCheck, LeakError, leak_check

pytest_plugins = ["pytester"]

# Asynchronous trial tests cannot share a process with pytest-twisted: `tox -e trial` runs them.
collect_ignore = ["trial"]


def pytest_configure() -> None:
    # Twisted's log goes where pytest shows it. Unstarted, it would keep the last failures alive.
    globalLogBeginner.beginLoggingTo(
        [STDLibLogObserver()], discardBuffer=True, redirectStandardIO=False
    )


@pytest.fixture(autouse=True)
def hygiene(twisted_greenlet: object) -> Iterator[LeakCheck]:
    """Fails the test that leaves something behind; ``hygiene.flush()`` forgives expected errors."""
    try:
        with leak_check(wait=pytest_twisted.blockon) as check:
            yield check
    except LeakError as exc:
        raise pytest.fail.Exception(str(exc), pytrace=False) from None
