"""How txevents is used, for type checkers only: `test_typing.py` has mypy read this.

A line that is wrong, and must be found wrong, says so in its `type: ignore`; mypy objects to an
ignore that it does not need.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import partial
from typing import Any, Protocol, assert_type

import attrs
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.task import Clock
from zope.interface import Interface, implementer

from txevents import (
    Envelope,
    EventEmitter,
    EventLinker,
    EventStream,
    Outcome,
    ReactorEmitter,
    Result,
    Retry,
    Subscription,
    event,
    not_,
    on,
    subscriber,
)


class IOrder(Interface):
    pass


@event("shop.order.placed")
@implementer(IOrder)
@attrs.frozen
class OrderPlaced:
    order_id: str
    total: int = 0


class RushOrder(OrderPlaced):
    pass


class Paid:
    pass


class Named(Protocol):
    @property
    def order_id(self) -> str: ...


linker = EventLinker()


# One class: the first parameter of the handler takes it.


@linker.on(OrderPlaced)
def plain(order: OrderPlaced) -> str:
    return order.order_id


@linker.on(OrderPlaced, priority=1, once=True, name="later", tenant="a")
async def coroutine(order: OrderPlaced) -> int:
    return order.total


@linker.on(OrderPlaced)
@inlineCallbacks
def generator(order: OrderPlaced) -> Generator[Deferred[None], None, int]:
    yield Deferred()
    return order.total


@linker.on(OrderPlaced)
def with_more(order: OrderPlaced, note: str = "", *, loud: bool = False) -> None: ...


@linker.on(OrderPlaced)
def any_arguments(*args: object, **kwargs: object) -> None: ...


@linker.on(RushOrder)
def of_its_base(order: OrderPlaced) -> None: ...


@linker.on(RushOrder)
def of_a_protocol(order: Named) -> None: ...


@linker.on(OrderPlaced)
def of_anything(event: object) -> None: ...


@linker.on(ValueError)
def of_an_exception(error: Exception) -> None: ...


@linker.on(Envelope)
def of_an_envelope(envelope: Envelope) -> None: ...


@linker.on(OrderPlaced)
class Receipt:
    def __init__(self, order: OrderPlaced) -> None: ...


class Shop:
    def placed(self, order: OrderPlaced) -> None: ...

    def paid(self, paid: Paid) -> None: ...


linker.on(OrderPlaced)(Shop().placed)
linker.on(OrderPlaced)(partial(with_more, note="partial"))
linker.on(OrderPlaced)(lambda order: order.order_id)
on(OrderPlaced)(plain)

linker.on(OrderPlaced)(Shop().paid)  # type: ignore[arg-type]
linker.on(OrderPlaced)(lambda order: order.missing)  # type: ignore[attr-defined]
linker.on(OrderPlaced)("plain")  # type: ignore[arg-type]
on(OrderPlaced)(Shop().paid)  # type: ignore[arg-type]


@linker.on(OrderPlaced)  # type: ignore[arg-type]
def of_another_class(paid: Paid) -> None: ...


@linker.on(OrderPlaced)  # type: ignore[arg-type]
async def later_of_another_class(paid: Paid) -> None: ...


@linker.on(OrderPlaced)  # type: ignore[arg-type]
def of_a_subclass(order: RushOrder) -> None: ...


@linker.on(OrderPlaced)  # type: ignore[arg-type]
def of_nothing() -> None: ...


@linker.on(OrderPlaced)  # type: ignore[arg-type]
def of_a_keyword(*, order: OrderPlaced) -> None: ...


# What was decorated is what it was.

assert_type(plain(OrderPlaced("1")), str)
with_more(OrderPlaced("1"), "note", loud=True)


async def call_the_coroutine() -> None:
    assert_type(await coroutine(OrderPlaced("1")), int)
    assert_type(await generator(OrderPlaced("1")), int)


plain()  # type: ignore[call-arg]
plain("1")  # type: ignore[arg-type]
with_more(OrderPlaced("1"), loud="very")  # type: ignore[arg-type]
with_more(OrderPlaced("1"), quiet=True)  # type: ignore[call-arg]


# Topics, several keys, interfaces, tuples, everything: any parameters, and the function is kept.


@linker.on("shop.order.placed")
def of_a_topic(order_id: str, *, total: int = 0) -> int:
    return total


@linker.on(OrderPlaced, Paid)
def of_two(either: OrderPlaced | Paid) -> None: ...


@linker.on(OrderPlaced, "shop.*", priority=2)
async def of_mixed(*args: Any) -> None: ...


@linker.on(IOrder)
def of_an_interface(order: IOrder) -> str:
    return "heard"


@linker.on(IOrder)
def of_one_implementation(order: OrderPlaced) -> str:
    return order.order_id


@linker.on((OrderPlaced, IOrder))
def of_a_pair(order: OrderPlaced, other: IOrder) -> None: ...


@linker.on(...)
def of_everything(*args: object) -> None: ...


@linker.on(Named)
def of_an_abstract_class(order: OrderPlaced) -> None: ...


assert_type(of_a_topic("1", total=3), int)
assert_type(of_one_implementation(OrderPlaced("1")), str)
of_a_topic(1)  # type: ignore[arg-type]
of_a_topic("1", loud=True)  # type: ignore[call-arg]
linker.on("topic")("plain")  # type: ignore[type-var]
linker.on("topic", name=7)  # type: ignore[call-overload]


# Blocks.

with linker.on(OrderPlaced, timeout=3) as link:

    @link.on_event
    def in_block(order: OrderPlaced) -> str:
        return order.order_id

    @link.on_event
    async def later_in_block(order: OrderPlaced, note: str = "") -> None: ...

    @link.on_event  # type: ignore[arg-type]
    def of_another_class_in_block(paid: Paid) -> None: ...

    @link.on_success
    def succeeded(result: str) -> bool:
        return bool(result)

    @link.on_failure
    async def failed(exc: Exception) -> None: ...


assert_type(in_block(OrderPlaced("1")), str)
assert_type(succeeded("1"), bool)
in_block(Paid())  # type: ignore[arg-type]
succeeded(1)  # type: ignore[arg-type]

with linker.on("topic", IOrder) as untyped:

    @untyped.on_event
    def in_untyped_block(order_id: str) -> int:
        return len(order_id)

    untyped.on_event("plain")  # type: ignore[type-var]
    untyped.on_success(lambda result: None)
    untyped.on_missing(print)  # type: ignore[attr-defined]


assert_type(in_untyped_block("1"), int)


# Marks.


@subscriber(OrderPlaced, "topic", once=True)
def marked(order: OrderPlaced) -> str:
    return order.order_id


assert_type(marked(OrderPlaced("1")), str)
assert_type(linker.scan("package"), list[Subscription])
subscriber("topic")("plain")  # type: ignore[type-var]


# Subscriptions, and the linker.

subscription = linker.subscribe(plain, OrderPlaced, "topic", IOrder, name="plain", where=bool)
assert_type(subscription, Subscription)
assert_type(subscription.cancel(), bool)
assert_type(subscription.remove("topic"), bool)
assert_type(subscription.name, str)
assert_type(subscription.calls, int)
assert_type(subscription.last_error, str | None)
linker.subscribe("package.module:name", "topic")
linker.subscribe(7, "topic")  # type: ignore[arg-type]
linker.subscribe(plain, "topic", name=7)  # type: ignore[arg-type]
subscription.cancel(True)  # type: ignore[call-arg]

with subscription as entered, subscription.muted() as muted:
    assert_type(entered, Subscription)
    assert_type(muted, Subscription)

assert_type(linker.subscriptions(), list[Subscription])
assert_type(linker.subscriptions_for("topic"), tuple[Subscription, ...])
assert_type(linker.explain(OrderPlaced("1"), "argument", key="word"), str)
assert_type(linker.remove(OrderPlaced), int)
assert_type(linker.clear(), int)
assert_type(linker.class_for("topic"), type | None)

EventLinker(bases=(linker,), on_success=print, on_failure=print, max_subscriptions=3)
EventLinker(bases=linker)  # type: ignore[arg-type]
EventLinker(on_failure=lambda: None)  # type: ignore[arg-type,misc]
EventLinker(max_subscriptions="3")  # type: ignore[arg-type]


def tenant(wanted: str) -> Callable[[OrderPlaced], bool]:
    return lambda order: order.order_id == wanted


linker.add_predicate("tenant", tenant)
linker.add_predicate("tenant", "package.module:tenant")
linker.add_predicate("tenant", lambda wanted: lambda *args: True)
linker.add_predicate("tenant", lambda: None)  # type: ignore[arg-type,misc]
assert_type(not_(bool)(), object)
Retry(attempts=3, retry_on=(OSError, ValueError), give_up_on=KeyError)
Retry(attempts="3")  # type: ignore[arg-type]
Retry(3)  # type: ignore[call-arg]


# Emitting, and waiting.

emitter = ReactorEmitter(linker, Clock(), on_error="stop")
ReactorEmitter(linker, on_error="ignore")  # type: ignore[arg-type]
ReactorEmitter("linker")  # type: ignore[arg-type]
EventEmitter(linker)  # type: ignore[abstract]


async def emit() -> None:
    assert_type(emitter.emit(OrderPlaced("1"), "argument", key="word"), Deferred[Outcome])
    outcome = await emitter.emit("topic", 1)
    assert_type(outcome, Outcome)
    assert_type(outcome.ok, bool)
    assert_type(outcome.results, tuple[Result, ...])
    assert_type(outcome.values, list[Any])
    assert_type(outcome.exceptions, list[BaseException])
    assert_type(outcome.results[0].subscription, Subscription)
    assert_type(await emitter.emit_objects(OrderPlaced("1"), Paid()), Outcome)
    emitter.notify(OrderPlaced("1"))
    outcome.failures  # type: ignore[attr-defined]  # noqa: B018
    assert outcome.results[0].status != "broken"  # type: ignore[comparison-overlap]
    emitter.emit()  # type: ignore[call-arg]


async def wait() -> None:
    assert_type(linker.wait_for(OrderPlaced, where=bool, timeout=3), Deferred[Any])
    async with linker.stream(OrderPlaced, "topic", maxsize=3, overflow="block") as stream:
        assert_type(stream, EventStream)
        async for order in stream:
            assert_type(order, Any)
    with linker.stream(...) as plainly:
        assert_type(plainly.dropped, int)
    linker.stream("topic", overflow="grow")  # type: ignore[arg-type]
    linker.wait_for("topic", timeout="3")  # type: ignore[arg-type]
