"""`concurrency`, `ordered_by`, `max_queue` and `overflow`: which events a handler is at work on."""

from __future__ import annotations

import gc
from collections.abc import Hashable
from typing import Any
from weakref import ref

import attrs
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from tests.core_helpers import Stage, logged, result_of, statuses
from txevents import EventLinker, InvalidHandler, Outcome, QueueFull, Retry, Subscription
from txevents.gate import NO_KEY, Dropped, Gate
from txevents.policy import Overflow, Policy


class Office(Stage):
    """A stage with one handler on "work", which works until the test says that it is done."""

    def __init__(self, **policy: Any) -> None:
        super().__init__()
        self.working: dict[Any, Deferred[str]] = {}
        self.started: list[Any] = []
        self.subscription: Subscription = self.linker.subscribe(self.work, "work", **policy)

    async def work(self, piece: Any) -> str:
        self.started.append(piece)
        self.working[piece] = Deferred()
        try:
            return await self.working[piece]
        finally:
            del self.working[piece]

    def bring(self, *pieces: Any) -> list[Deferred[Outcome]]:
        deferreds = [self.emitter.emit("work", piece) for piece in pieces]
        self.clock.advance(0)
        return deferreds

    def finish(self, *pieces: Any) -> None:
        for piece in pieces:
            self.working[piece].callback(f"did {piece}")


def customer(piece: str) -> str:
    """Return the letter of "a1", "a2", "b1"."""
    return piece[0]


def statuses_of(deferreds: list[Deferred[Outcome]]) -> list[str]:
    return [status for deferred in deferreds for status in statuses(result_of(deferred))]


def test_a_handler_is_at_work_on_so_many_events_at_a_time() -> None:
    office = Office(concurrency=2)
    deferreds = office.bring(1, 2, 3, 4, 5)

    assert office.started == [1, 2]
    assert office.emitter.in_flight == 5
    office.finish(2)
    assert office.started == [1, 2, 3]
    office.finish(3)
    office.finish(1)
    assert office.started == [1, 2, 3, 4, 5]
    office.finish(4, 5)

    values = [result_of(deferred).values for deferred in deferreds]
    assert values == [[f"did {number}"] for number in range(1, 6)]
    assert office.emitter.in_flight == 0


def test_notified_events_queue_too() -> None:
    office = Office(concurrency=1)
    for number in range(3):
        office.notify("work", number)

    assert (office.started, office.emitter.in_flight) == ([0], 3)
    office.finish(0)
    office.finish(1)
    office.finish(2)
    assert (office.started, office.emitter.in_flight) == ([0, 1, 2], 0)


def test_each_subscription_has_a_queue_of_its_own_whatever_emits() -> None:
    office = Office(concurrency=1)
    heard: list[int] = []
    office.linker.subscribe(heard.append, "work")
    office.bring(1, 2)
    other = Stage()
    other.emitter.linker = office.linker
    deferred = other.emitter.emit("work", 3)
    other.clock.advance(0)

    assert (office.started, heard) == ([1], [1, 2, 3])
    office.finish(1)
    office.finish(2)
    office.finish(3)
    assert result_of(deferred).values == ["did 3", None]


def test_events_of_one_key_are_handled_one_after_another_and_keys_in_parallel() -> None:
    office = Office(ordered_by=customer)
    deferreds = office.bring("a1", "a2", "b1", "c1", "b2", "a3")

    assert office.started == ["a1", "b1", "c1"]
    office.finish("b1")
    office.finish("a1")
    assert office.started == ["a1", "b1", "c1", "b2", "a2"]
    office.finish("c1", "b2", "a2")
    office.finish("a3")
    assert statuses_of(deferreds) == ["done"] * 6


def test_the_key_is_made_of_what_the_handler_is_called_with() -> None:
    stage = Stage()
    calls: list[Any] = []

    def key(*args: Any, **kwargs: Any) -> Hashable:
        calls.append((args, kwargs))
        return None

    stage.linker.subscribe(lambda *args, **kwargs: "value", "topic", Stage, ordered_by=key)

    assert stage.emit("topic", 1, word=2).values == ["value"]
    assert stage.emit(stage, 1, word=2).values == ["value"]
    assert calls == [((1,), {"word": 2}), ((stage, 1), {"word": 2})]


