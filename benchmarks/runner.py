"""Interleaved rounds, and the table of their ratios.

A machine's speed changes by the second. So the contestants take turns, first to last in one round
and last to first in the next, and only what was measured in the same round is compared. What is
reported is the median of the rounds' ratios, with the lowest and the highest.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from statistics import median

import attrs


@attrs.frozen
class Unit:
    """What is measured, and whether more of it is better."""

    name: str
    more_is_better: bool = False

    def show(self, value: float) -> str:
        """Return a value with the unit, for people."""
        number = f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
        return f"{number} {self.name}"


CPU = Unit("us CPU")
RATE_OF_CPU = Unit("/CPU s", more_is_better=True)
RATE = Unit("/s", more_is_better=True)

Measured = Mapping[Unit, float]
Contestant = Callable[[], Measured]


@attrs.frozen
class Comparison:
    """A line of the table: which two contestants are compared by what, and the ratio to reach."""

    work: str
    ours: str
    peer: str
    unit: Unit
    target: float | None = None

    def meets(self, ratio: float) -> bool | None:
        """Tell whether a ratio is as good as the target; `None` if there is none."""
        if self.target is None:
            return None
        return ratio >= self.target if self.unit.more_is_better else ratio <= self.target


@attrs.frozen
class Suite:
    """Contestants that take turns, and how to compare them."""

    contestants: Mapping[str, Contestant]
    comparisons: Sequence[Comparison]
    rounds: int


OpenSuite = Callable[[bool], AbstractContextManager[Suite]]
"""Starts what a suite needs, and stops it; the argument says whether it has to be quick."""

HEADINGS = ("work", "ours", "peer", "ratio", "(range)", "target", "")


def run(suite: Suite, name: str) -> list[tuple[str, ...]]:
    """Measure a suite, and return the lines of the table."""
    for contestant in suite.contestants.values():
        contestant()  # warms up
    rounds: list[dict[str, Measured]] = []
    for number in range(suite.rounds):
        _progress(f"{name}: round {number + 1} of {suite.rounds}")
        order = list(suite.contestants)
        if number % 2:
            order.reverse()
        rounds.append({contestant: suite.contestants[contestant]() for contestant in order})
    _progress("")
    return [_line(comparison, rounds) for comparison in suite.comparisons]


def _line(comparison: Comparison, rounds: Sequence[Mapping[str, Measured]]) -> tuple[str, ...]:
    unit = comparison.unit
    ours = [measured[comparison.ours][unit] for measured in rounds]
    peer = [measured[comparison.peer][unit] for measured in rounds]
    ratios = [our / its for our, its in zip(ours, peer, strict=True)]
    ratio = median(ratios)
    meets = comparison.meets(ratio)
    return (
        comparison.work,
        unit.show(median(ours)),
        f"{unit.show(median(peer))}, {comparison.peer}",
        f"{ratio:.3f}",
        f"({min(ratios):.3f}..{max(ratios):.3f})",
        "" if comparison.target is None else f"{_sign(unit)} {comparison.target:.3f}",
        "" if meets is None else "ok" if meets else "MISS",
    )


def _sign(unit: Unit) -> str:
    return ">=" if unit.more_is_better else "<="


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def table(lines: Iterable[tuple[str, ...]]) -> str:
    """Return lines of equal cells as text in columns."""
    lines = [HEADINGS, *lines]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
