from __future__ import annotations

from unittest import TestResult

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import SynchronousTestCase, TestCase

from txevents import Outcome, ReactorEmitter
from txevents.testing import EventsTestMixin, RecordingEmitter, leak_check


class OrderPlaced:
    def __init__(self, order_id: str) -> None:
        self.order_id = order_id

    def __repr__(self) -> str:
        return f"OrderPlaced({self.order_id!r})"


class SynchronousTests(EventsTestMixin, SynchronousTestCase):
    def test_a_handler_that_waits(self) -> None:
        async def send_receipt(order: OrderPlaced) -> str:
            await deferLater(self.emitter.clock, 60)
            return order.order_id

        self.linker.subscribe(send_receipt, OrderPlaced)
        emitted = self.emitter.emit(OrderPlaced("o-1"))
        self.emitter.flush()
        self.assertNoResult(emitted)
        self.emitter.advance(60)
        outcome = self.successResultOf(emitted)
        self.assertOutcomeOk(outcome)
        self.assertEqual(outcome.values, ["o-1"])

    def test_captured(self) -> None:
        events = self.captured(OrderPlaced, where=lambda order: order.order_id != "o-0")
        order = OrderPlaced("o-1")
        self.emitter.notify(OrderPlaced("o-0"))
        self.emitter.notify(order)
        self.emitter.flush()
        self.assertEqual(self.assertEmitted(events, OrderPlaced, 1, order_id="o-1"), [order])
        self.assertNotEmitted(events, OrderPlaced, order_id="o-0")

    def test_the_assertions_fail(self) -> None:
        recorder = RecordingEmitter(self.linker)
        recorder.notify(OrderPlaced("o-1"))
        with self.assertRaises(self.failureException) as caught:
            self.assertEmitted(recorder, OrderPlaced, order_id="o-2")
        self.assertEqual(
            str(caught.exception),
            "expected at least 1 of OrderPlaced with order_id='o-2', got 0; emitted:\n"
            "    OrderPlaced('o-1')\n"
            "        order_id: 'o-1', expected 'o-2'",
        )
        with self.assertRaises(self.failureException) as caught:
            self.assertNotEmitted(recorder, OrderPlaced)
        self.assertEqual(
            str(caught.exception),
            "expected none of OrderPlaced, got 1; emitted:\n  * OrderPlaced('o-1')",
        )

    def test_a_failed_outcome(self) -> None:
        self.linker.subscribe(lambda: 1 / 0, "topic", name="divide")
        emitted = self.emitter.emit("topic")
        self.emitter.flush()
        with self.assertRaises(self.failureException) as caught:
            self.assertOutcomeOk(self.successResultOf(emitted))
        self.assertEqual(
            str(caught.exception),
            "1 of 1 subscriptions failed on 'topic':\n"
            "    divide: ZeroDivisionError: division by zero",
        )
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_the_reactor_does_not_run(self) -> None:
        with leak_check() as check:
            Deferred().addErrback(lambda failure: None).cancel()
        self.assertEqual(check.flush(), [])


class AsynchronousTests(EventsTestMixin, TestCase):
    async def test_on_the_real_reactor(self) -> None:
        self.linker.subscribe(lambda: "done", "topic")
        events = self.captured("topic")
        async with leak_check():
            outcome: Outcome = await ReactorEmitter(self.linker).emit("topic")
        self.assertOutcomeOk(outcome)
        self.assertEqual((outcome.values, events), (["done"], [None]))

    def test_a_deferred(self) -> Deferred[None]:
        return ReactorEmitter(self.linker).emit("topic").addCallback(self.assertOutcomeOk)


class WithoutHandlingTests(SynchronousTestCase):
    def test_a_test_that_forgets_its_events_fails(self) -> None:
        class Forgetful(EventsTestMixin, SynchronousTestCase):
            def setUp(self) -> None:
                super().setUp()
                self.events = self.captured()

            def test_it(self) -> None:
                self.linker.subscribe(print, OrderPlaced)
                self.emitter.notify(OrderPlaced("o-1"))

        result = TestResult()
        test = Forgetful("test_it")
        test.run(result)
        self.assertEqual(result.testsRun, 1)
        [(failed, traceback)] = result.errors
        self.assertIs(failed, test)
        self.assertIn(
            "1 event is not handled:\n    OrderPlaced('o-1') waits for its turn: call flush()",
            traceback,
        )
        self.assertEqual([s.keys for s in test.linker.subscriptions()], [(OrderPlaced,)])