def test_the_key_may_be_made_by_a_function_that_is_named() -> None:
    office = Office(ordered_by="tests.test_gate:customer")
    office.bring("a1", "a2", "b1")

    assert office.started == ["a1", "b1"]


def test_none_is_a_key_like_any_other() -> None:
    office = Office(ordered_by=lambda piece: None)
    office.bring(1, 2)

    assert office.started == [1]


def test_with_both_no_key_has_two_and_all_together_no_more_than_so_many() -> None:
    office = Office(concurrency=2, ordered_by=customer)
    office.bring("a1", "a2", "b1", "c1", "a3")

    assert office.started == ["a1", "b1"]
    office.finish("b1")
    assert office.started == ["a1", "b1", "c1"]
    office.finish("a1")
    assert office.started == ["a1", "b1", "c1", "a2"]
    office.finish("c1")
    assert office.started == ["a1", "b1", "c1", "a2"]
    office.finish("a2")
    assert office.started[-1] == "a3"


def test_an_event_that_waits_between_attempts_keeps_its_place() -> None:
    stage = Stage()
    seen: list[tuple[float, int]] = []

    def handler(number: int) -> None:
        seen.append((stage.clock.seconds(), number))
        if number == 0:
            raise ValueError

    stage.linker.subscribe(handler, "topic", concurrency=1, retry=Retry(jitter=0))
    for number in range(2):
        stage.emitter.emit("topic", number)
    stage.clock.pump([0, 1, 1, 1])

    assert seen == [(0, 0), (1, 0), (3, 0), (3, 1)]


def test_the_predicate_is_asked_before_the_event_queues() -> None:
    office = Office(concurrency=1, max_queue=1, where=lambda number: number % 2)
    first, *skipped, last = office.bring(1, 2, 4, 3)

    assert statuses_of(skipped) == ["skipped", "skipped"]
    office.finish(1)
    office.finish(3)
    assert statuses_of([first, last]) == ["done", "done"]


def test_a_once_handler_takes_one_event_and_the_others_do_not_queue() -> None:
    office = Office(concurrency=1, once=True)
    first, *others = office.bring(1, 2, 3)

    assert statuses_of(others) == ["skipped", "skipped"]
    office.finish(1)
    assert statuses_of([first]) == ["done"]


def test_an_event_too_many_fails() -> None:
    office = Office(concurrency=1, max_queue=2)
    failed: list[Any] = []
    office.emitter.on_failure = lambda *args: failed.append(args)

    with logged() as events:
        *deferreds, refused = office.bring(1, 2, 3, 4)

    outcome = result_of(refused)
    assert statuses(outcome) == ["failed"]
    (error,) = outcome.exceptions
    assert isinstance(error, QueueFull)
    assert isinstance(error, RuntimeError)
    assert str(error) == "2 events wait for the handler already"
    assert failed == [(error, "work", office.subscription)]
    assert [event["log_failure"].value for event in events] == [error]
    for number in range(1, 4):
        office.finish(number)
    assert statuses_of(deferreds) == ["done"] * 3


def test_an_event_too_many_is_told_to_the_failure_callback_and_not_tried_again() -> None:
    failed: list[Exception] = []
    office = Office(concurrency=1, max_queue=1, retry=Retry(), on_failure=failed.append)
    office.bring(1, 2, 3)

    assert [type(exc) for exc in failed] == [QueueFull]
    assert office.clock.getDelayedCalls() == []


@pytest.mark.parametrize(
    ("overflow", "dropped", "done"),
    [("drop_newest", [4, 5], [1, 2, 3]), ("drop_oldest", [2, 3], [1, 4, 5])],
)
@pytest.mark.parametrize("limit", [{"concurrency": 1}, {"ordered_by": lambda number: "key"}])
def test_an_event_too_many_makes_one_drop(
    overflow: str, dropped: list[int], done: list[int], limit: dict[str, Any]
) -> None:
    called: list[object] = []
    office = Office(
        **limit, max_queue=2, overflow=overflow, on_success=called.append, on_failure=called.append
    )

    with logged() as events:
        deferreds = dict(zip(range(1, 6), office.bring(*range(1, 6)), strict=True))

    assert statuses_of([deferreds[number] for number in dropped]) == ["dropped"] * 2
    assert (events, called, office.subscription.failures) == ([], [], 0)
    for number in done:
        office.finish(number)
    assert office.started == done
    assert statuses_of([deferreds[number] for number in done]) == ["done"] * 3
    assert len(called) == 3


