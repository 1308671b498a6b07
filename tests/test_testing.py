from __future__ import annotations

import sys
from socket import socketpair
from subprocess import run
from typing import Any

import attrs
import pytest
import pytest_twisted
from twisted.internet import defer, protocol, task
from twisted.internet.abstract import FileDescriptor
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock, deferLater
from twisted.logger import globalLogPublisher
from zope.interface import Interface, implementer
from zope.interface.verify import verifyObject

from txevents import Envelope, EventLinker, InvalidEvent, InvalidKey, Outcome, TxEventsError, event
from txevents.interfaces import IEventEmitter
from txevents.policy import Retry
from txevents.testing import (
    ClockEmitter,
    Emitted,
    EndlessEvents,
    LeakCheck,
    LeakError,
    RecordingEmitter,
    assert_emitted,
    assert_not_emitted,
    assert_ok,
    captured,
    leak_check,
)


class IOrder(Interface):
    pass


@event("com.example.order.placed")
@implementer(IOrder)
@attrs.frozen
class OrderPlaced:
    order_id: str
    total: int = 9


@attrs.frozen
class Customer:
    name: str


@attrs.frozen
class Broken:
    def __repr__(self) -> str:
        raise RuntimeError("no repr")


@pytest.fixture
def linker() -> EventLinker:
    return EventLinker()


@pytest.fixture
def emitter(linker: EventLinker) -> ClockEmitter:
    return ClockEmitter(linker)


@pytest.fixture
def recorder() -> RecordingEmitter:
    return RecordingEmitter(EventLinker())


def failure_of(assertion: Any, *args: Any, **kwargs: Any) -> str:
    with pytest.raises(AssertionError) as caught:
        assertion(*args, **kwargs)
    return str(caught.value)


def emitted(emitter: ClockEmitter, event: object, *args: Any) -> Outcome:
    deferred = emitter.emit(event, *args)
    emitter.flush()
    outcomes: list[Outcome] = []
    deferred.addCallback(outcomes.append)
    return outcomes[0]


class TestCaptured:
    def test_everything_in_the_form_of_wait_for(
        self, linker: EventLinker, emitter: ClockEmitter
    ) -> None:
        order = OrderPlaced("o-1")
        with captured(linker) as events:
            emitter.notify(order, "ignored", by="this form")
            emitter.notify("none")
            emitter.notify("one", 1)
            emitter.notify("two", 1, 2)
            emitter.notify("named", 1, by="name")
            assert events == []
            emitter.flush()
        assert events == [
            (order, "ignored", {"by": "this form"}),
            None,
            1,
            (1, 2),
            (1, {"by": "name"}),
        ]

    def test_only_the_keys_and_what_the_predicates_let_through(
        self, linker: EventLinker, emitter: ClockEmitter
    ) -> None:
        big = [lambda order: order.total > 10, lambda order: order.order_id]
        with (
            captured(linker, IOrder, "OrderPlaced", Customer) as some,
            captured(linker, OrderPlaced, where=big) as large,
            captured(linker, OrderPlaced, where=big[0]) as larger,
        ):
            for happened in (OrderPlaced("o-1"), OrderPlaced("o-2", 90), Customer("Ann"), Broken()):
                emitter.notify(happened)
            emitter.flush()
        assert some == [OrderPlaced("o-1"), OrderPlaced("o-2", 90), Customer("Ann")]
        assert large == larger == [OrderPlaced("o-2", 90)]

    def test_objects_together(self, linker: EventLinker, emitter: ClockEmitter) -> None:
        with captured(linker, (IOrder, Customer)) as events:
            emitter.emit_objects(OrderPlaced("o-1"), Customer("Ann"))
            emitter.flush()
        assert events == [(OrderPlaced("o-1"), Customer("Ann"))]

    def test_ends_with_the_block(self, linker: EventLinker, emitter: ClockEmitter) -> None:
        with pytest.raises(ZeroDivisionError), captured(linker) as events:  # noqa: PT012
            assert [s.name for s in linker.subscriptions()] == ["captured"]
            emitter.notify("late")
            1 / 0  # noqa: B018
        emitter.flush()
        assert events == []
        assert linker.subscriptions() == []

    def test_an_invalid_key(self, linker: EventLinker) -> None:
        with pytest.raises(InvalidKey), captured(linker, 7):
            pass

    def test_is_not_seen_in_the_values_nor_by_callbacks(self) -> None:
        succeeded: list[object] = []
        linker = EventLinker(on_success=succeeded.append)
        linker.subscribe(lambda: "done", "topic")
        with captured(linker) as events:
            outcome = emitted(ClockEmitter(linker), "topic")
        assert outcome.ok
        assert outcome.values == succeeded == ["done"]
        assert events == [None]

    def test_comes_before_the_handlers(self, linker: EventLinker) -> None:
        linker.subscribe(lambda: 1 / 0, "topic", priority=1e9)
        with captured(linker) as events:
            emitted(ClockEmitter(linker, on_error="stop"), "topic")
        assert events == [None]


