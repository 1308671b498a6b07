"""One POST of a structured CloudEvent of 320 bytes: decoded, validated, dispatched, answered."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

from benchmarks.messages import TOPIC, TYPED_TOPIC
from benchmarks.processes import load, ours, peer, serving
from benchmarks.runner import CPU, RATE, Comparison, Suite

ASGI = "raw ASGI on uvicorn"
ASGI_64 = "raw ASGI on uvicorn, 64 connections"
WEB = "bare twisted.web"


@contextmanager
def suite(quick: bool) -> Iterator[Suite]:
    """Start the servers; the peers only parse the JSON."""
    count = 1000 if quick else 3000
    with ExitStack() as stack:
        us = stack.enter_context(serving(ours("--http", "tcp:0:interface=127.0.0.1")))
        asgi = stack.enter_context(serving(peer("asgi")))
        web = stack.enter_context(serving(peer("twisted_web")))
        contestants = {
            "ours": partial(load, us, "http", 16, count, TOPIC),
            ASGI: partial(load, asgi, "http", 16, count, TOPIC),
            "ours, 64": partial(load, us, "http", 64, count, TOPIC),
            ASGI_64: partial(load, asgi, "http", 64, count, TOPIC),
            "ours, typed": partial(load, us, "http", 16, count, TYPED_TOPIC),
            WEB: partial(load, web, "http", 16, count // 4, TOPIC),
        }
        comparisons = [
            Comparison("HTTP POST, 16 connections", "ours", ASGI, CPU, 1),
            Comparison("HTTP POST, 64 connections", "ours, 64", ASGI_64, CPU, 1),
            Comparison("HTTP POST, typed event", "ours, typed", ASGI, CPU),
            Comparison("HTTP POST, 16 connections", "ours", WEB, CPU),
            Comparison("HTTP POST, by the clock on the wall", "ours", ASGI, RATE),
        ]
        yield Suite(contestants, comparisons, rounds=3 if quick else 20)