def test_an_outcome_with_a_dropped_event_is_not_ok() -> None:
    office = Office(concurrency=1, max_queue=1, overflow="drop_newest")
    dropped = office.bring(1, 2, 3)[2]

    outcome = result_of(dropped)
    assert not outcome.ok
    assert (outcome.values, outcome.exceptions) == ([], [])


def test_a_thousand_events_may_queue_if_nothing_is_said() -> None:
    office = Office(concurrency=1)
    *deferreds, refused = office.bring(*range(1002))

    assert statuses_of([refused]) == ["failed"]
    assert not any(deferred.called for deferred in deferreds)


def test_cancelling_a_queued_emission_frees_its_place() -> None:
    office = Office(concurrency=1, max_queue=1)
    office.bring(1)
    (queued,) = office.bring(2)

    queued.cancel()
    (next_one,) = office.bring(3)

    assert statuses_of([queued]) == ["cancelled"]
    assert isinstance(queued, Deferred)
    office.finish(1)
    assert office.started == [1, 3]
    office.finish(3)
    assert statuses_of([next_one]) == ["done"]


@pytest.mark.parametrize("limit", [{"concurrency": 1}, {"ordered_by": lambda number: "key"}])
def test_cancelling_what_is_at_work_lets_the_next_one_in(limit: dict[str, Any]) -> None:
    office = Office(**limit)
    first, second = office.bring(1, 2)

    first.cancel()

    assert office.started == [1, 2]
    office.finish(2)
    assert statuses_of([first, second]) == ["cancelled", "done"]


def test_a_cancelled_subscription_is_not_called_for_the_events_in_its_queue() -> None:
    office = Office(concurrency=1)
    first, *queued = office.bring(1, 2, 3)

    office.subscription.cancel()
    office.finish(1)

    assert office.started == [1]
    assert statuses_of([first, *queued]) == ["done", "skipped", "skipped"]
    assert office.emitter.in_flight == 0


def test_a_muted_subscription_is_not_called_for_the_events_in_its_queue() -> None:
    office = Office(concurrency=1)
    first, second, third = office.bring(1, 2, 3)

    with office.subscription.muted():
        office.finish(1)
    (fourth,) = office.bring(4)
    office.finish(4)

    assert office.started == [1, 4]
    assert statuses_of([first, second, third, fourth]) == ["done", "skipped", "skipped", "done"]


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("limit", [{"concurrency": 1}, {"ordered_by": lambda number: "key"}])
def test_thousands_of_events_that_take_no_time_do_not_recurse(
    asynchronous: bool, limit: dict[str, Any]
) -> None:
    stage = Stage()
    blocked: Deferred[None] = Deferred()
    heard: list[int] = []

    def first_waits(number: int) -> Deferred[None] | None:
        heard.append(number)
        return None if number else blocked

    async def first_waits_and_all_are_coroutines(number: int) -> None:
        heard.append(number)
        if not number:
            await blocked

    stage.linker.subscribe(
        first_waits_and_all_are_coroutines if asynchronous else first_waits,
        "topic",
        **limit,
        max_queue=5000,
    )
    deferreds = [stage.emitter.emit("topic", number) for number in range(5001)]
    stage.clock.advance(0)
    assert heard == [0]

    blocked.callback(None)

    assert heard == list(range(5001))
    assert all(deferred.called for deferred in deferreds)
    assert stage.emitter.in_flight == 0


@pytest.mark.parametrize("limit", [{"concurrency": 1}, {"ordered_by": lambda number: "key"}])
def test_failing_handlers_let_the_next_one_in(limit: dict[str, Any]) -> None:
    stage = Stage()

    async def fail(number: int) -> None:
        if number % 2:
            await deferLater(stage.clock, 1)
        raise ValueError(number)

    stage.linker.subscribe(fail, "topic", **limit)
    deferreds = [stage.emitter.emit("topic", number) for number in range(6)]
    stage.clock.pump([0, 1, 1, 1])

    assert [str(*result_of(deferred).exceptions) for deferred in deferreds] == list("012345")


