"""`notify` and `emit` within a process, against pyee, blinker and Pyventus."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from benchmarks.processes import ROOT
from benchmarks.runner import CPU, Comparison, Contestant, Measured, Suite

PYEE = "pyee"
BLINKER = "blinker"
PYVENTUS = "Pyventus"
PYVENTUS_ASYNC = "Pyventus, async handler"
PYVENTUS_ALONE = "Pyventus, one at a time"


class Worker:
    """The process in which the contestants take turns: `benchmarks.worker`."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def measure(self, name: str, count: int) -> Measured:
        """Let one of them do its work for `count` events."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        print(name, count, file=stdin, flush=True)
        answer = stdout.readline()
        if not answer:
            raise RuntimeError(f"the worker has ended with status {self._process.wait()}")
        return {CPU: float(answer) / count * 1e6}

    def stop(self) -> None:
        """End it."""
        self._process.communicate()


@contextmanager
def _contestants(works: dict[str, tuple[str, int]]) -> Iterator[dict[str, Contestant]]:
    worker = Worker()
    try:
        yield {name: partial(worker.measure, *work) for name, work in works.items()}
    finally:
        worker.stop()


@contextmanager
def notify(quick: bool) -> Iterator[Suite]:
    """Start the worker: events that are emitted and forgotten, in batches of 1,000, drained."""
    works = {
        "ours": ("notify", 40_000),
        PYEE: ("pyee", 20_000),
        "on a Clock": ("notify_clock", 40_000),
        "class": ("notify_class", 40_000),
        "topic": ("notify_topic", 40_000),
        "async": ("notify_async", 20_000),
        BLINKER: ("blinker", 20_000),
        PYVENTUS: ("pyventus", 2_000),
    }
    comparisons = [
        Comparison("notify, one handler", "ours", PYEE, CPU, 0.5),
        Comparison("notify, drained by a Clock", "on a Clock", PYEE, CPU),
        Comparison("notify, event of a plain class", "class", PYEE, CPU),
        Comparison("notify, topic string", "topic", PYEE, CPU),
        Comparison("notify, async handler", "async", PYEE, CPU),
        Comparison("notify, one handler", "ours", BLINKER, CPU),
        Comparison("notify, one handler", "ours", PYVENTUS, CPU),
    ]
    with _contestants(works) as contestants:
        yield Suite(contestants, comparisons, rounds=7 if quick else 40)


@contextmanager
def emit(quick: bool) -> Iterator[Suite]:
    """Start the worker: events whose outcome is awaited, 1,000 at once or one after the other."""
    works = {
        "ours": ("emit", 10_000),
        PYVENTUS: ("pyventus", 2_000),
        "async": ("emit_async", 10_000),
        PYVENTUS_ASYNC: ("pyventus_async", 2_000),
        "alone": ("emit_alone", 2_000),
        PYVENTUS_ALONE: ("pyventus_alone", 1_000),
    }
    comparisons = [
        Comparison("emit, awaited", "ours", PYVENTUS, CPU, 1 / 20),
        Comparison("emit, awaited, async handler", "async", PYVENTUS_ASYNC, CPU, 1 / 15),
        Comparison("emit, awaited one at a time", "alone", PYVENTUS_ALONE, CPU),
    ]
    with _contestants(works) as contestants:
        yield Suite(contestants, comparisons, rounds=5 if quick else 25)