class TestRecordingEmitter:
    def test_keeps_the_contract(self, recorder: RecordingEmitter) -> None:
        assert verifyObject(IEventEmitter, recorder)

    def test_records_and_runs_nothing(self, recorder: RecordingEmitter) -> None:
        recorder.linker.subscribe(lambda *args: 1 / 0, ..., (OrderPlaced, Customer))
        order, ann = OrderPlaced("o-1"), Customer("Ann")
        recorder.notify(order, "quickly", by="bike")
        fired: Deferred[Outcome] = recorder.emit("order.placed", "o-1")
        recorder.emit_objects(order, ann)
        recorder.emit((order, ann))
        assert recorder.events == [order, "order.placed", (order, ann), (order, ann)]
        assert recorder.emitted == [
            Emitted(order, ("quickly",), {"by": "bike"}),
            Emitted("order.placed", ("o-1",)),
            Emitted((order, ann), together=True),
            Emitted((order, ann)),
        ]
        outcomes: list[Outcome] = []
        fired.addCallback(outcomes.append)
        assert [(o.event, o.results, o.ok) for o in outcomes] == [("order.placed", (), True)]

    def test_clear(self, recorder: RecordingEmitter) -> None:
        recorder.emit("topic")
        recorder.clear()
        assert recorder.events == recorder.emitted == []

    @pytest.mark.parametrize("nothing", [None, "", OrderPlaced])
    def test_refuses_what_is_no_event(self, recorder: RecordingEmitter, nothing: object) -> None:
        with pytest.raises(InvalidEvent):
            recorder.notify(nothing)
        assert recorder.events == []


