"""A plugin of coverage.py: what a twistd process did is saved although a signal ends it.

On SIGTERM twistd shuts down through the reactor, and then sends itself the same signal again, with
the default action, for its exit status to tell. That skips the ``atexit`` hooks, coverage's among
them; and coverage's ``sigterm`` option does not help, because Twisted replaces the signal handler.
"""

from __future__ import annotations

import os
import signal

from coverage import Coverage
from coverage.plugin_support import Plugins
from coverage.types import TConfigSectionOut

_kill = os.kill


def _save_and_kill(pid: int, signum: int) -> None:
    coverage = Coverage.current()
    if pid == os.getpid() and coverage and signal.getsignal(signum) is signal.SIG_DFL:
        coverage.save()
    _kill(pid, signum)


def coverage_init(plugins: Plugins, options: TConfigSectionOut) -> None:
    os.kill = _save_and_kill
