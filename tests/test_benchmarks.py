"""The runner of the benchmarks; what they measure is not judged here."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.load import is_whole, lines, shares
from benchmarks.messages import SIZE, TOPIC, TYPED_TOPIC, message
from benchmarks.runner import CPU, RATE, Comparison, Contestant, Measured, Suite, run, table
from txevents.wire.cloudevents import read_structured

ROOT = Path(__file__).resolve().parent.parent


def benchmarks(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        # Not traced: it would not be measured as it is, and Pyventus goes into its debug mode.
        env={name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")},
        check=False,
    )


def test_quick_run() -> None:
    """`python -m benchmarks --quick notify` prints a table with ratios, peers and targets."""
    for peer in ("pyee", "blinker", "pyventus"):
        pytest.importorskip(peer, reason="the extra `bench` is not installed")
    done = benchmarks("--quick", "notify")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(
        r"^notify, one handler +\S+ us CPU +\S+ us CPU, pyee +\d\.\d{3} +"
        r"\(\d\.\d{3}\.\.\d\.\d{3}\) +<= 0\.500  (ok|MISS)$",
        done.stdout,
        re.MULTILINE,
    )


def test_unknown_name() -> None:
    done = benchmarks("nothing")
    assert done.returncode == 2
    assert "there is no benchmark 'nothing', only notify, emit, linker, http, tcp" in done.stderr


class Speeds:
    """Contestants whose speeds are known, and the order in which they had their turns."""

    def __init__(self, **speeds: list[float]) -> None:
        self.turns: list[str] = []
        self._speeds = speeds

    def contestant(self, name: str) -> Contestant:
        speeds = iter([0.0, *self._speeds[name]])  # the first one warms up

        def measure() -> Measured:
            self.turns.append(name)
            speed = next(speeds)
            return {CPU: speed, RATE: speed}

        return measure


def test_ratios_are_of_one_round_each_and_turns_alternate() -> None:
    speeds = Speeds(ours=[1, 20, 3], peer=[2, 10, 4])
    contestants = {name: speeds.contestant(name) for name in ("ours", "peer")}
    comparisons = [
        Comparison("work", "ours", "peer", CPU, 0.5),
        Comparison("work", "ours", "peer", RATE, 0.5),
        Comparison("work", "ours", "peer", RATE),
    ]
    assert run(Suite(contestants, comparisons, rounds=3), "name") == [
        ("work", "3 us CPU", "4 us CPU, peer", "0.750", "(0.500..2.000)", "<= 0.500", "MISS"),
        ("work", "3 /s", "4 /s, peer", "0.750", "(0.500..2.000)", ">= 0.500", "ok"),
        ("work", "3 /s", "4 /s, peer", "0.750", "(0.500..2.000)", "", ""),
    ]
    assert speeds.turns == ["ours", "peer", "ours", "peer", "peer", "ours", "ours", "peer"]


def test_table() -> None:
    lines = table([("a", "b", "c", "d", "e", "f", "MISS")]).splitlines()
    assert lines == [
        "work  ours  peer  ratio  (range)  target",
        "a     b     c     d      e        f       MISS",
    ]


@pytest.mark.parametrize("topic", [TOPIC, TYPED_TOPIC])
def test_messages_are_events_of_the_size_that_is_told(topic: str) -> None:
    text = message(topic, 7)
    assert len(text) == SIZE == 320
    envelope = read_structured(text)
    assert (envelope.type, envelope.id, envelope.data["order_id"]) == (
        topic,
        "00000007",
        "o-00000007",
    )


def test_load() -> None:
    answer = b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\n{}"
    assert [is_whole(answer[:-2]), is_whole(answer[:9]), is_whole(answer)] == [False, False, True]
    with pytest.raises(RuntimeError, match=r"not accepted: b'HTTP/1\.1 503"):
        is_whole(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
    assert list(shares(11, 4)) == [2, 3, 3, 3]
    assert lines(2500, TOPIC).count(b"\n") == 2500
