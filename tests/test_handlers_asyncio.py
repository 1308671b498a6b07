"""Handlers and callbacks may return what asyncio makes."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from textwrap import dedent
from typing import Any

import pytest

from tests.core_helpers import Stage, logged, result_of


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


Future = asyncio.Future[Any]


def run_once(loop: asyncio.AbstractEventLoop) -> None:
    # In a thread: on the asyncio reactor another loop runs in this one.
    running = threading.Thread(target=lambda: loop.run_until_complete(asyncio.sleep(0)))
    running.start()
    running.join()


@pytest.mark.parametrize("policy", [{}, {"where": lambda: True}])
def test_an_asyncio_future_is_waited_for(
    loop: asyncio.AbstractEventLoop, policy: dict[str, Any]
) -> None:
    stage = Stage()
    future: Future = loop.create_future()
    stage.linker.subscribe(lambda: future, "topic", **policy)
    emitting = stage.emitter.emit("topic")
    stage.clock.advance(0)

    future.set_result("done")
    assert not emitting.called
    run_once(loop)

    assert result_of(emitting).values == ["done"]


def test_an_asyncio_future_that_fails_is_a_failure(loop: asyncio.AbstractEventLoop) -> None:
    stage = Stage()
    future: Future = loop.create_future()
    stage.linker.subscribe(lambda: future, "topic")
    emitting = stage.emitter.emit("topic")
    stage.clock.advance(0)

    future.set_exception(ValueError("no"))
    run_once(loop)

    assert [str(exc) for exc in result_of(emitting).exceptions] == ["no"]


def test_a_callback_may_return_an_asyncio_future(loop: asyncio.AbstractEventLoop) -> None:
    stage = Stage()
    future: Future = loop.create_future()
    stage.linker.subscribe(lambda: "done", "topic", on_success=lambda result: future)
    emitting = stage.emitter.emit("topic")
    stage.clock.advance(0)

    future.set_result(None)
    run_once(loop)

    assert result_of(emitting).ok


def test_an_asyncio_future_is_cancelled_with_the_emission(
    loop: asyncio.AbstractEventLoop,
) -> None:
    stage = Stage()
    future: Future = loop.create_future()
    stage.linker.subscribe(lambda: future, "topic")
    emitting = stage.emitter.emit("topic")
    stage.clock.advance(0)

    with logged() as events:
        emitting.cancel()
        run_once(loop)

    assert future.cancelled()
    assert [result.status for result in result_of(emitting).results] == ["cancelled"]
    assert events == []


def test_an_asyncio_future_that_somebody_else_cancels_is_a_failure(
    loop: asyncio.AbstractEventLoop,
) -> None:
    stage = Stage()
    future: Future = loop.create_future()
    failed: list[BaseException] = []
    stage.linker.subscribe(lambda: future, "topic", on_failure=failed.append)
    emitting = stage.emitter.emit("topic")
    stage.clock.advance(0)

    with logged() as events:
        future.cancel()
        run_once(loop)

    assert [result.status for result in result_of(emitting).results] == ["failed"]
    assert [type(exc) for exc in failed] == [asyncio.CancelledError]
    assert len(events) == 1


def test_handlers_may_use_asyncio_on_the_asyncio_reactor() -> None:
    program = """
        from twisted.internet import asyncioreactor
        asyncioreactor.install()

        import asyncio
        from twisted.internet import defer, task
        from txevents import EventLinker, ReactorEmitter

        linker = EventLinker()

        @linker.on("topic")
        def returns_a_task():
            async def sleep():
                await asyncio.sleep(0)
                return "task"
            return asyncio.ensure_future(sleep())

        @linker.on("topic")
        async def awaits_a_future():
            await asyncio.sleep(0.01)
            return await defer.Deferred.fromFuture(returns_a_task()) + " awaited"

        @linker.on("topic")
        async def awaits_a_task():
            return await returns_a_task() + " itself"

        @linker.on("topic")
        async def fails():
            async def fail():
                raise KeyError("in a task")
            try:
                await asyncio.ensure_future(fail())
            except KeyError as exc:
                return exc.args[0]

        async def main(reactor):
            outcome = await ReactorEmitter(linker).emit("topic")
            outcome.raise_for_failures()
            print(outcome.values)

        task.react(lambda reactor: defer.ensureDeferred(main(reactor)))
    """
    ran = subprocess.run(
        [sys.executable, "-c", dedent(program)], capture_output=True, text=True, check=False
    )
    assert (ran.stdout, ran.stderr) == (
        "['task', 'task awaited', 'task itself', 'in a task']\n",
        "",
    )