class TestClockEmitter:
    def test_flush_dispatches_nested_events(
        self, linker: EventLinker, emitter: ClockEmitter
    ) -> None:
        def count_down(number: int) -> None:
            if number:
                emitter.notify("count", number - 1)

        linker.subscribe(count_down, "count")
        with captured(linker) as numbers:
            emitter.notify("count", 3)
            emitter.flush()
        assert numbers == [3, 2, 1, 0]
        assert emitter.clock.seconds() == 0

    def test_a_storm_of_events_is_no_endless_chain(
        self, linker: EventLinker, emitter: ClockEmitter
    ) -> None:
        with captured(linker) as events:
            for number in range(5000):
                emitter.notify("storm", number)
            emitter.flush()
        assert events == list(range(5000))

    def test_flush_ends_when_events_go_on_emitting(self, linker: EventLinker) -> None:
        emitter = ClockEmitter(linker, max_turns=10)
        linker.subscribe(lambda: emitter.notify("pong", 1), "ping")
        linker.subscribe(lambda number: emitter.notify(OrderPlaced("o-1")), "pong")
        linker.subscribe(lambda order: emitter.notify("ping"), OrderPlaced)
        emitter.notify("ping")
        with pytest.raises(EndlessEvents) as caught:
            emitter.flush()
        assert str(caught.value) == (
            "after 10 turns at one time handlers still emit events: 'pong', 1"
        )
        assert isinstance(caught.value, TxEventsError)
        with pytest.raises(EndlessEvents) as caught:
            emitter.advance(1)
        assert str(caught.value) == (
            "after 10 turns at one time handlers still emit events: "
            "com.example.order.placed: OrderPlaced(order_id='o-1', total=9)"
        )

    def test_the_list_of_an_endless_chain_is_short(self, linker: EventLinker) -> None:
        emitter = ClockEmitter(linker, max_turns=3)

        def multiply(n: int) -> None:
            for more in range(9):
                emitter.notify("n", n + more)

        linker.subscribe(multiply, "n")
        emitter.notify("n", 0)
        with pytest.raises(EndlessEvents, match=r": 'n', 0, 'n', 1, .*'n', 9, \.\.\.$"):
            emitter.flush()

    def test_calls_without_end(self, linker: EventLinker) -> None:
        emitter = ClockEmitter(linker, max_turns=10)

        def again() -> None:
            emitter.clock.callLater(0, again)

        again()
        with pytest.raises(
            EndlessEvents, match=r"calls still schedule calls: <DelayedCall .*again"
        ):
            emitter.flush()

    def test_advance_makes_each_call_at_its_time(
        self, linker: EventLinker, emitter: ClockEmitter
    ) -> None:
        times = []

        def fail() -> None:
            times.append(emitter.clock.seconds())
            raise ValueError

        linker.subscribe(fail, "topic", retry=Retry(attempts=4, delay=1, jitter=0))
        emitter.notify("topic")
        emitter.advance(6.5)
        assert times == [0, 1, 3]
        emitter.advance(0.5)
        assert times == [0, 1, 3, 7]
        assert emitter.clock.seconds() == 7

    def test_a_call_that_is_cancelled_or_put_off_in_its_turn(self, emitter: ClockEmitter) -> None:
        clock = emitter.clock
        made: list[str] = []

        def change_the_others() -> None:
            cancelled.cancel()
            put_off.delay(1)

        clock.callLater(0, change_the_others)
        cancelled = clock.callLater(0, made.append, "cancelled")
        put_off = clock.callLater(0, made.append, "put off")
        emitter.flush()
        assert made == []
        emitter.advance(1)
        assert made == ["put off"]

    def test_assert_idle(self, linker: EventLinker, emitter: ClockEmitter) -> None:
        async def slow(*args: object) -> None:
            await deferLater(emitter.clock, 60)

        linker.subscribe(slow, ...)
        emitter.assert_idle()
        emitter.emit(OrderPlaced("o-1"))
        assert failure_of(emitter.assert_idle) == (
            "1 event is not handled:\n"
            "    com.example.order.placed: OrderPlaced(order_id='o-1', total=9) "
            "waits for its turn: call flush()"
        )
        emitter.flush()
        emitter.notify("later", 1)
        emitter.notify(Customer("Ann"))
        assert failure_of(emitter.assert_idle) == (
            "3 events are not handled:\n"
            "    'later', 1 waits for its turn: call flush()\n"
            "    Customer(name='Ann') waits for its turn: call flush()\n"
            "    com.example.order.placed: OrderPlaced(order_id='o-1', total=9) "
            "has a handler that has not finished"
        )
        emitter.flush()
        for _ in range(20):
            emitter.notify("later", 2)
        message = failure_of(emitter.assert_idle)
        assert message.startswith("23 events are not handled:\n    'later', 2 waits")
        assert message.endswith(
            "\n    an event has a handler that has not finished"
            "\n    an event has a handler that has not finished"
            "\n    com.example.order.placed: OrderPlaced(order_id='o-1', total=9) "
            "has a handler that has not finished"
            "\n    and 10 more"
        )
        emitter.advance(60)
        emitter.assert_idle()


