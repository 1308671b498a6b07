"""The linker with very many subscriptions: what it costs, and that dispatch does not notice."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from time import process_time
from typing import Any

from twisted.internet.task import Clock
from zope.interface import Interface
from zope.interface.interface import InterfaceClass

from benchmarks.runner import CPU, RATE_OF_CPU, Comparison, Contestant, Measured, Suite, Unit
from txevents import EventLinker, ReactorEmitter, Subscription

BYTES = Unit("bytes")

MANY = 100_000
OTHERS = 10_000
BATCH = 1000


class Seen:
    """An event whose class has been emitted before."""


def new_event() -> object:
    """Return an event of a class that nobody has seen."""
    cls = type("New", (), {})
    return cls()


def do_nothing(*args: object) -> None:
    """Handle the event."""


def distinct_keys(number: int) -> list[Any]:
    """Return as many topics, classes and interfaces, a third of each."""
    third = number // 3
    keys: list[Any] = [f"com.example.{n}" for n in range(number - 2 * third)]
    keys += [type(f"Event{n}", (), {}) for n in range(third)]
    keys += [InterfaceClass(f"IEvent{n}", (Interface,)) for n in range(third)]
    return keys


def subscribed(keys: list[Any]) -> tuple[EventLinker, list[Subscription]]:
    """Return a linker with one subscription for each key."""
    linker = EventLinker()
    return linker, [linker.subscribe(do_nothing, key) for key in keys]


def dispatching(linker: EventLinker, event: object) -> Contestant:
    """Return what measures a notification of `event`, dispatched in batches of 1,000."""
    clock = Clock()
    emitter = ReactorEmitter(linker, clock)
    linker.subscribe(do_nothing, event if isinstance(event, str) else type(event))

    def measure() -> Measured:
        started = process_time()
        for _ in range(20):
            for _ in range(BATCH):
                emitter.notify(event)
            clock.advance(0)
        return {CPU: (process_time() - started) / 20 / BATCH * 1e6}

    return measure


def one_by_one(linker: EventLinker, make_event: Callable[[], object]) -> Contestant:
    """Return what measures single notifications, each dispatched before the next is made."""
    clock = Clock()
    emitter = ReactorEmitter(linker, clock)
    linker.subscribe(do_nothing, object)

    def measure() -> Measured:
        events = [make_event() for _ in range(300)]
        started = process_time()
        for event in events:
            emitter.notify(event)
            clock.advance(0)
        return {CPU: (process_time() - started) / len(events) * 1e6}

    return measure


def registering(keys: list[Any], cancelling: bool) -> Measured:
    """Measure how many subscriptions are made, or cancelled, in a second of CPU time."""
    gc.collect()
    started = process_time()
    _, subscriptions = subscribed(keys)
    if cancelling:
        started = process_time()
        for subscription in subscriptions:
            subscription.cancel()
    return {RATE_OF_CPU: len(keys) / (process_time() - started)}


def size(keys: list[Any]) -> Measured:
    """Measure the memory that a subscription takes, beside its handler and its key."""
    keys = keys[:OTHERS]
    gc.collect()
    tracemalloc.start()
    linker, subscriptions = subscribed(keys)
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    subscriptions.clear()
    del linker
    return {BYTES: taken / len(keys)}


def constant(unit: Unit, value: float) -> Contestant:
    """Return a contestant that stands for a figure to reach."""
    return lambda: {unit: value}


@contextmanager
def suite(quick: bool) -> Iterator[Suite]:
    """Make the linkers."""
    keys = distinct_keys(OTHERS if quick else MANY)
    many = f"{len(keys):,}"
    crowded, _ = subscribed(keys)
    other_classes, _ = subscribed(keys[-OTHERS:])
    patterns, _ = subscribed([f"com.*.{n}.#" for n in range(OTHERS)])
    contestants: dict[str, Contestant] = {
        "among many": dispatching(crowded, Seen()),
        "alone": dispatching(EventLinker(), Seen()),
        "topic among patterns": dispatching(patterns, "com.example.seen"),
        "topic alone": dispatching(EventLinker(), "com.example.seen"),
        "of a new class": one_by_one(other_classes, new_event),
        "of a class seen before": one_by_one(other_classes, Seen),
        "registered": partial(registering, keys, False),
        "cancelled": partial(registering, keys, True),
        "one subscription": partial(size, keys),
        "100,000 to reach": constant(RATE_OF_CPU, 100_000),
        "200,000 to reach": constant(RATE_OF_CPU, 200_000),
        "400 at most": constant(BYTES, 400),
    }
    comparisons = [
        Comparison(f"notify among {many} subscriptions", "among many", "alone", CPU, 1.1),
        Comparison(
            f"subscriptions to {many} keys", "registered", "100,000 to reach", RATE_OF_CPU, 1
        ),
        Comparison("subscriptions cancelled", "cancelled", "200,000 to reach", RATE_OF_CPU, 1),
        Comparison("memory of a subscription", "one subscription", "400 at most", BYTES, 1),
        Comparison(
            f"topic among {OTHERS:,} patterns", "topic among patterns", "topic alone", CPU, 1.1
        ),
        Comparison("first event", "of a new class", "of a class seen before", CPU, 20),
    ]
    yield Suite(contestants, comparisons, rounds=3 if quick else 15)
