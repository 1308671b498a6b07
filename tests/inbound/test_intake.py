"""From an envelope to the handlers: what they are given, when an event is refused, and room."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import attrs
import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock, deferLater
from zope.interface import verify

from tests.inbound.support import fired, structured
from txevents import Envelope, EventLinker, ReactorEmitter, current_envelope, event
from txevents.inbound.intake import MAX_IN_FLIGHT, Intake
from txevents.interfaces import IIntake
from txevents.wire.cloudevents import read_structured
from txevents.wire.problems import Refusal

TOPIC = "com.example.tests.intake"


@event(TOPIC)
@attrs.frozen
class Order:
    number: str
    total: Decimal


def envelope(type: str = "com.example.tested", **members: object) -> Envelope:
    return read_structured(structured(type=type, **members))


def order(total: object = "9.50") -> Envelope:
    return envelope(TOPIC, data={"number": "o-1", "total": total})


class House:
    """A clock, some linkers and an intake in front of them."""

    def __init__(self, linkers: int = 1, max_in_flight: int = MAX_IN_FLIGHT) -> None:
        self.clock = Clock()
        self.linkers = [EventLinker() for _ in range(linkers)]
        self.emitters = [ReactorEmitter(linker, self.clock) for linker in self.linkers]
        self.intake = Intake(self.emitters, max_in_flight)
        self.heard: list[Any] = []
        self.open: list[Deferred[None]] = []

    @property
    def linker(self) -> EventLinker:
        return self.linkers[0]

    def hear(self, *keys: Any, linker: int = 0) -> None:
        self.linkers[linker].subscribe(self.heard.append, *keys)

    def block(self, *keys: Any, linker: int = 0) -> None:
        """Handle events without ever finishing, until `finish`."""

        def wait(_: object) -> Deferred[None]:
            self.open.append(Deferred())
            return self.open[-1]

        self.linkers[linker].subscribe(wait, *keys)

    def accept(self, *envelopes: Envelope) -> None:
        for each in envelopes:
            self.intake.accept(each)
        self.clock.advance(0)

    def refusal(self, envelope: Envelope) -> Refusal:
        with pytest.raises(Refusal) as caught:
            self.intake.accept(envelope)
        self.clock.advance(0)
        return caught.value

    def finish(self, count: int = 1) -> None:
        for _ in range(count):
            self.open.pop(0).callback(None)


def test_it_is_an_intake() -> None:
    assert verify.verifyObject(IIntake, House().intake)


def test_handlers_run_after_the_acceptance_and_not_inside() -> None:
    house = House()
    house.hear("com.example.*")
    sent = envelope(data=1)

    house.intake.accept(sent)
    assert house.heard == []
    house.clock.advance(0)

    assert house.heard == [sent]


def test_an_event_that_nobody_hears_is_accepted() -> None:
    house = House()

    house.accept(envelope())

    assert house.intake.in_flight == 0


class TestTyped:
    def test_a_declared_class_that_is_subscribed_to_arrives_as_an_instance(self) -> None:
        house = House()
        house.hear(Order)

        house.accept(order())

        assert house.heard == [Order("o-1", Decimal("9.50"))]

    @pytest.mark.parametrize("key", [TOPIC, "com.example.tests.*", ...])
    def test_other_subscriptions_that_reach_it_get_the_instance_too(self, key: Any) -> None:
        house = House()
        house.hear(key)

        house.accept(order())

        assert house.heard == [Order("o-1", Decimal("9.50"))]

    def test_the_envelope_arrives_when_no_subscription_reaches_the_class(self) -> None:
        house = House()
        house.hear("com.example.tested", Envelope)

        house.accept(order("not a number"))

        assert house.heard == [order("not a number")]

    def test_an_undeclared_topic_arrives_as_the_envelope(self) -> None:
        house = House()
        house.hear(Order, "com.example.tested")

        house.accept(envelope())

        assert house.heard == [envelope()]

    def test_data_that_does_not_fit_is_422_and_names_the_field(self) -> None:
        house = House()
        house.hear(Order)

        refusal = house.refusal(order("much"))

        assert (refusal.status, refusal.detail) == (422, "data.total: expected decimal")
        assert house.heard == []

    def test_data_that_is_missing_is_422(self) -> None:
        house = House()
        house.hear(Order)

        assert house.refusal(envelope(TOPIC)).status == 422

    def test_no_linker_hears_an_event_that_one_of_them_refuses(self) -> None:
        house = House(linkers=2)
        house.hear("com.example.tested", Envelope, linker=0)
        house.hear(Order, linker=1)

        assert house.refusal(order("much")).status == 422
        assert house.heard == []
        house.accept(order())
        assert house.heard == [order(), Order("o-1", Decimal("9.50"))]


class TestCurrentEnvelope:
    def test_there_is_none_outside(self) -> None:
        house = House()
        house.hear(...)

        house.accept(envelope())

        assert current_envelope() is None

    def test_a_handler_sees_the_envelope_of_its_event(self) -> None:
        house = House()
        seen: list[Envelope | None] = []
        house.linker.subscribe(lambda _: seen.append(current_envelope()), Order)
        sent = order()

        house.accept(sent)

        assert seen[0] is sent

    def test_an_async_handler_sees_it_after_waiting_while_others_arrive(self) -> None:
        house = House()
        seen: list[str | None] = []

        async def handle(_: object) -> None:
            await deferLater(house.clock, 1)
            found = current_envelope()
            seen.append(found.id if found else None)

        house.linker.subscribe(handle, ...)
        house.accept(envelope(id="1"))
        house.accept(envelope(id="2"), envelope(id="3"))
        house.clock.advance(1)

        assert seen == ["1", "2", "3"]

    def test_an_event_that_a_handler_emits_sees_the_one_it_comes_from(self) -> None:
        house = House()
        emitter = ReactorEmitter(house.linker, house.clock)
        seen: list[Envelope | None] = []

        async def emit(_: object) -> None:
            await deferLater(house.clock, 1)
            emitter.notify("inner")

        house.linker.subscribe(emit, "com.example.tested")
        house.linker.subscribe(lambda: seen.append(current_envelope()), "inner")
        sent = envelope()
        house.accept(sent)
        house.clock.pump([1, 0, 0])
        emitter.notify("inner")
        house.clock.pump([0, 0])

        assert seen == [sent, None]


class TestRoom:
    def test_the_bound_is_ten_thousand_events(self) -> None:
        assert MAX_IN_FLIGHT == 10_000

    def test_the_bound_is_exact(self) -> None:
        house = House(max_in_flight=3)
        house.block("com.example.tested")

        house.accept(*[envelope()] * 2)
        rooms = [house.intake.room]
        house.accept(envelope())
        rooms.append(house.intake.room)

        assert rooms == [1, 0]
        assert house.intake.in_flight == 3
        refusal = house.refusal(envelope())
        assert refusal.status == 503
        assert refusal.headers == {"Retry-After": "1"}

    def test_an_event_that_has_not_had_its_turn_counts(self) -> None:
        house = House(max_in_flight=2)
        house.hear("com.example.tested")

        house.intake.accept(envelope())
        house.intake.accept(envelope())

        assert house.refusal(envelope()).status == 503
        assert len(house.heard) == 2
        house.accept(envelope())
        assert len(house.heard) == 3

    def test_there_is_room_again_when_a_handler_has_finished(self) -> None:
        house = House(max_in_flight=1)
        house.block("com.example.tested")

        house.accept(envelope())
        ready = house.intake.when_ready()
        assert not fired(ready)
        house.finish()

        assert fired(ready)
        assert house.intake.room == 1
        house.accept(envelope())

    def test_a_full_intake_refuses_before_it_reads(self) -> None:
        house = House(max_in_flight=1)
        house.block(...)
        house.accept(envelope())

        assert house.refusal(order("much")).status == 503

    def test_when_there_is_room_nobody_waits(self) -> None:
        assert fired(House().intake.when_ready())
        assert fired(House().intake.when_idle())

    def test_room_is_for_as_many_as_there_is_room_for(self) -> None:
        house = House(max_in_flight=1)
        house.block("com.example.tested")
        house.accept(envelope())
        order: list[int] = []

        def take(number: int) -> Callable[[None], None]:
            def accept(_: None) -> None:
                order.append(number)
                house.intake.accept(envelope())

            return accept

        for number in (1, 2):
            house.intake.when_ready().addCallback(take(number))
        house.finish()
        assert order == [1]
        house.clock.advance(0)
        house.finish()

        assert order == [1, 2]

    def test_the_linker_that_has_the_most_to_do_counts(self) -> None:
        house = House(linkers=2, max_in_flight=2)
        house.hear("com.example.tested", linker=0)
        house.block("com.example.tested", linker=1)

        house.accept(envelope(), envelope())
        assert house.intake.in_flight == 2
        ready, idle = house.intake.when_ready(), house.intake.when_idle()
        assert not fired(ready)
        house.finish()
        assert fired(ready)
        assert not fired(idle)
        house.finish()

        assert fired(idle)

    def test_ready_means_ready_although_another_linker_has_filled_up_meanwhile(self) -> None:
        house = House(linkers=2, max_in_flight=1)
        house.block("a", linker=0)
        house.block("b", linker=1)

        house.accept(envelope("a"))
        ready = house.intake.when_ready()
        house.emitters[1].notify("b", None)  # not by way of the intake, which is full
        house.clock.advance(0)
        house.finish()
        assert not fired(ready)
        house.finish()

        assert fired(ready)

    def test_waiting_can_be_given_up(self) -> None:
        house = House(max_in_flight=1)
        house.block("com.example.tested")
        house.accept(envelope())
        given_up: list[bool] = []

        ready = house.intake.when_ready()
        ready.addErrback(lambda failure: given_up.append(bool(failure.check(CancelledError))))
        ready.cancel()
        house.finish()

        assert given_up == [True]