class TestAssertEmitted:
    @pytest.mark.parametrize(
        "key", [IOrder, OrderPlaced, "com.example.#", "com.example.order.placed", ...]
    )
    def test_keys_match_as_for_a_linker(self, recorder: RecordingEmitter, key: Any) -> None:
        order = OrderPlaced("o-1")
        recorder.notify(order)
        assert assert_emitted(recorder, key) == assert_emitted([order], key) == [order]
        assert assert_emitted(recorder, key, 1, order_id="o-1", total=9) == [order]

    def test_objects_together(self, recorder: RecordingEmitter) -> None:
        pair = (OrderPlaced("o-1"), Customer("Ann"))
        recorder.emit_objects(*pair)
        assert assert_emitted(recorder, (IOrder, Customer)) == [pair]
        assert assert_emitted([pair], (IOrder, Customer)) == [pair]
        assert_not_emitted(recorder, ...)
        assert_not_emitted(recorder, tuple)

    def test_topics_and_their_arguments(self, recorder: RecordingEmitter) -> None:
        recorder.notify("order.placed", "o-1", total=9)
        recorder.notify("order.paid", OrderPlaced("o-2"))
        recorder.notify("order.sent", {"order_id": "o-3"})
        recorder.notify("order.lost", "o-4", "o-5")
        assert assert_emitted(recorder, "order.*", 4) == [
            ("o-1", {"total": 9}),
            OrderPlaced("o-2"),
            {"order_id": "o-3"},
            ("o-4", "o-5"),
        ]
        assert assert_emitted(recorder, "order.*", 2, total=9)
        assert assert_emitted(recorder, "#", order_id="o-3") == [{"order_id": "o-3"}]

    def test_an_envelope(self) -> None:
        envelope = Envelope(id="1", source="/shop", type="order.placed", data={"total": 9})
        assert assert_emitted([envelope], "order.placed", source="/shop") == [envelope]

    def test_what_is_no_event_is_in_a_list_of_captured(self) -> None:
        assert assert_emitted([None, "", int], ..., 3) == [None, "", int]
        assert_not_emitted([None, "", int], Customer)

    def test_a_mapping(self) -> None:
        assert assert_emitted([{"name": "Ann"}], dict, name="Ann") == [{"name": "Ann"}]

    def test_an_invalid_key(self, recorder: RecordingEmitter) -> None:
        with pytest.raises(InvalidKey):
            assert_emitted(recorder, 7)

    def test_nothing_was_emitted(self, recorder: RecordingEmitter) -> None:
        assert failure_of(assert_emitted, recorder, IOrder) == (
            "expected at least 1 of IOrder, but nothing was emitted"
        )
        assert failure_of(assert_emitted, [], "order.*", 2, total=1) == (
            "expected 2 of 'order.*' with total=1, but nothing was emitted"
        )
        assert_emitted(recorder, IOrder, 0)

    def test_the_differences(self, recorder: RecordingEmitter) -> None:
        recorder.notify(OrderPlaced("o-1"))
        recorder.notify("order.cancelled", "o-1", reason="late")
        recorder.notify(Customer("Ann"))
        recorder.emit_objects(Customer("Bob"), 7)
        message = failure_of(assert_emitted, recorder, OrderPlaced, order_id="o-2", total=9, tax=1)
        assert message == (
            "expected at least 1 of OrderPlaced with order_id='o-2', total=9, tax=1, got 0; "
            "emitted:\n"
            "    com.example.order.placed: OrderPlaced(order_id='o-1', total=9)\n"
            "        order_id: 'o-1', expected 'o-2'\n"
            "        tax: missing, expected 1\n"
            "    'order.cancelled', 'o-1', reason='late'\n"
            "    Customer(name='Ann')\n"
            "    (Customer(name='Bob'), 7)"
        )

    def test_the_wrong_number(self, recorder: RecordingEmitter) -> None:
        recorder.notify(Customer("Ann"))
        recorder.notify(Customer("Bob"))
        assert failure_of(assert_emitted, recorder, Customer, 2, name="Ann") == (
            "expected 2 of Customer with name='Ann', got 1; emitted:\n"
            "  * Customer(name='Ann')\n"
            "    Customer(name='Bob')\n"
            "        name: 'Bob', expected 'Ann'"
        )
        assert failure_of(assert_emitted, recorder, Customer, count=1) == (
            "expected 1 of Customer, got 2; emitted:\n"
            "  * Customer(name='Ann')\n"
            "  * Customer(name='Bob')"
        )

    def test_a_topic_in_a_list(self) -> None:
        assert failure_of(assert_emitted, ["o-1"], "order.placed") == (
            "expected at least 1 of 'order.placed', got 0; emitted:\n"
            "    'o-1'\n"
            "(in a list of captured() a topic is only what it was emitted with; "
            "a RecordingEmitter knows the topic)"
        )

    def test_long_things_are_cut(self) -> None:
        events = [Broken(), "x" * 1000, "two\nlines", *range(30)]
        lines = failure_of(assert_emitted, events, Customer).splitlines()
        assert lines[1].startswith("    <Broken instance at ")
        assert lines[2] == f"    '{'x' * 196}..."
        assert lines[-1] == "    and 13 more"
        assert len(lines) == 22