def test_system_exit_lets_the_next_one_in() -> None:
    office = Office(concurrency=1)
    first, second = office.bring(1, 2)

    office.working[1].errback(SystemExit(3))
    office.finish(2)

    assert statuses_of([first, second]) == ["failed", "done"]


@pytest.mark.parametrize("limit", [{"concurrency": 1}, {"ordered_by": lambda number: "key"}])
def test_what_queues_does_not_start_when_all_of_it_is_garbage(limit: dict[str, Any]) -> None:
    office = Office(**limit)
    office.bring(1, 2)
    started, gone = office.started, ref(office)

    del office
    gc.collect()

    assert gone() is None
    assert started == [1]


def test_an_event_for_which_the_key_fails_has_failed_and_no_other() -> None:
    failed: list[Exception] = []
    office = Office(ordered_by=customer, concurrency=1, on_failure=failed.append)
    a1, bad, a2 = office.bring("a1", 7, "a2")

    outcome = result_of(bad)
    assert statuses(outcome) == ["failed"]
    assert outcome.exceptions == failed
    assert "not subscriptable" in str(failed[0])
    office.finish("a1")
    office.finish("a2")
    assert statuses_of([a1, a2]) == ["done", "done"]


@pytest.mark.parametrize("busy", [False, True])
@pytest.mark.parametrize("limit", [{}, {"concurrency": 1}])
def test_an_event_with_a_key_that_is_not_hashable_has_failed_and_no_other(
    busy: bool, limit: dict[str, Any]
) -> None:
    office = Office(ordered_by=lambda piece: [piece] if piece == "bad" else piece[0], **limit)
    deferreds = office.bring("a1") if busy else []
    (bad,) = office.bring("bad")
    deferreds += office.bring("b1" if busy else "a1", "a2")

    outcome = result_of(bad)
    assert statuses(outcome) == ["failed"]
    assert isinstance(outcome.exceptions[0], TypeError)
    assert "unhashable" in str(outcome.exceptions[0])
    while office.working:
        office.finish(*office.working)
    assert statuses_of(deferreds) == ["done"] * len(deferreds)


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ({"concurrency": 0}, "concurrency must be a positive whole number, not 0"),
        ({"concurrency": 1.5}, "concurrency must be a positive whole number, not 1.5"),
        ({"concurrency": True}, "concurrency must be a positive whole number, not True"),
        ({"max_queue": 0}, "max_queue must be a positive whole number, not 0"),
        ({"max_queue": None}, "max_queue must be a positive whole number, not None"),
        ({"max_queue": "9"}, "max_queue must be a positive whole number, not '9'"),
        ({"overflow": "block"}, 'overflow must be "error", "drop_newest" or "drop_oldest", not'),
        ({"overflow": None}, 'overflow must be "error", "drop_newest" or "drop_oldest", not None'),
        ({"ordered_by": "order_id"}, "ordered_by must be callable, not 'order_id'"),
    ],
)
def test_a_limit_that_makes_no_sense_is_refused(policy: dict[str, Any], message: str) -> None:
    linker = EventLinker()

    with pytest.raises(InvalidHandler, match=message):
        linker.subscribe(print, "topic", **policy)

    assert linker.subscriptions() == []


def let_in(gate: Gate, key: Hashable = NO_KEY) -> bool:
    return gate.enter(key).called


def test_who_enters_while_others_are_let_in_waits_behind_them() -> None:
    gate = Gate(Policy(ordered_by=customer))
    order: list[str] = []

    def leave_and_enter(_: None) -> None:
        gate.leave("key")
        gate.enter("key").addCallback(lambda _: order.append("third"))

    gate.enter("key")
    gate.enter("key").addCallback(leave_and_enter)
    gate.enter("key").addCallback(lambda _: order.append("second"))
    gate.leave("key")
    assert order == ["second"]
    gate.leave("key")
    assert order == ["second", "third"]


def test_leaving_an_empty_gate_lets_one_more_in_later() -> None:
    gate = Gate(Policy(concurrency=1))
    assert let_in(gate)
    entered = gate.enter()
    entered.addErrback(lambda failure: failure.trap(CancelledError))
    entered.cancel()
    gate.leave()

    assert let_in(gate)


@attrs.define(eq=False)
class Visit:
    """One event at the gate."""

    number: int
    key: Hashable
    stays: bool
    brings: Hashable  # the key of the one that it enters when it is let in; `None` for nobody
    state: str = "waiting"


