"""What docs/coming-from-pyventus.md says, on both sides."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest

from tests.coming_from import row
from tests.core_helpers import Stage
from txevents import EventEmitter, EventLinker, InvalidEvent, LinkageError, SubscriptionLimit
from txevents.emission import Emission


@dataclass
class OrderPlaced:
    order_id: str = "o-1"


@dataclass
class BigOrderPlaced(OrderPlaced): ...


class Theirs:
    """Pyventus, with a linker of the test's own."""

    def __init__(self) -> None:
        self.events = pytest.importorskip("pyventus.events", reason="the extra `bench`")
        self.linker = self.new_linker()
        self.error = pytest.importorskip("pyventus").PyventusException

    def new_linker(self, **options: Any) -> Any:
        return type("Linker", (self.events.EventLinker,), {}, debug=False, **options)

    def emit(self, *args: Any, linker: Any = None, **kwargs: Any) -> None:
        emitter = self.events.AsyncIOEventEmitter(event_linker=linker or self.linker, debug=False)
        # In a thread, where no loop runs, it returns when the handlers are done.
        with ThreadPoolExecutor(1) as pool:
            pool.submit(emitter.emit, *args, **kwargs).result()


class Calls:
    """A handler, and what it was called with."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        self.seen.append((args, kwargs) if kwargs else args)


@pytest.fixture
def theirs() -> Theirs:
    return Theirs()


@pytest.fixture
def ours() -> Stage:
    return Stage()


def refuse(*args: object) -> None:
    raise ValueError("no")


@row("`class Orders(EventLinker): ...`")
def test_linkers_are_apart(theirs: Theirs, ours: Stage) -> None:
    their_calls, our_calls = Calls(), Calls()
    theirs.new_linker().subscribe("a", event_callback=their_calls)
    EventLinker().subscribe(our_calls, "a")

    theirs.emit("a")
    ours.notify("a")

    assert their_calls.seen == our_calls.seen == []


@row('`@EventLinker.on("a", "b")`')
def test_on(theirs: Theirs, ours: Stage) -> None:
    their_calls, our_calls = Calls(), Calls()
    their_linker, linker = theirs.linker, ours.linker

    def handler(*args: object) -> None: ...

    assert their_linker.on("a", "b")(their_calls) is their_calls
    assert linker.on("a", "b")(our_calls) is our_calls
    assert their_linker.on("c")(handler) is linker.on("c")(handler) is handler

    for topic in "a", "b", "c":
        theirs.emit(topic, 1)
        ours.notify(topic, 1)
    assert their_calls.seen == our_calls.seen == [(1,), (1,)]


@row("`@EventLinker.on(OrderPlaced)`")
def test_on_a_class(theirs: Theirs, ours: Stage) -> None:
    class Plain: ...

    their_calls, our_calls = Calls(), Calls()
    theirs.linker.on(OrderPlaced)(their_calls)
    ours.linker.on(OrderPlaced)(our_calls)
    with pytest.raises(theirs.error, match="dataclass or an exception"):
        theirs.linker.on(Plain)(their_calls)
    ours.linker.on(Plain)(our_calls)

    theirs.emit(OrderPlaced("o-1"))
    ours.notify(OrderPlaced("o-1"))

    assert their_calls.seen == our_calls.seen == [(OrderPlaced("o-1"),)]


@row("`@EventLinker.on(...)`")
def test_on_everything(theirs: Theirs, ours: Stage) -> None:
    their_calls, our_calls = Calls(), Calls()
    theirs.linker.on(...)(their_calls)
    ours.linker.on(...)(our_calls)

    for event in "a", OrderPlaced():
        theirs.emit(event, 1)
        ours.notify(event, 1)

    assert their_calls.seen == our_calls.seen == [(1,), (OrderPlaced(), 1)]


@row('`@EventLinker.once("a")`')
def test_once(theirs: Theirs, ours: Stage) -> None:
    their_calls, our_calls = Calls(), Calls()
    theirs.linker.once("a")(their_calls)
    ours.linker.on("a", once=True)(our_calls)

    for n in range(2):
        theirs.emit("a", n)
        ours.notify("a", n)

    assert their_calls.seen == our_calls.seen == [(0,)]
    assert not theirs.linker.get_subscribers()
    assert not ours.linker.subscriptions()


@row('`EventLinker.subscribe("a", event_callback=f)`')
def test_subscribe(theirs: Theirs, ours: Stage) -> None:
    their_calls, our_calls = Calls(), Calls()
    their_handle = theirs.linker.subscribe("a", event_callback=their_calls)
    our_handle = ours.linker.subscribe(our_calls, "a")

    theirs.emit("a", 1)
    ours.notify("a", 1)

    assert their_calls.seen == our_calls.seen == [(1,)]
    assert theirs.linker.get_subscribers() == {their_handle}
    assert ours.linker.subscriptions() == [our_handle]


@row("`success_callback=s`, `failure_callback=x`")
def test_callbacks(theirs: Theirs, ours: Stage) -> None:
    their_calls, our_calls = Calls(), Calls()
    theirs.linker.subscribe("five", event_callback=lambda: 5, success_callback=their_calls)
    theirs.linker.subscribe("none", event_callback=lambda: None, success_callback=their_calls)
    theirs.linker.subscribe("bad", event_callback=refuse, failure_callback=their_calls)
    ours.linker.subscribe(lambda: 5, "five", on_success=our_calls)
    ours.linker.subscribe(lambda: None, "none", on_success=our_calls)
    ours.linker.subscribe(refuse, "bad", on_failure=our_calls)

    for topic in "five", "none", "bad":
        theirs.emit(topic)
        ours.notify(topic)

    assert their_calls.seen[:2] == [(5,), ()]
    assert our_calls.seen[:2] == [(5,), (None,)]
    assert repr(their_calls.seen[2]) == repr(our_calls.seen[2]) == "(ValueError('no'),)"


@row('`with EventLinker.on("a") as ctx`')
def test_the_context(theirs: Theirs, ours: Stage) -> None:
    their_calls, our_calls = Calls(), Calls()
    for linker, calls in (theirs.linker, their_calls), (ours.linker, our_calls):
        with linker.on("a") as link:

            @link.on_event
            def double(n: int) -> int:
                return 20 // n

            link.on_success(calls)
            link.on_failure(calls)

    for n in 10, 0:
        theirs.emit("a", n)
        ours.notify("a", n)

    assert repr(their_calls.seen) == repr(our_calls.seen)
    assert our_calls.seen[0] == (2,)

    with ours.linker.on("b") as ours_takes_several:
        ours_takes_several.on_event(our_calls)
        ours_takes_several.on_event(refuse)
    assert [s.handler for s in ours.linker.subscriptions("b")] == [our_calls, refuse]


@row("a `with` block that raises")
def test_a_block_that_raises(theirs: Theirs, ours: Stage) -> None:
    for linker in theirs.linker, ours.linker:
        with suppress(ZeroDivisionError), linker.on("a") as link:
            link.on_event(Calls())
            raise ZeroDivisionError

    assert theirs.linker.contains_event("a")
    assert not ours.linker.subscriptions("a")

    with pytest.raises(theirs.error), theirs.linker.on("b"):
        pass
    with pytest.raises(LinkageError), ours.linker.on("b"):
        pass


@row("`stateful_subctx=True`, `ctx.unpack()`")
def test_keeping_the_handle(theirs: Theirs, ours: Stage) -> None:
    with theirs.linker.on("a", stateful_subctx=True) as ctx:
        ctx.on_event(Calls())
    _, their_handle = ctx.unpack()
    our_handle = ours.linker.subscribe(Calls(), "a")

    assert theirs.linker.get_subscribers() == {their_handle}
    assert ours.linker.subscriptions() == [our_handle]


@row("`force_async=True`")
def test_force_async_is_not_here(theirs: Theirs, ours: Stage) -> None:
    theirs.linker.subscribe("a", event_callback=Calls(), force_async=True)
    with pytest.raises(TypeError, match="force_async"):
        ours.linker.subscribe(Calls(), "a", force_async=True)


@row("`class Few(EventLinker, max_subscribers=1)`")
def test_a_limit(theirs: Theirs) -> None:
    few, ours = theirs.new_linker(max_subscribers=1), EventLinker(max_subscriptions=1)
    for topic in "a", "b":
        few.subscribe(topic, event_callback=Calls())
        ours.subscribe(Calls(), topic)

    with pytest.raises(theirs.error):
        few.subscribe("a", event_callback=Calls())
    with pytest.raises(SubscriptionLimit):
        ours.subscribe(Calls(), "a")


@row("`default_success_callback=`, `default_failure_callback=`")
def test_default_callbacks(theirs: Theirs, ours: Stage) -> None:
    their_calls, our_calls = Calls(), Calls()
    their_linker = theirs.new_linker(
        default_success_callback=their_calls, default_failure_callback=their_calls
    )
    ours.emitter.linker = EventLinker(on_success=our_calls, on_failure=our_calls)
    for handler in (lambda: 5), refuse:
        their_linker.subscribe("a", event_callback=handler)
        theirs.emit("a", linker=their_linker)
        their_linker.remove_all()
        ours.emitter.linker.subscribe(handler, "a", once=True)
        ours.notify("a")

    assert repr(their_calls.seen) == repr(our_calls.seen) == "[(5,), (ValueError('no'),)]"


@row('`emitter.emit("a", 1, by="ann")`')
def test_emitting_a_topic(theirs: Theirs, ours: Stage) -> None:
    their_calls, our_calls = Calls(), Calls()
    theirs.linker.subscribe("a", event_callback=their_calls)
    ours.linker.subscribe(our_calls, "a")

    theirs.emit("a", 1, by="ann")
    ours.notify("a", 1, by="ann")

    assert their_calls.seen == our_calls.seen == [((1,), {"by": "ann"})]


@row('`emitter.emit(OrderPlaced("o-1"))`')
def test_emitting_an_object(theirs: Theirs, ours: Stage) -> None:
    their_calls, our_calls, by_name = Calls(), Calls(), Calls()
    theirs.linker.subscribe(OrderPlaced, event_callback=their_calls)
    ours.linker.subscribe(our_calls, OrderPlaced)
    namesake = type("OrderPlaced", (), {})
    ours.linker.subscribe(by_name, namesake)

    for event in OrderPlaced("o-1"), BigOrderPlaced("o-2"):
        theirs.emit(event)
        ours.notify(event)

    assert their_calls.seen == [(OrderPlaced("o-1"),)]
    assert our_calls.seen == [(OrderPlaced("o-1"),), (BigOrderPlaced("o-2"),)]
    assert by_name.seen == []
    assert theirs.linker.get_events() == {"OrderPlaced"}


@row('`emitter.emit(ValueError("no"))`')
def test_emitting_an_exception(theirs: Theirs, ours: Stage) -> None:
    their_calls, our_calls = Calls(), Calls()
    theirs.linker.subscribe(ValueError, Exception, event_callback=their_calls)
    ours.linker.subscribe(our_calls, ValueError)
    ours.linker.subscribe(our_calls, Exception)
    exception = ValueError("no")

    theirs.emit(exception)
    ours.notify(exception)

    assert their_calls.seen == [(exception,)]
    assert our_calls.seen == [(exception,), (exception,)]


@row("`emitter.emit(...)`")
def test_emitting_ellipsis(theirs: Theirs, ours: Stage) -> None:
    their_calls, our_calls = Calls(), Calls()
    theirs.linker.subscribe(..., event_callback=their_calls)
    ours.linker.subscribe(our_calls, ...)

    theirs.emit(...)
    ours.notify(...)

    assert their_calls.seen == [()]
    assert our_calls.seen == [(...,)]


@row("`emitter.emit(OrderPlaced)`, `emitter.emit(None)`")
def test_emitting_what_is_no_event(theirs: Theirs, ours: Stage) -> None:
    for event in OrderPlaced, None:
        with pytest.raises(theirs.error):
            theirs.emit(event)
        with pytest.raises(InvalidEvent):
            ours.notify(event)


@row("a handler that raises")
def test_a_handler_that_raises(theirs: Theirs, ours: Stage) -> None:
    their_calls, our_calls = Calls(), Calls()
    for handler in refuse, their_calls:
        theirs.linker.subscribe("a", event_callback=handler)
    for handler in refuse, our_calls:
        ours.linker.subscribe(handler, "a")

    theirs.emit("a")
    outcome = ours.emit("a")

    assert their_calls.seen == our_calls.seen == [()]
    assert repr(outcome.exceptions) == "[ValueError('no')]"


@row('`outcome = await emitter.emit("a", 1)`')
def test_only_we_tell_the_outcome(theirs: Theirs, ours: Stage) -> None:
    theirs.linker.subscribe("a", event_callback=lambda n: n + 1)
    ours.linker.subscribe(lambda n: n + 1, "a")

    emitter = theirs.events.AsyncIOEventEmitter(event_linker=theirs.linker, debug=False)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(emitter.emit, "a", 1).result() is None
    assert ours.emit("a", 1).values == [2]


@row("handlers in a `set`")
def test_order(theirs: Theirs, ours: Stage) -> None:
    theirs.linker.subscribe("a", event_callback=Calls())
    first, second, third = (ours.linker.subscribe(Calls(), "a", priority=p) for p in (0, 0, 1))

    assert isinstance(theirs.linker.get_subscribers_from_events("a"), set)
    assert ours.linker.subscriptions_for("a") == (third, first, second)


@row("`debug=True`")
def test_no_debug_mode(theirs: Theirs, ours: Stage, caplog: pytest.LogCaptureFixture) -> None:
    linker: Any = type("Linker", (theirs.events.EventLinker,), {}, debug=True)
    with caplog.at_level("DEBUG"):
        linker.subscribe("a", event_callback=Calls())
    ours.linker.subscribe(Calls(), "a", name="listener")

    assert "Subscribed" in caplog.text
    assert "listener on 'a': would run" in ours.linker.explain("a", 1)


@row("`AsyncIOEventEmitter(event_linker=Orders)`")
def test_handlers_do_not_run_within_the_call(theirs: Theirs, ours: Stage) -> None:
    their_calls, our_calls = Calls(), Calls()
    theirs.linker.subscribe("a", event_callback=their_calls)
    ours.linker.subscribe(our_calls, "a")

    theirs.emit("a")  # outside of a loop
    ours.emitter.notify("a")
    assert (their_calls.seen, our_calls.seen) == ([()], [])
    ours.clock.advance(0)
    assert our_calls.seen == [()]


@row("`EventEmitter(event_processor=mine)`")
def test_an_emitter_of_ones_own(theirs: Theirs, ours: Stage) -> None:
    processing = pytest.importorskip("pyventus.core.processing").ProcessingService
    submitted: list[Any] = []
    body = {"submit": lambda self, callback: submitted.append(callback)}
    theirs_of_mine = type("Mine", (processing,), body)()

    class Mine(EventEmitter):
        def _process(self, emission: Emission) -> None:
            submitted.append(emission)
            emission.start()

    our_calls = Calls()
    theirs.linker.subscribe("a", event_callback=Calls())
    ours.linker.subscribe(our_calls, "a")
    theirs.events.EventEmitter(theirs_of_mine, theirs.linker, debug=False).emit("a")
    Mine(ours.linker, ours.clock).notify("a")

    assert len(submitted) == 2
    assert our_calls.seen == [()]


@row("`ExecutorEventEmitter`, `ExecutorEventEmitterCtx`")
def test_no_threads_yet(theirs: Theirs) -> None:
    assert_not_here(theirs, "ExecutorEventEmitter", "ThreadPoolEmitter")


@row("`FastAPIEventEmitter`, `RedisEventEmitter`, `CeleryEventEmitter`")
def test_no_task_queues_yet(theirs: Theirs) -> None:
    assert_not_here(theirs, "FastAPIEventEmitter", "RequestEmitter")
    assert_not_here(theirs, "RedisEventEmitter", "RedisEmitter")
    assert_not_here(theirs, "CeleryEventEmitter", "CeleryEmitter")


def assert_not_here(theirs: Theirs, their_name: str, our_name: str) -> None:
    """When it is here, the page must say so."""
    import txevents

    assert hasattr(theirs.events, their_name)
    assert our_name not in txevents.__all__


@row("`pyventus.reactive`")
def test_not_reactive(theirs: Theirs) -> None:
    import txevents

    assert pytest.importorskip("pyventus.reactive").ObservableValue
    assert not [name for name in txevents.__all__ if "Observable" in name]


@row('`EventLinker.remove("a", s)`')
def test_remove(theirs: Theirs, ours: Stage) -> None:
    their_handle = theirs.linker.subscribe("a", "b", event_callback=Calls())
    our_handle = ours.linker.subscribe(Calls(), "a", "b")

    assert theirs.linker.remove("a", their_handle) is our_handle.remove("a") is True
    assert theirs.linker.remove("a", their_handle) is our_handle.remove("a") is False
    assert theirs.linker.get_events() == {"b"}
    assert our_handle.keys == ("b",)


@row('`EventLinker.remove_event("a")`')
def test_remove_event(theirs: Theirs, ours: Stage) -> None:
    for _ in range(2):
        theirs.linker.subscribe("a", event_callback=Calls())
        ours.linker.subscribe(Calls(), "a")

    assert (theirs.linker.remove_event("a"), ours.linker.remove("a")) == (True, 2)
    assert (theirs.linker.remove_event("a"), ours.linker.remove("a")) == (False, 0)


@row("`EventLinker.remove_subscriber(s)`, `s.unsubscribe()`")
def test_cancel(theirs: Theirs, ours: Stage) -> None:
    first = theirs.linker.subscribe("a", event_callback=Calls())
    second = theirs.linker.subscribe("a", event_callback=Calls())
    our_handle = ours.linker.subscribe(Calls(), "a")

    assert theirs.linker.remove_subscriber(first)
    assert second.unsubscribe() is our_handle.cancel() is True
    assert second.unsubscribe() is our_handle.cancel() is False
    assert not theirs.linker.get_subscribers()
    assert not ours.linker.subscriptions()


@row("`EventLinker.remove_all()`")
def test_remove_all(theirs: Theirs, ours: Stage) -> None:
    for topic in "a", "b":
        theirs.linker.subscribe(topic, event_callback=Calls())
        ours.linker.subscribe(Calls(), topic)

    assert (theirs.linker.remove_all(), ours.linker.clear()) == (True, 2)
    assert (theirs.linker.remove_all(), ours.linker.clear()) == (False, 0)


@row("`EventLinker.get_subscribers()`, `get_subscriber_count()`")
def test_all_subscriptions(theirs: Theirs, ours: Stage) -> None:
    their_handles = {theirs.linker.subscribe(t, event_callback=Calls()) for t in ("a", "b")}
    our_handles = [ours.linker.subscribe(Calls(), topic) for topic in ("a", "b")]

    assert theirs.linker.get_subscribers() == their_handles
    assert ours.linker.subscriptions() == our_handles
    assert theirs.linker.get_subscriber_count() == len(ours.linker.subscriptions()) == 2


@row('`EventLinker.get_subscribers_from_events("a")`')
def test_subscriptions_of_a_key(theirs: Theirs, ours: Stage) -> None:
    theirs.linker.subscribe("b", event_callback=Calls())
    their_handle = theirs.linker.subscribe("a", event_callback=Calls())
    everything = ours.linker.subscribe(Calls(), ...)
    our_handle = ours.linker.subscribe(Calls(), "a")

    assert theirs.linker.get_subscribers_from_events("a") == {their_handle}
    assert ours.linker.subscriptions("a") == [our_handle]
    assert ours.linker.subscriptions_for("a") == (everything, our_handle)


@row('`EventLinker.get_subscriber_count_from_event("a")`')
def test_how_many_of_a_key(theirs: Theirs, ours: Stage) -> None:
    for number in range(3):
        assert theirs.linker.get_subscriber_count_from_event("a") == number
        assert len(ours.linker.subscriptions("a")) == number
        theirs.linker.subscribe("a", event_callback=Calls())
        ours.linker.subscribe(Calls(), "a")


@row('`EventLinker.contains_event("a")`')
def test_whether_there_is_a_key(theirs: Theirs, ours: Stage) -> None:
    assert theirs.linker.contains_event("a") is bool(ours.linker.subscriptions("a")) is False
    theirs.linker.subscribe("a", event_callback=Calls())
    ours.linker.subscribe(Calls(), "a")
    assert theirs.linker.contains_event("a") is bool(ours.linker.subscriptions("a")) is True


@row("`EventLinker.contains_subscriber(s)`")
def test_whether_a_subscription_is_active(theirs: Theirs, ours: Stage) -> None:
    their_handle = theirs.linker.subscribe("a", event_callback=Calls())
    our_handle = ours.linker.subscribe(Calls(), "a")

    assert theirs.linker.contains_subscriber(their_handle) is our_handle.active is True
    their_handle.unsubscribe()
    our_handle.cancel()
    assert theirs.linker.contains_subscriber(their_handle) is our_handle.active is False


@row('`EventLinker.are_linked("a", s)`')
def test_whether_a_subscription_has_a_key(theirs: Theirs, ours: Stage) -> None:
    their_handle = theirs.linker.subscribe("a", event_callback=Calls())
    our_handle = ours.linker.subscribe(Calls(), "a")

    for topic in "a", "b":
        assert theirs.linker.are_linked(topic, their_handle) is (topic in our_handle.keys)


@row("`EventLinker.get_events_from_subscribers(s)`")
def test_keys_of_a_subscription(theirs: Theirs, ours: Stage) -> None:
    their_handle = theirs.linker.subscribe("a", "b", event_callback=Calls())
    our_handle = ours.linker.subscribe(Calls(), "a", "b")

    assert theirs.linker.get_events_from_subscribers(their_handle) == set(our_handle.keys)


@row("`EventLinker.get_events()`, `get_event_count()`")
def test_keys_of_a_linker(theirs: Theirs, ours: Stage) -> None:
    for keys in ("a", "b"), ("b", "c"):
        theirs.linker.subscribe(*keys, event_callback=Calls())
        ours.linker.subscribe(Calls(), *keys)

    our_keys = {key for s in ours.linker.subscriptions() for key in s.keys}
    assert theirs.linker.get_events() == our_keys == {"a", "b", "c"}
    assert theirs.linker.get_event_count() == len(our_keys)


@row("`EventLinker.get_registry()`, `is_empty()`")
def test_the_whole_registry(theirs: Theirs, ours: Stage) -> None:
    assert theirs.linker.is_empty() is (not ours.linker.subscriptions()) is True
    their_handle = theirs.linker.subscribe("a", event_callback=Calls())
    our_handle = ours.linker.subscribe(Calls(), "a")
    assert theirs.linker.is_empty() is (not ours.linker.subscriptions()) is False

    assert theirs.linker.get_registry() == {"a": {their_handle}}
    assert [(s.keys, s) for s in ours.linker.subscriptions()] == [(("a",), our_handle)]