def test_assert_not_emitted() -> None:
    assert_not_emitted([], ...)
    assert_not_emitted([Customer("Ann")], OrderPlaced)
    assert_not_emitted([Customer("Ann")], Customer, name="Bob")
    assert failure_of(assert_not_emitted, [Customer("Ann"), 7], Customer, name="Ann") == (
        "expected none of Customer with name='Ann', got 1; emitted:\n"
        "  * Customer(name='Ann')\n"
        "    7"
    )


class TestAssertOk:
    def test_a_success(self, linker: EventLinker, emitter: ClockEmitter) -> None:
        linker.subscribe(lambda: 1, "topic")
        linker.subscribe(lambda: 1, "topic", where=lambda: False)
        assert_ok(emitted(emitter, "topic"))
        assert_ok(emitted(emitter, "nobody listens"))

    def test_the_failures(self, linker: EventLinker, emitter: ClockEmitter) -> None:
        def refuse(order: OrderPlaced) -> None:
            raise ValueError(f"no stock for {order.order_id}")

        def unhappy(result: object) -> None:
            raise KeyError

        linker.subscribe(refuse, OrderPlaced, name="ship")
        linker.subscribe(lambda order: None, OrderPlaced, name="bill", on_success=unhappy)
        linker.subscribe(lambda order: None, OrderPlaced, name="mail")
        with pytest.raises(AssertionError) as caught:
            assert_ok(emitted(emitter, OrderPlaced("o-1")))
        assert str(caught.value) == (
            "2 of 3 subscriptions failed on "
            "com.example.order.placed: OrderPlaced(order_id='o-1', total=9):\n"
            "    ship: ValueError: no stock for o-1\n"
            "    bill, in its callback: KeyError"
        )
        cause = caught.value.__cause__
        assert isinstance(cause, ExceptionGroup)
        assert [type(exc) for exc in cause.exceptions] == [ValueError, KeyError]

    def test_one_failure_is_the_cause(self, linker: EventLinker, emitter: ClockEmitter) -> None:
        linker.subscribe(lambda: 1 / 0, "topic", name="divide")
        with pytest.raises(AssertionError) as caught:
            assert_ok(emitted(emitter, "topic"))
        assert str(caught.value) == (
            "1 of 1 subscriptions failed on 'topic':\n"
            "    divide: ZeroDivisionError: division by zero"
        )
        assert isinstance(caught.value.__cause__, ZeroDivisionError)

    def test_cancelled_and_dropped(self, linker: EventLinker, emitter: ClockEmitter) -> None:
        waits: Deferred[None] = Deferred()
        linker.subscribe(
            lambda: waits,
            "topic",
            name="queue",
            concurrency=1,
            max_queue=1,
            overflow="drop_newest",
        )
        first, _, third = (emitter.emit("topic") for _ in range(3))
        emitter.flush()
        outcomes: list[Outcome] = []
        third.addCallback(outcomes.append)
        first.addCallback(outcomes.append)
        first.cancel()
        dropped, cancelled = map(failure_of, [assert_ok] * 2, outcomes)
        assert dropped == "1 of 1 subscriptions failed on 'topic':\n    queue was dropped"
        assert cancelled == "1 of 1 subscriptions failed on 'topic':\n    queue was cancelled"

    def test_a_deferred_is_no_outcome(self, emitter: ClockEmitter) -> None:
        with pytest.raises(TypeError, match=r"^an Outcome is needed, not <Deferred .*: wait for"):
            assert_ok(emitter.emit("topic"))  # type: ignore[arg-type]


