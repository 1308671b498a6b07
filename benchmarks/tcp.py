"""Structured CloudEvents of 320 bytes as lines: decoded, validated, dispatched, answered."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

from benchmarks.messages import TOPIC, TYPED_TOPIC
from benchmarks.processes import load, ours, peer, serving
from benchmarks.runner import RATE, RATE_OF_CPU, Comparison, Suite

CONNECTIONS = 4

EACH_LINE = "LineReceiver answering each line"
EACH_CHUNK = "LineReceiver answering each chunk"
ONLY = "LineOnlyReceiver answering each chunk"


@contextmanager
def suite(quick: bool) -> Iterator[Suite]:
    """Start the servers; the peers do the same work behind Twisted's line protocols."""
    count = 20_000 if quick else 40_000
    commands = {
        "ours": ours("--tcp", "tcp:0:interface=127.0.0.1"),
        EACH_LINE: peer("lines", "LineReceiver", "line"),
        EACH_CHUNK: peer("lines", "LineReceiver", "chunk"),
        ONLY: peer("lines", "LineOnlyReceiver", "chunk"),
    }
    with ExitStack() as stack:
        servers = {name: stack.enter_context(serving(cmd)) for name, cmd in commands.items()}
        contestants = {
            name: partial(load, server, "tcp", CONNECTIONS, count, TOPIC)
            for name, server in servers.items()
        }
        contestants["ours, typed"] = partial(
            load, servers["ours"], "tcp", CONNECTIONS, count, TYPED_TOPIC
        )
        comparisons = [
            Comparison("TCP, events", "ours", EACH_LINE, RATE_OF_CPU, 1.5),
            Comparison("TCP, events", "ours", EACH_CHUNK, RATE_OF_CPU, 1.5),
            Comparison("TCP, events by the clock on the wall", "ours", EACH_LINE, RATE, 1.5),
            Comparison("TCP, events by the clock on the wall", "ours", EACH_CHUNK, RATE, 1.5),
            Comparison("TCP, events", "ours", ONLY, RATE_OF_CPU),
            Comparison("TCP, typed events", "ours, typed", EACH_CHUNK, RATE_OF_CPU),
        ]
        yield Suite(contestants, comparisons, rounds=3 if quick else 20)
