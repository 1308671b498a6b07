"""What docs/coming-from-pyramid.md says, on both sides."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from zope.interface import Interface, alsoProvides, implementer

from tests.coming_from import row
from tests.core_helpers import Stage, result_of
from txevents import UnknownPredicate, not_
from txevents import subscriber as our_subscriber


class IOrder(Interface):
    """Something that has happened to an order."""


class IPlaced(IOrder):
    """It was placed."""


class ICustomer(Interface):
    """Who has placed it."""


class Event:
    """Like Pyramid's `NewRequest`: a class."""

    def __init__(self, tenant: str = "a") -> None:
        self.tenant = tenant


class SpecialEvent(Event): ...


@implementer(IPlaced)
class Placed(Event): ...


@implementer(ICustomer)
class Customer: ...


class Tenant:
    """A predicate as Pyramid takes it."""

    def __init__(self, value: str, config: object) -> None:
        self.value = value

    def text(self) -> str:
        return f"tenant = {self.value}"

    phash = text

    def __call__(self, event: Event) -> bool:
        return event.tenant == self.value


def tenant(value: str) -> Callable[[Event], bool]:
    """A predicate as we take it."""
    return lambda event: event.tenant == value


def refuse(*events: object) -> None:
    raise ValueError("no")


class Both:
    """A `Configurator` and a linker, and what their handlers were called with."""

    def __init__(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it imports modules that Python and setuptools retire
            pytest.importorskip("pyramid", reason="the extra `bench` is not installed")
            self.pyramid = importlib.import_module("pyramid.config")
            self.events = importlib.import_module("pyramid.events")
        self.config = self.pyramid.Configurator(autocommit=True)
        self.stage = Stage()
        self.linker = self.stage.linker
        self.their_calls: list[Any] = []
        self.our_calls: list[Any] = []

    def called_theirs(self, *events: object) -> None:
        self.their_calls.append(events)

    def called_ours(self, *events: object) -> None:
        self.our_calls.append(events)

    def subscribe(self, *keys: Any, **predicates: Any) -> None:
        self.config.add_subscriber(self.called_theirs, *keys, **predicates)
        self.linker.subscribe(self.called_ours, *(keys or (...,)), **predicates)

    def notify(self, event: object) -> None:
        self.config.registry.notify(event)
        self.stage.notify(event)


@pytest.fixture
def both() -> Both:
    return Both()


@row("`config.add_subscriber(f, IOrder)`")
def test_an_interface(both: Both) -> None:
    both.subscribe(IOrder)
    derived, declared, other = Placed(), Customer(), Customer()
    alsoProvides(declared, IOrder)

    for event in derived, declared, other:
        both.notify(event)

    assert both.their_calls == both.our_calls == [(derived,), (declared,)]


@row("`config.add_subscriber(f, NewRequest)`")
def test_a_class(both: Both) -> None:
    both.subscribe(Event)
    event, special = Event(), SpecialEvent()

    for each in event, special, Customer():
        both.notify(each)

    assert both.their_calls == both.our_calls == [(event,), (special,)]


@row("`config.add_subscriber(f)`")
def test_everything(both: Both) -> None:
    both.subscribe()
    event, customer = Event(), Customer()

    both.notify(event)
    both.notify(customer)

    assert both.their_calls == both.our_calls == [(event,), (customer,)]


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package whose handlers are marked for Pyramid and for us."""
    package = tmp_path / "coming_from_shop"
    package.mkdir()
    (package / "__init__.py").write_text(
        "from zope.interface import Interface, implementer\n"
        "calls = []\n"
        "class IOrder(Interface): pass\n"
        "class IRefund(Interface): pass\n"
        "@implementer(IOrder)\n"
        "class Order: pass\n"
    )
    (package / "handlers.py").write_text(
        "import pyramid.events, txevents\n"
        "from coming_from_shop import IOrder, IRefund, calls\n"
        "@pyramid.events.subscriber(IOrder, IRefund)\n"
        "def theirs(event): calls.append('theirs')\n"
        "@txevents.subscriber(IOrder, IRefund)\n"
        "def ours(event): calls.append('ours')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    for name in "coming_from_shop", "coming_from_shop.handlers":
        monkeypatch.delitem(sys.modules, name, raising=False)
    return package.name


@row('`config.add_subscriber("shop.handlers.f", "shop.IOrder")`')
def test_dotted_names(both: Both, shop: str) -> None:
    both.config.add_subscriber(f"{shop}.handlers.theirs", f"{shop}.IOrder")
    both.linker.subscribe(f"{shop}.handlers:ours", f"{shop}:IOrder")
    package = importlib.import_module(shop)

    both.notify(package.Order())

    assert package.calls == ["theirs", "ours"]


@row("`@subscriber(IOrder, IRefund)`")
def test_the_mark_registers_nothing(both: Both) -> None:
    their_subscriber = both.events.subscriber

    def handler(event: object) -> None:
        both.called_ours(event)

    assert our_subscriber(IOrder, ICustomer)(handler) is handler
    assert their_subscriber(IOrder, ICustomer)(handler) is handler
    both.notify(Placed())

    assert both.our_calls == []
    assert both.linker.subscriptions() == []


@row('`config.scan("shop")`')
def test_scan(both: Both, shop: str) -> None:
    both.config.scan(shop)
    made = both.linker.scan(shop)
    package = importlib.import_module(shop)

    both.notify(package.Order())

    assert package.calls == ["theirs", "ours"]
    assert made == both.linker.subscriptions()
    assert made[0].keys == (package.IOrder, package.IRefund)


@row("`config.commit()`")
def test_we_register_at_once(both: Both) -> None:
    config = both.pyramid.Configurator()
    config.add_subscriber(both.called_theirs, Event)
    both.linker.subscribe(both.called_ours, Event)

    config.registry.notify(Event())
    both.stage.notify(Event())
    assert (len(both.their_calls), len(both.our_calls)) == (0, 1)

    config.commit()
    config.registry.notify(Event())
    assert len(both.their_calls) == 1


@row("`registry.unregisterHandler(f, [IOrder])`")
def test_cancelling(both: Both) -> None:
    both.config.registry.registerHandler(both.called_theirs, [IOrder])
    subscription = both.linker.subscribe(both.called_ours, IOrder)

    assert both.config.registry.unregisterHandler(both.called_theirs, [IOrder])
    assert subscription.cancel()
    both.notify(Placed())

    assert both.their_calls == both.our_calls == []
    assert not both.config.registry.unregisterHandler(both.called_theirs, [IOrder])
    assert not subscription.cancel()


@row("undefined order")
def test_our_order_is_defined(both: Both) -> None:
    order: list[str] = []
    both.linker.subscribe(lambda e: order.append("class"), Placed)
    both.linker.subscribe(lambda e: order.append("derived"), IPlaced)
    both.linker.subscribe(lambda e: order.append("base"), IOrder)
    both.linker.subscribe(lambda e: order.append("first"), Placed, priority=1)

    both.stage.notify(Placed())

    assert order == ["first", "base", "derived", "class"]


@row('`config.add_subscriber_predicate("tenant", Tenant)`')
def test_adding_a_predicate(both: Both) -> None:
    both.config.add_subscriber_predicate("tenant", Tenant)
    both.linker.add_predicate("tenant", tenant)
    both.subscribe(Event, tenant="a")
    ours, other = Event("a"), Event("b")

    both.notify(ours)
    both.notify(other)

    assert both.their_calls == both.our_calls == [(ours,)]


@row('`config.add_subscriber(f, IOrder, tenant="a")`')
def test_using_a_predicate(both: Both) -> None:
    both.config.add_subscriber_predicate("tenant", Tenant)
    both.linker.add_predicate("tenant", tenant)
    both.subscribe(IOrder, tenant="b")
    placed = Placed("b")

    for event in placed, Placed("a"), Event("b"):
        both.notify(event)

    assert both.their_calls == both.our_calls == [(placed,)]


@row("an unknown predicate")
def test_an_unknown_predicate(both: Both) -> None:
    errors = importlib.import_module("pyramid.exceptions")
    both.linker.add_predicate("tenant", tenant)

    with pytest.raises(errors.ConfigurationError):
        both.config.add_subscriber(both.called_theirs, IOrder, tennant="a")
    with pytest.raises(UnknownPredicate, match="did you mean tenant"):
        both.linker.subscribe(both.called_ours, IOrder, tennant="a")


@row('`tenant=not_("a")`')
def test_negation(both: Both) -> None:
    both.config.add_subscriber_predicate("tenant", Tenant)
    both.config.add_subscriber(both.called_theirs, Event, tenant=both.pyramid.not_("a"))
    both.linker.subscribe(both.called_ours, Event, where=not_(tenant("a")))
    event = Event("b")

    with pytest.raises(TypeError, match="request"):
        both.config.registry.notify(event)
    both.stage.notify(event)
    both.stage.notify(Event("a"))

    assert both.our_calls == [(event,)]


@row("`registry.notify(event)`")
def test_notify_schedules(both: Both) -> None:
    both.subscribe(Event)
    event = Event()

    both.config.registry.notify(event)
    both.stage.emitter.notify(event)
    assert (both.their_calls, both.our_calls) == ([(event,)], [])

    both.stage.clock.advance(0)
    assert both.our_calls == [(event,)]


@row("`registry.notify(order, customer)`")
def test_several_objects(both: Both) -> None:
    both.config.add_subscriber(both.called_theirs, [IOrder, ICustomer])
    both.linker.subscribe(both.called_ours, (IOrder, ICustomer))
    placed, customer = Placed(), Customer()

    both.config.registry.notify(placed, customer)
    emitted = both.stage.emitter.emit_objects(placed, customer)
    both.stage.clock.advance(0)

    assert result_of(emitted).ok
    assert both.their_calls == both.our_calls == [(placed, customer)]


@row("`config.add_subscriber(f, [IOrder, ICustomer])`")
def test_objects_are_matched_by_position(both: Both) -> None:
    both.config.add_subscriber(both.called_theirs, [IOrder, ICustomer])
    both.linker.subscribe(both.called_ours, (IOrder, ICustomer))

    for objects in (Customer(), Placed()), (Placed(),), (Placed(), Customer(), Customer()):
        both.config.registry.notify(*objects)
        both.stage.emitter.emit_objects(*objects)
    both.stage.clock.advance(0)

    assert both.their_calls == both.our_calls == []


@row("a subscriber that raises")
def test_a_handler_that_raises(both: Both) -> None:
    both.config.add_subscriber(refuse, Event)
    both.linker.subscribe(refuse, Event)
    both.subscribe(Event)

    with pytest.raises(ValueError, match="no"):
        both.config.registry.notify(Event())
    both.stage.notify(Event())
    assert (len(both.their_calls), len(both.our_calls)) == (0, 1)

    both.stage.emitter.on_error = "stop"
    both.stage.notify(Event())
    assert len(both.our_calls) == 1


@row("`registry.has_listeners`")
def test_whether_anybody_listens(both: Both) -> None:
    fresh = both.pyramid.Configurator(autocommit=True)
    assert not fresh.registry.has_listeners
    assert not both.linker.subscriptions_for(Event())

    both.subscribe(ICustomer)
    assert both.config.registry.has_listeners
    assert not both.linker.subscriptions_for(Event())
    assert both.linker.subscriptions_for(Customer())
