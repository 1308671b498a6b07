"""What users of trial write, with the installed reactor and with a clock of their own."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest
from twisted.internet import reactor, task
from twisted.internet.defer import CancelledError, Deferred, inlineCallbacks
from twisted.trial.unittest import SynchronousTestCase, TestCase

from txevents import EventLinker, Outcome, ReactorEmitter


class Ping:
    pass


class EmitTests(TestCase):
    def setUp(self) -> None:
        self.linker = EventLinker()
        self.emitter = ReactorEmitter(self.linker)

    async def test_a_coroutine_handler_hears_the_event(self) -> None:
        heard: list[Ping] = []

        @self.linker.on(Ping)
        async def hear(event: Ping) -> None:
            await task.deferLater(reactor, 0)
            heard.append(event)

        ping = Ping()
        outcome = await self.emitter.emit(ping)

        outcome.raise_for_failures()
        assert heard == [ping]

    @inlineCallbacks
    def test_an_inline_callbacks_test_waits_for_the_outcome(
        self,
    ) -> Generator[Deferred[Outcome], Outcome, None]:
        self.linker.subscribe(lambda number: number + 1, "count")

        outcome = yield self.emitter.emit("count", 1)

        assert outcome.values == [2]

    def test_a_test_may_return_the_deferred(self) -> Deferred[None]:
        self.linker.subscribe(lambda: "heard", "topic")

        def check(outcome: Outcome) -> None:
            assert outcome.values == ["heard"]

        deferred = self.emitter.emit("topic")

        return deferred.addCallback(check)

    async def test_the_failure_of_a_handler_is_logged_and_can_be_flushed(self) -> None:
        @self.linker.on("topic")
        async def fail() -> None:
            raise ValueError("no")

        outcome = await self.emitter.emit("topic")

        assert not outcome.ok
        with pytest.raises(ExceptionGroup):
            outcome.raise_for_failures()
        assert len(self.flushLoggedErrors(ValueError)) == 1

    async def test_nothing_is_left_in_the_reactor_after_a_cancelled_emission(self) -> None:
        seen: list[str] = []

        @self.linker.on("topic")
        async def wait() -> None:
            seen.append("started")
            try:
                await task.deferLater(reactor, 3600)
            except CancelledError:
                seen.append("cancelled")
                raise

        deferred = self.emitter.emit("topic")
        await task.deferLater(reactor, 0)
        deferred.cancel()
        outcome = await deferred

        assert seen == ["started", "cancelled"]
        assert not outcome.ok

    async def test_a_test_may_wait_until_all_notifications_are_handled(self) -> None:
        heard: list[int] = []
        self.linker.subscribe(heard.append, int)

        for number in range(2500):
            self.emitter.notify(number)
        await self.emitter.when_in_flight_below(1)

        assert heard == list(range(2500))


class ClockTests(SynchronousTestCase):
    def test_a_synchronous_test_drives_a_clock(self) -> None:
        clock = task.Clock()
        linker = EventLinker()
        heard: list[Any] = []
        linker.subscribe(heard.append, Ping)
        emitter = ReactorEmitter(linker, clock)
        ping = Ping()

        deferred = emitter.emit(ping)
        self.assertNoResult(deferred)
        clock.advance(0)

        assert self.successResultOf(deferred).ok
        assert heard == [ping]