class TestLeakCheck:
    @pytest_twisted.ensureDeferred
    async def test_each_leak_is_named_and_removed(self, hygiene: LeakCheck) -> None:
        from twisted.internet import reactor

        factory = protocol.ServerFactory()
        with pytest.raises(LeakError) as caught:  # noqa: PT012
            async with leak_check():
                reactor.callLater(60, print)
                reactor.listenTCP(0, factory, interface="127.0.0.1")
                defer.fail(ValueError("nobody sees me"))
        assert len(hygiene.flush(ValueError)) == 1
        error = caught.value
        assert isinstance(error, AssertionError)
        assert isinstance(error, TxEventsError)
        call, port, unhandled = error.leaks
        assert call.startswith("a delayed call: <DelayedCall ")
        assert "print()" in call
        assert port.startswith("an open port or connection: <")
        assert unhandled.startswith("an unhandled error: Traceback ")
        assert unhandled.endswith("ValueError: nobody sees me")
        assert str(error) == f"left behind:\n{call}\n{port}\n{unhandled}"

    @pytest_twisted.ensureDeferred
    async def test_a_descriptor_is_no_longer_read(self) -> None:
        from twisted.internet import reactor

        ours, theirs = socketpair()
        with ours, theirs:
            descriptor = FileDescriptor(reactor)
            descriptor.fileno = ours.fileno  # type: ignore[method-assign]
            with pytest.raises(LeakError, match=r"^left behind:\nan open port or connection: <"):
                async with leak_check():
                    reactor.addReader(descriptor)
            assert descriptor not in reactor.getReaders()

    @pytest_twisted.ensureDeferred
    async def test_nothing_is_left(self, hygiene: LeakCheck) -> None:
        from twisted.internet import reactor

        async with leak_check(reactor) as check:
            assert isinstance(check, LeakCheck)
            await task.deferLater(reactor, 0)
            reactor.callLater(0, int)
            defer.fail(ValueError())
            assert [type(failure.value) for failure in check.flush(ValueError)] == [ValueError]
        assert len(hygiene.flush(ValueError)) == 1

    @pytest_twisted.ensureDeferred
    async def test_an_error_in_the_block_has_a_note(self) -> None:
        from twisted.internet import reactor

        before = (defer.DebugInfo, list(globalLogPublisher._observers))
        with pytest.raises(ZeroDivisionError) as caught:  # noqa: PT012
            async with leak_check():
                reactor.callLater(60, print)
                1 / 0  # noqa: B018
        (note,) = caught.value.__notes__
        assert note.startswith("left behind:\na delayed call: <DelayedCall ")
        assert before == (defer.DebugInfo, list(globalLogPublisher._observers))

    def test_in_a_running_reactor_it_takes_async_with(self) -> None:
        with pytest.raises(RuntimeError) as caught, leak_check():
            pass
        assert str(caught.value) == (
            "the reactor is running, and `with` cannot wait for it: "
            "use `async with leak_check()`, or the pytest fixture event_leak_check"
        )

    def test_a_clock(self) -> None:
        clock = Clock()
        clock.callLater(60, repr)
        check = leak_check(clock)
        with check:
            clock.callLater(0, int)
        with pytest.raises(LeakError, match=r"^left behind:\na delayed call: <DelayedCall "), check:
            clock.callLater(60, print)
        assert len(clock.getDelayedCalls()) == 1


def test_no_reactor_and_no_trial_is_imported() -> None:
    program = (
        "import sys, txevents.testing as testing; [getattr(testing, n) for n in testing.__all__];"
        "print([m for m in ('twisted.internet.reactor', 'twisted.trial', 'pytest') "
        "if m in sys.modules])"
    )
    done = run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