class GateMachine(RuleBasedStateMachine):
    """Events come and go in any order; some leave as soon as they are in, some bring another."""

    @initialize(
        concurrency=st.none() | st.integers(1, 3),
        ordered=st.booleans(),
        max_queue=st.integers(1, 5),
        overflow=st.sampled_from(["error", "drop_newest", "drop_oldest"]),
    )
    def build(
        self, concurrency: int | None, ordered: bool, max_queue: int, overflow: Overflow
    ) -> None:
        self.concurrency = concurrency
        self.ordered = ordered
        self.max_queue = max_queue
        self.overflow = overflow
        self.gate = Gate(
            Policy(
                concurrency=concurrency,
                ordered_by=customer if ordered else None,
                max_queue=max_queue,
                overflow=overflow,
            )
        )
        self.visits: list[Visit] = []
        self.entered: dict[Visit, Deferred[None]] = {}
        self.let_in: list[Visit] = []

    def those(self, state: str) -> list[Visit]:
        return [visit for visit in self.visits if visit.state == state]

    def may_start(self, visit: Visit) -> bool:
        inside = self.those("inside")
        return len(inside) != self.concurrency and (
            not self.ordered or visit.key not in [other.key for other in inside]
        )

    def come(self, key: Hashable, stays: bool, brings: Hashable = None) -> None:
        visit = Visit(len(self.visits), key if self.ordered else NO_KEY, stays, brings)
        self.visits.append(visit)
        entered = self.gate.enter(visit.key)
        self.entered[visit] = entered
        entered.addCallbacks(
            self.start, self.turned_away, callbackArgs=(visit,), errbackArgs=(visit,)
        )

    def start(self, _: None, visit: Visit) -> None:
        assert visit.state == "waiting"
        assert self.may_start(visit)
        visit.state = "inside"
        self.let_in.append(visit)
        if not visit.stays:
            self.go(visit)
        if visit.brings is not None:
            self.come(visit.brings, stays=True)

    def turned_away(self, failure: Failure, visit: Visit) -> None:
        assert visit.state == "waiting"
        waiting = [other for other in self.those("waiting") if other is not visit]
        if failure.check(CancelledError):
            visit.state = "cancelled"
            return
        assert len(waiting) == self.max_queue
        visit.state = "turned away"
        if self.overflow == "error":
            assert failure.check(QueueFull)
        else:
            assert failure.check(Dropped)
        if self.overflow == "drop_oldest":
            assert all(visit.number < other.number for other in waiting)
        else:
            assert visit is self.visits[-1]

    def go(self, visit: Visit) -> None:
        visit.state = "gone"
        self.gate.leave(visit.key)

    @rule(key=st.sampled_from("abc"), stays=st.booleans())
    def one_comes(self, key: str, stays: bool) -> None:
        self.come(key, stays)

    @rule(key=st.sampled_from("abc"), brings=st.sampled_from("abc"), stays=st.booleans())
    def one_comes_who_brings_another(self, key: str, brings: str, stays: bool) -> None:
        self.come(key, stays, brings)

    @precondition(lambda self: self.those("inside"))
    @rule(data=st.data())
    def one_goes(self, data: st.DataObject) -> None:
        self.go(data.draw(st.sampled_from(self.those("inside"))))

    @precondition(lambda self: self.those("waiting"))
    @rule(data=st.data())
    def one_gives_up(self, data: st.DataObject) -> None:
        visit = data.draw(st.sampled_from(self.those("waiting")))
        self.entered[visit].cancel()
        assert visit.state == "cancelled"

    @invariant()
    def nobody_waits_who_could_start(self) -> None:
        assert not any(map(self.may_start, self.those("waiting")))
        assert len(self.those("waiting")) <= self.max_queue

    @invariant()
    def those_of_one_key_are_let_in_in_order(self) -> None:
        for key in {visit.key for visit in self.let_in}:
            numbers = [visit.number for visit in self.let_in if visit.key == key]
            assert numbers == sorted(numbers)

    def teardown(self) -> None:
        while inside := self.those("inside"):
            self.go(inside[0])
        assert not self.those("waiting")
        for deferred in self.entered.values():
            assert deferred.called


GateMachine.TestCase.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
TestGate = GateMachine.TestCase
