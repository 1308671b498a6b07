"""What docs/coming-from-signals.md says: on both sides for blinker and pyee, on ours for Scrapy."""

from __future__ import annotations

import asyncio
import gc
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import attrs
import pytest
from twisted.internet.defer import Deferred, succeed

from tests.coming_from import row
from tests.core_helpers import Stage, logged, result_of
from txevents import EventLinker, Outcome, ReactorEmitter, Subscription


class Calls:
    """A handler, and what it was called with."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def __call__(self, *args: Any, **kwargs: Any) -> str:
        self.seen.append((args, kwargs) if kwargs else args)
        return "answer"


def refuse(*args: object, **kwargs: object) -> None:
    raise ValueError("no")


@pytest.fixture
def ours() -> Stage:
    return Stage()


@pytest.fixture
def blinker() -> Any:
    return pytest.importorskip("blinker", reason="the extra `bench` is not installed")


@pytest.fixture
def order(blinker: Any) -> Any:
    """A signal."""
    return blinker.Signal()


@row('`signal("order")`')
def test_a_signal_is_a_topic(blinker: Any, ours: Stage) -> None:
    their_calls, our_calls = Calls(), Calls()
    blinker.signal("order").connect(their_calls)
    ours.linker.subscribe(our_calls, "order")

    blinker.signal("order").send("ann")
    ours.notify("order", "ann")
    blinker.signal("order").disconnect(their_calls)

    assert their_calls.seen == our_calls.seen == [("ann",)]


@row("`Namespace()`")
def test_a_namespace_is_a_linker(blinker: Any, ours: Stage) -> None:
    their_calls, our_calls = Calls(), Calls()
    blinker.Namespace().signal("order").connect(their_calls)
    EventLinker().subscribe(our_calls, "order")

    blinker.Namespace().signal("order").send("ann")
    ours.notify("order", "ann")

    assert their_calls.seen == our_calls.seen == []


@row("`order.connect(f)`")
def test_connect_is_weak(order: Any, ours: Stage) -> None:
    called: list[str] = []
    order.connect(lambda sender: called.append("theirs"))
    ours.linker.subscribe(lambda sender: called.append("ours"), "order")
    gc.collect()

    order.send("ann")
    ours.notify("order", "ann")

    assert called == ["ours"]


@row("`order.connect(f, sender=ann)`")
def test_connect_to_a_sender(order: Any, ours: Stage) -> None:
    their_calls, our_calls = Calls(), Calls()
    ann, bob = object(), object()
    order.connect(their_calls, sender=ann)
    ours.linker.subscribe(our_calls, "order", where=lambda sender: sender is ann)

    for sender in ann, bob:
        order.send(sender)
        ours.notify("order", sender)

    assert their_calls.seen == our_calls.seen == [(ann,)]


@row("`order.send(ann, total=9)`")
def test_send(order: Any, ours: Stage) -> None:
    their_calls, our_calls = Calls(), Calls()
    order.connect(their_calls)
    ours.linker.subscribe(our_calls, "order")

    order.send("ann", total=9)
    ours.emitter.notify("order", "ann", total=9)
    assert (len(their_calls.seen), len(our_calls.seen)) == (1, 0)
    ours.clock.advance(0)

    assert their_calls.seen == our_calls.seen == [(("ann",), {"total": 9})]


@row("`[(f, result)] = order.send(ann)`")
def test_the_results_of_send(order: Any, ours: Stage) -> None:
    receiver = Calls()
    order.connect(receiver)
    ours.linker.subscribe(receiver, "order")

    their_results = order.send("ann")
    outcome = ours.emit("order", "ann")

    assert their_results == [(receiver, "answer")]
    assert [(r.subscription.handler, r.value) for r in outcome.results] == their_results


@row("`await order.send_async(ann)`")
def test_send_async(order: Any, ours: Stage) -> None:
    async def receiver(sender: str) -> str:
        return sender.upper()

    order.connect(receiver)
    ours.linker.subscribe(receiver, "order")
    ours.linker.subscribe(str.title, "order")

    with ThreadPoolExecutor(1) as pool:  # where no loop runs
        their_results = pool.submit(asyncio.run, order.send_async("ann")).result()

    assert their_results == [(receiver, "ANN")]
    assert ours.emit("order", "ann").values == ["ANN", "Ann"]


@row("a receiver that raises")
def test_a_receiver_that_raises(order: Any, ours: Stage) -> None:
    their_calls, our_calls = Calls(), Calls()
    order.connect(refuse)
    order.connect(their_calls)
    for handler in refuse, our_calls:
        ours.linker.subscribe(handler, "order")

    with pytest.raises(ValueError, match="no"):
        order.send("ann")
    outcome = ours.emit("order", "ann")

    assert (their_calls.seen, our_calls.seen) == ([], [("ann",)])
    assert [type(exc) for exc in outcome.exceptions] == [ValueError]


@row("`with order.connected_to(f):`")
def test_connected_to(order: Any, ours: Stage) -> None:
    their_calls, our_calls = Calls(), Calls()
    with order.connected_to(their_calls), ours.linker.subscribe(our_calls, "order"):
        order.send("ann")
        ours.notify("order", "ann")
    order.send("bob")
    ours.notify("order", "bob")

    assert their_calls.seen == our_calls.seen == [("ann",)]


@row("`with order.muted():`")
def test_muted(order: Any, ours: Stage) -> None:
    their_calls, our_calls = Calls(), Calls()
    order.connect(their_calls)
    subscription = ours.linker.subscribe(our_calls, "order")

    with order.muted(), subscription.muted():
        order.send("ann")
        ours.notify("order", "ann")
    ours.emitter.linker = EventLinker()
    ours.notify("order", "eve")
    ours.emitter.linker = ours.linker
    order.send("bob")
    ours.notify("order", "bob")

    assert their_calls.seen == our_calls.seen == [("bob",)]


@row("`order.disconnect(f)`")
def test_disconnect(order: Any, ours: Stage) -> None:
    their_calls, our_calls = Calls(), Calls()
    order.connect(their_calls)
    subscription = ours.linker.subscribe(our_calls, "order")

    order.disconnect(their_calls)
    assert subscription.cancel()
    order.send("ann")
    ours.notify("order", "ann")

    assert their_calls.seen == our_calls.seen == []


@row("`order.has_receivers_for(ann)`")
def test_whether_anybody_receives(order: Any, ours: Stage) -> None:
    assert not order.has_receivers_for("ann")
    assert not ours.linker.subscriptions_for("order")

    receiver = Calls()
    order.connect(receiver, sender="ann")
    subscription = ours.linker.subscribe(receiver, "order", where=lambda sender: sender == "ann")

    assert order.has_receivers_for("ann")
    assert not order.has_receivers_for("bob")
    assert ours.linker.subscriptions_for("order") == (subscription,)
    assert "would run" in ours.linker.explain("order", "ann")
    assert "would not run" in ours.linker.explain("order", "bob")


@row("`order.receiver_connected`")
def test_no_signal_for_new_receivers(order: Any, ours: Stage) -> None:
    connected = Calls()
    order.receiver_connected.connect(connected)
    ours.linker.subscribe(connected, ...)

    receiver = Calls()
    order.connect(receiver)
    ours.linker.subscribe(receiver, "order")
    ours.clock.advance(0)

    assert len(connected.seen) == 1


@pytest.fixture
def ee() -> Any:
    return pytest.importorskip("pyee", reason="the extra `bench` is not installed").EventEmitter()


@row('`@ee.on("order")`')
def test_pyee_on(ee: Any, ours: Stage) -> None:
    their_calls, our_calls = Calls(), Calls()

    assert ee.on("order")(their_calls) is their_calls
    assert ours.linker.on("order")(our_calls) is our_calls
    for n in range(2):
        ee.emit("order", n)
        ours.notify("order", n)

    assert their_calls.seen == our_calls.seen == [(0,), (1,)]


@row('`ee.add_listener("order", f)`')
def test_pyee_add_listener(ee: Any, ours: Stage) -> None:
    their_calls, our_calls = Calls(), Calls()
    ee.add_listener("order", their_calls)
    assert isinstance(ours.linker.subscribe(our_calls, "order"), Subscription)

    ee.emit("order", 1)
    ours.notify("order", 1)

    assert their_calls.seen == our_calls.seen == [(1,)]


@row('`@ee.once("order")`')
def test_pyee_once(ee: Any, ours: Stage) -> None:
    their_calls, our_calls = Calls(), Calls()
    ee.once("order")(their_calls)
    ours.linker.on("order", once=True)(our_calls)

    for n in range(2):
        ee.emit("order", n)
        ours.notify("order", n)

    assert their_calls.seen == our_calls.seen == [(0,)]


@row('`ee.emit("order", 1)`')
def test_pyee_emit(ee: Any, ours: Stage) -> None:
    assert ee.emit("order", 1) is bool(ours.linker.subscriptions_for("order")) is False
    their_calls, our_calls = Calls(), Calls()
    ee.on("order", their_calls)
    ours.linker.subscribe(our_calls, "order")

    assert ee.emit("order", 1) is bool(ours.linker.subscriptions_for("order")) is True
    ours.notify("order", 1)

    assert their_calls.seen == our_calls.seen == [(1,)]


@row('`ee.listeners("order")`')
def test_pyee_listeners(ee: Any, ours: Stage) -> None:
    calls = Calls()
    ee.on("order", calls)
    ours.linker.subscribe(calls, "order")

    our_listeners = [s.handler for s in ours.linker.subscriptions("order")]
    assert ee.listeners("order") == our_listeners == [calls]


@row("`ee.event_names()`")
def test_pyee_event_names(ee: Any, ours: Stage) -> None:
    for topic in "order", "refund":
        ee.on(topic, Calls())
        ours.linker.subscribe(Calls(), topic)

    our_names = {key for s in ours.linker.subscriptions() for key in s.keys}
    assert ee.event_names() == our_names == {"order", "refund"}


@row('`ee.remove_listener("order", f)`')
def test_pyee_remove_listener(ee: Any, ours: Stage) -> None:
    their_calls, our_calls = Calls(), Calls()
    for topic in "order", "refund":
        ee.on(topic, their_calls)
    subscription = ours.linker.subscribe(our_calls, "order", "refund")

    ee.remove_listener("order", their_calls)
    assert subscription.remove("order")
    for topic in "order", "refund":
        ee.emit(topic, topic)
        ours.notify(topic, topic)
    assert their_calls.seen == our_calls.seen == [("refund",)]

    ee.remove_listener("refund", their_calls)
    assert subscription.cancel()
    assert not ee.listeners("refund")
    assert not ours.linker.subscriptions()


@row('`ee.remove_all_listeners("order")`')
def test_pyee_remove_all_of_an_event(ee: Any, ours: Stage) -> None:
    for topic in "order", "refund":
        ee.on(topic, Calls())
        ours.linker.subscribe(Calls(), topic)

    ee.remove_all_listeners("order")
    assert ours.linker.remove("order") == 1

    assert (ee.listeners("order"), len(ee.listeners("refund"))) == ([], 1)
    assert [s.keys for s in ours.linker.subscriptions()] == [("refund",)]


@row("`ee.remove_all_listeners()`")
def test_pyee_remove_all(ee: Any, ours: Stage) -> None:
    for topic in "order", "refund":
        ee.on(topic, Calls())
        ours.linker.subscribe(Calls(), topic)

    ee.remove_all_listeners()
    assert ours.linker.clear() == 2

    assert not ee.event_names()
    assert not ours.linker.subscriptions()


@row('`@ee.on("error")`')
def test_pyee_error_event(ee: Any) -> None:
    with pytest.raises(ValueError, match="no"):
        ee.emit("error", ValueError("no"))
    their_calls, our_calls = Calls(), Calls()
    ee.on("error", their_calls)
    ours = Stage(on_failure=our_calls)
    subscription = ours.linker.subscribe(refuse, "order")
    error = ValueError("no")

    ee.emit("error", error)
    ours.notify("order")
    ours.notify("error", error)

    assert their_calls.seen == [(error,)]
    [(exception, event, failed)] = our_calls.seen
    assert (repr(exception), event, failed) == ("ValueError('no')", "order", subscription)


@row("a listener that raises")
def test_pyee_a_listener_that_raises(ee: Any, ours: Stage) -> None:
    their_calls, our_calls = Calls(), Calls()
    for handler in refuse, their_calls:
        ee.on("order", handler)
    for handler in refuse, our_calls:
        ours.linker.subscribe(handler, "order")

    with pytest.raises(ValueError, match="no"):
        ee.emit("order")
    ours.notify("order")

    assert (their_calls.seen, our_calls.seen) == ([], [()])


@row("`TwistedEventEmitter()`")
def test_pyee_on_twisted(ours: Stage) -> None:
    pyee = pytest.importorskip("pyee.twisted", reason="the extra `bench` is not installed")
    ee = pyee.TwistedEventEmitter()
    done: list[str] = []
    release: Deferred[None] = Deferred()

    async def waits(side: str) -> None:
        await release
        done.append(side)

    def defers(side: str) -> Deferred[None]:
        return succeed(side).addCallback(done.append)

    for handler in waits, defers:
        ee.on("order", handler)
        ours.linker.subscribe(handler, "order")
    ee.emit("order", "theirs")
    emitted = ours.emitter.emit("order", "ours")
    ours.clock.advance(0)
    assert done == ["theirs", "ours"]
    assert not emitted.called

    release.callback(None)
    assert sorted(done) == ["ours", "ours", "theirs", "theirs"]
    assert result_of(emitted).ok


@row('`@ee.on("new_listener")`')
def test_pyee_new_listener(ee: Any, ours: Stage) -> None:
    their_calls, our_calls = Calls(), Calls()
    ee.on("new_listener", their_calls)
    ours.linker.subscribe(our_calls, "new_listener")

    ee.on("order", refuse)
    ours.linker.subscribe(refuse, "order")
    ours.clock.advance(0)

    assert (len(their_calls.seen), our_calls.seen) == (1, [])


@attrs.frozen
class ItemScraped:
    """What is a signal in Scrapy, with what its receivers take."""

    item: str = "item"
    spider: str = "spider"


@row("`S = object()`")
def test_a_scrapy_signal_is_a_class(ours: Stage) -> None:
    calls = Calls()
    ours.linker.subscribe(calls, ItemScraped, "item.scraped")

    ours.notify(ItemScraped())
    ours.notify("item.scraped", item="item")

    assert calls.seen == [(ItemScraped(),), ((), {"item": "item"})]


@row("`signals.connect(f, signal=S)`")
def test_scrapy_connect(ours: Stage) -> None:
    class Extension:
        def scraped(self, event: ItemScraped) -> None:
            seen.append(event)

    seen: list[ItemScraped] = []
    ours.linker.subscribe(Extension().scraped, ItemScraped)
    gc.collect()
    ours.notify(ItemScraped())

    assert seen == [ItemScraped()]


@row("`dispatcher.connect(f, signal=Any)`")
def test_dispatcher_any(ours: Stage) -> None:
    calls = Calls()
    ours.linker.subscribe(calls, ...)

    ours.notify(ItemScraped())
    ours.notify("closed", "finished")

    assert calls.seen == [(ItemScraped(),), ("finished",)]


@row("a receiver that takes some of the arguments")
def test_arguments_are_not_left_out(ours: Stage) -> None:
    seen: list[str] = []
    ours.linker.subscribe(lambda event: seen.append(event.item), ItemScraped)
    ours.linker.subscribe(lambda item: seen.append(item.lower()), "item.scraped")

    assert ours.emit(ItemScraped("a")).ok
    assert ours.emit("item.scraped", item="B").ok
    [exception] = ours.emit("item.scraped", item="c", spider="s").exceptions

    assert seen == ["a", "b"]
    assert isinstance(exception, TypeError)


@row("`signals.send_catch_log(S, item=item)`")
def test_send_catch_log(ours: Stage) -> None:
    calls = Calls()
    ours.linker.subscribe(refuse, ItemScraped)
    ours.linker.subscribe(calls, ItemScraped)

    with logged() as log:
        ours.notify(ItemScraped("a"))

    assert calls.seen == [(ItemScraped("a"),)]
    assert [type(event["log_failure"].value) for event in log] == [ValueError]


@row("`await signals.send_catch_log_deferred(S)`")
def test_send_catch_log_deferred(ours: Stage) -> None:
    waited: Deferred[int] = Deferred()
    ours.linker.subscribe(lambda event: waited, ItemScraped)
    ours.linker.subscribe(refuse, ItemScraped)
    emitted: Deferred[Outcome] = ours.emitter.emit(ItemScraped())
    ours.clock.advance(0)
    assert not emitted.called

    waited.callback(5)
    outcome = result_of(emitted)

    assert [(r.status, r.value) for r in outcome.results] == [("done", 5), ("failed", None)]


@row("a receiver that raises `DontCloseSpider`")
def test_dont_close_spider(ours: Stage) -> None:
    class DontCloseSpider(Exception): ...

    def idle(spider: str) -> None:
        raise DontCloseSpider

    ours.linker.subscribe(idle, "spider.idle")
    outcome = ours.emit("spider.idle", "spider")

    assert any(isinstance(exc, DontCloseSpider) for exc in outcome.exceptions)


@row("`signals.disconnect(f, signal=S)`")
def test_scrapy_disconnect(ours: Stage) -> None:
    calls = Calls()
    assert ours.linker.subscribe(calls, ItemScraped).cancel()
    ours.notify(ItemScraped())

    assert calls.seen == []


@row("`signals.disconnect_all(S)`")
def test_scrapy_disconnect_all(ours: Stage) -> None:
    calls = Calls()
    for key in ItemScraped, ItemScraped, "other":
        ours.linker.subscribe(calls, key)

    assert ours.linker.remove(ItemScraped) == 2
    assert isinstance(ours.emitter, ReactorEmitter)
    ours.notify(ItemScraped())

    assert calls.seen == []
    assert len(ours.linker.subscriptions()) == 1
