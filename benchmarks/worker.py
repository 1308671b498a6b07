"""The process in which `notify`, `emit` and their peers take turns.

Reads lines `NAME COUNT` from standard input, lets the function NAME emit COUNT events, all of them
handled when it is done, and prints the seconds of CPU time that it took.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import process_time
from typing import Any

from blinker import Signal
from pyee import EventEmitter as PyeeEmitter
from pyventus.core.processing.asyncio import AsyncIOProcessingService
from pyventus.events import EventEmitter as PyventusEmitter
from pyventus.events import EventLinker as PyventusLinker
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock, react
from zope.interface import Interface, implementer

from txevents import EventLinker, ReactorEmitter

BATCH = 1000

Work = Callable[[int], Awaitable[None]]


class IOrder(Interface):
    """What our handler listens to."""


@implementer(IOrder)
@dataclass(frozen=True)
class Order:
    """The event; Pyventus takes objects of dataclasses only."""

    order_id: str


@dataclass(frozen=True)
class PlainOrder:
    """An event whose class declares no interface."""

    order_id: str


ORDER = Order("o-1")
PLAIN = PlainOrder("o-1")
TOPIC = "com.example.order.placed"


def do_nothing(order: object) -> None:
    """Handle the event."""


async def do_nothing_async(order: object) -> None:
    """Handle the event; never waits."""


def notify(handler: Callable[[Any], Any], key: Any, *event: Any) -> Work:
    """Return what notifies one handler, on the reactor."""
    linker = EventLinker()
    linker.subscribe(handler, key)
    emitter = ReactorEmitter(linker)

    async def work(count: int) -> None:
        notify = emitter.notify
        for _ in range(count // BATCH):
            for _ in range(BATCH):
                notify(*event)
            await emitter.when_in_flight_below(1)

    async def work_with_one(count: int) -> None:
        notify = emitter.notify
        (one,) = event
        for _ in range(count // BATCH):
            for _ in range(BATCH):
                notify(one)
            await emitter.when_in_flight_below(1)

    return work_with_one if len(event) == 1 else work


def notify_clock() -> Work:
    """Return what notifies one handler, with a clock in the place of the reactor."""
    linker = EventLinker()
    linker.subscribe(do_nothing, IOrder)
    clock = Clock()
    emitter = ReactorEmitter(linker, clock)

    async def work(count: int) -> None:
        notify = emitter.notify
        for _ in range(count // BATCH):
            for _ in range(BATCH):
                notify(ORDER)
            clock.advance(0)

    return work


def emit(handler: Callable[[Any], Any]) -> Work:
    """Return what emits a thousand events and then waits for all outcomes."""
    linker = EventLinker()
    linker.subscribe(handler, IOrder)
    emitter = ReactorEmitter(linker)

    async def work(count: int) -> None:
        emit = emitter.emit
        for _ in range(count // BATCH):
            emitted = [emit(ORDER) for _ in range(BATCH)]
            for deferred in emitted:
                await deferred

    return work


def emit_alone() -> Work:
    """Return what waits for each outcome before it emits the next event."""
    linker = EventLinker()
    linker.subscribe(do_nothing, IOrder)
    emitter = ReactorEmitter(linker)

    async def work(count: int) -> None:
        for _ in range(count):
            await emitter.emit(ORDER)

    return work


def pyee() -> Work:
    """Return what emits with pyee, which calls the handler at once."""
    emitter = PyeeEmitter()
    emitter.on("order", do_nothing)

    async def work(count: int) -> None:
        emit = emitter.emit
        for _ in range(count):
            emit("order", ORDER)

    return work


def blinker() -> Work:
    """Return what sends with blinker, which calls the handler at once."""
    signal = Signal()
    signal.connect(do_nothing)

    async def work(count: int) -> None:
        send = signal.send
        for _ in range(count):
            send(ORDER)

    return work


def pyventus(handler: Callable[[Any], Any], runner: asyncio.Runner, batch: int = BATCH) -> Work:
    """Return what emits with Pyventus on asyncio, so many at once, and waits for the tasks."""
    linker: Any = type("Linker", (PyventusLinker,), {})
    linker.subscribe(Order, event_callback=handler)
    service = AsyncIOProcessingService()
    emitter = PyventusEmitter(event_processor=service, event_linker=linker, debug=False)

    async def emit_all(count: int) -> None:
        emit = emitter.emit
        for _ in range(count // batch):
            for _ in range(batch):
                emit(ORDER)
            await service.wait_for_tasks()

    async def work(count: int) -> None:
        runner.run(emit_all(count))

    return work


async def serve(runner: asyncio.Runner) -> None:
    """Do what is asked for, until there is no more."""
    works = {
        "notify": notify(do_nothing, IOrder, ORDER),
        "notify_async": notify(do_nothing_async, IOrder, ORDER),
        "notify_class": notify(do_nothing, PlainOrder, PLAIN),
        "notify_topic": notify(do_nothing, TOPIC, TOPIC, ORDER),
        "notify_clock": notify_clock(),
        "emit": emit(do_nothing),
        "emit_async": emit(do_nothing_async),
        "emit_alone": emit_alone(),
        "pyee": pyee(),
        "blinker": blinker(),
        "pyventus": pyventus(do_nothing, runner),
        "pyventus_async": pyventus(do_nothing_async, runner),
        "pyventus_alone": pyventus(do_nothing, runner, batch=1),
    }
    for line in sys.stdin:
        name, count = line.split()
        work = works[name]
        gc.collect()
        start = process_time()
        await work(int(count))
        print(process_time() - start, flush=True)


def main(reactor: object) -> Deferred[None]:
    """Serve on the reactor, with a loop of asyncio that runs when its turn is."""

    async def serving() -> None:
        with asyncio.Runner() as runner:
            await serve(runner)

    return Deferred.fromCoroutine(serving())


if __name__ == "__main__":
    react(main)
