"""What has been cancelled or thrown away does not stay alive, least of all through a cache."""

from __future__ import annotations

import gc
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from typing import Any, Literal
from weakref import ref

import attrs
import pytest
from twisted.internet.defer import CancelledError, Deferred
from zope.interface import Interface, alsoProvides, directlyProvides, implementer
from zope.interface.interface import InterfaceClass

from tests.core_helpers import Stage
from txevents import Envelope, EventLinker, event
from txevents.events import classes_of_topic
from txevents.plans import MAX_CACHED_PLANS
from txevents.scan import subscriber

# How many of each kind are thrown away; it was tried with 100,000.
MANY = int(os.environ.get("TXEVENTS_TEST_MANY", "2000"))
# Growth that is none: what happens to be alive when the objects are counted.
STRAY = 100

numbers = count()


class IThing(Interface):
    pass


class IMarked(Interface):
    pass


@implementer(IThing)
class Thing:
    pass


class Handler:
    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, *args: object) -> bool:
        self.calls += 1
        return True


def collect() -> None:
    """Collect garbage; what a weak dictionary of zope.interface has let go of, the second time."""
    gc.collect()
    gc.collect()


def counted() -> Counter[str]:
    """How many objects of each type are alive, by its name."""
    collect()
    found = Counter[str]()
    for kind, number in Counter(map(type, gc.get_objects())).items():
        found[f"{kind.__module__}.{kind.__qualname__}"] += number
    return found


Leftover = Iterable[ref[Any]]
Scenario = Callable[[Stage], Leftover]


def a_class(stage: Stage) -> Leftover:
    cls = implementer(IMarked)(type("Made", (Thing,), {}))
    stage.emit(cls())
    stage.notify(cls())
    return [ref(cls)]


def a_class_that_was_a_key(stage: Stage) -> Leftover:
    cls = type("Made", (Thing,), {})
    subscription = stage.linker.subscribe(print, cls, (cls, IThing), where=lambda event: False)
    stage.emit(cls())
    stage.linker.subscriptions_for_objects((cls(), Thing()))
    subscription.cancel()
    return [ref(cls), ref(subscription)]


def a_class_with_a_topic(stage: Stage) -> Leftover:
    topic = f"memory.{next(numbers)}"
    cls = event(topic)(attrs.frozen(type("Made", (), {})))
    assert stage.linker.class_for(topic) is cls
    stage.emit(cls())
    return [ref(cls)]


def a_class_with_the_topic_of_others(stage: Stage) -> Leftover:
    cls = event("memory.shared")(attrs.frozen(type("Made", (), {})))
    assert stage.linker.class_for("memory.shared") is cls
    return [ref(cls)]


def an_interface(stage: Stage) -> Leftover:
    made = InterfaceClass(f"IMade{next(numbers)}", (IThing,), __module__=__name__)
    subscription = stage.linker.subscribe(Handler(), made)
    thing = Thing()
    directlyProvides(thing, made)
    stage.notify(thing)
    subscription.cancel()
    return [ref(made), ref(thing)]


def an_instance_that_came_to_provide_something(stage: Stage) -> Leftover:
    thing = Thing()
    stage.emit(thing)
    alsoProvides(thing, IMarked)
    stage.notify(thing)
    stage.linker.explain(thing)
    return [ref(thing)]


def a_handler(stage: Stage) -> Leftover:
    handler = Handler()
    subscription = stage.linker.subscribe(handler, IThing, Thing, "topic", "topic.*", ...)
    stage.notify(Thing())
    stage.emit("topic")
    subscription.cancel()
    assert handler.calls == 2
    return [ref(handler), ref(subscription)]


def a_handler_for_one_event(stage: Stage) -> Leftover:
    handler = Handler()
    subscription = stage.linker.subscribe(handler, Thing, "topic", once=True)
    stage.notify("topic")
    assert not subscription.active
    return [ref(handler), ref(subscription)]


def a_handler_whose_keys_were_removed(stage: Stage) -> Leftover:
    handler = Handler()
    subscription = stage.linker.subscribe(handler, "one", "two")
    stage.notify("one")
    subscription.remove("one")
    stage.linker.remove("two")
    return [ref(handler), ref(subscription)]


def a_policy(stage: Stage) -> Leftover:
    where, done, key = Handler(), Handler(), Handler()
    with stage.linker.on("topic", where=where, ordered_by=key, max_queue=1) as link:
        link.on_event(Handler())
        link.on_success(done)
    stage.emit("topic")
    stage.linker.remove("topic")
    assert [where.calls, done.calls, key.calls] == [1, 1, 1]
    return [ref(where), ref(done), ref(key)]


def a_handler_at_work(stage: Stage) -> Leftover:
    blocked: Deferred[None] = Deferred()
    subscription = stage.linker.subscribe(lambda: blocked, "topic", concurrency=1)
    first, second = stage.emitter.emit("topic"), stage.emitter.emit("topic")
    stage.clock.advance(0)
    subscription.cancel()
    second.cancel()
    first.cancel()
    return [ref(blocked), ref(first), ref(second), ref(subscription)]


def a_stream(stage: Stage) -> Leftover:
    with stage.linker.stream(Thing, "topic", maxsize=1) as stream:
        thing = Thing()
        for _ in range(2):
            stage.notify(thing)
    return [ref(stream), ref(thing)]


def a_stream_that_is_waited_for(stage: Stage) -> Leftover:
    stream = stage.linker.stream(Thing)
    taken: Deferred[Any] = stream.__anext__()
    taken.addErrback(lambda failure: failure.trap(StopAsyncIteration))
    stream.close()
    return [ref(stream), ref(taken)]


def someone_who_no_longer_waits(stage: Stage) -> Leftover:
    where = Handler()
    waiting = stage.linker.wait_for(Thing, where=where, timeout=60, reactor=stage.clock)
    stage.notify(Thing())
    waiting.addErrback(lambda failure: failure.trap(CancelledError))
    waiting.cancel()
    assert where.calls == 1
    return [ref(where), ref(waiting)]


def someone_who_has_waited(stage: Stage) -> Leftover:
    waiting = stage.linker.wait_for(Thing, timeout=60, reactor=stage.clock)
    thing = Thing()
    stage.notify(thing)
    assert waiting.called
    return [ref(thing), ref(waiting)]


def a_linker(stage: Stage) -> Leftover:
    linker = EventLinker(bases=(EventLinker(bases=(stage.linker,)), stage.linker))
    linker.subscribe(Handler(), Thing, "#")
    for thing in (Thing(), "topic"):
        assert linker.subscriptions_for(thing)
    return [ref(linker), ref(linker.bases[0]), ref(linker.plans)]


def a_linker_of_an_emitter(stage: Stage) -> Leftover:
    linker = EventLinker(bases=(stage.linker,))
    stage.emitter.linker = linker
    stage.notify(Thing())
    stage.emitter.linker = stage.linker
    return [ref(linker), ref(linker.plans)]


SCENARIOS: list[Scenario] = [
    a_class,
    a_class_that_was_a_key,
    a_class_with_a_topic,
    a_class_with_the_topic_of_others,
    an_interface,
    an_instance_that_came_to_provide_something,
    a_handler,
    a_handler_for_one_event,
    a_handler_whose_keys_were_removed,
    a_policy,
    a_handler_at_work,
    a_stream,
    a_stream_that_is_waited_for,
    someone_who_no_longer_waits,
    someone_who_has_waited,
    a_linker,
    a_linker_of_an_emitter,
]
# Making these takes long by itself; where one is kept alive, all are.
SLOW = {
    a_class,
    a_class_that_was_a_key,
    a_class_with_a_topic,
    a_class_with_the_topic_of_others,
    an_interface,
}


@contextmanager
def no_growth() -> Iterator[None]:
    """Fail if there are more objects of some type after the block than before."""
    before = counted()
    yield
    after = counted()
    grown = {name: n - before[name] for name, n in after.items() if n - before[name] > STRAY}
    assert grown == {}


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_what_is_thrown_away_does_not_stay_alive(scenario: Scenario) -> None:
    stage = Stage()
    # Somebody hears it all, and stays.
    stage.linker.subscribe(lambda *args: None, IThing, "#", ...)
    scenario(stage)  # what is made once, and stays, is there now
    many = MANY // 10 if scenario in SLOW else MANY

    with no_growth():
        refs = [leftover for _ in range(many) for leftover in scenario(stage)]
        collect()
        alive = sum(leftover() is not None for leftover in refs)
        del refs

    assert alive == 0
    assert len(stage.linker.subscriptions()) == 1
    assert stage.clock.getDelayedCalls() == []


def test_topics_without_end_are_not_remembered() -> None:
    stage = Stage()
    stage.linker.subscribe(lambda *args: None, "memory.*", Envelope)
    envelopes = [Envelope(id="1", source="/", type=f"memory.{n}") for n in range(MANY)]
    plans = stage.linker.plans

    with no_growth():
        for envelope in envelopes:
            stage.emitter.notify(envelope)
            stage.linker.subscriptions_for(envelope.type)
            assert stage.linker.class_for(envelope.type) is None
            assert len(plans.envelopes) <= MAX_CACHED_PLANS
        assert len(plans.topics) <= MAX_CACHED_PLANS
        assert len(plans.classes) <= MAX_CACHED_PLANS
        stage.clock.advance(0)
        while stage.clock.getDelayedCalls():
            stage.clock.advance(0)
        plans.clear()


def test_a_topic_whose_classes_are_gone_is_forgotten() -> None:
    def declare() -> None:
        event("memory.gone")(attrs.frozen(type("Made", (), {})))
        assert len(classes_of_topic("memory.gone")) == 1

    for _ in range(3):
        declare()
        gc.collect()

    assert classes_of_topic("memory.gone") == []


def test_a_full_cache_of_classes_is_emptied_by_a_full_collection_only() -> None:
    linker = EventLinker()
    linker.subscribe(print, IThing)
    assert linker.subscriptions_for(Thing())
    cached = linker.plans.objects

    gc.collect(0)
    gc.collect(1)
    assert len(cached) == 1

    gc.collect()
    assert len(cached) == 0
    assert len(linker.subscriptions_for(Thing())) == 1


def test_a_scanned_handler_is_forgotten_with_its_module() -> None:
    linker = EventLinker()

    def make(end: Literal["clear", "cancel"]) -> ref[Any]:
        module = type(os)("scanned_for_a_moment")
        source = "def hear(): pass"
        exec(source, vars(module))
        handler = vars(module)["hear"] = subscriber("topic")(vars(module)["hear"])
        assert len(linker.scan(module)) == 1
        if end == "clear":
            linker.clear()
        else:
            linker.remove("topic")
            linker.scan(type(os)("scanned_next"))
        return ref(handler)

    handlers = [make("clear"), make("cancel")]
    gc.collect()

    assert [handler() for handler in handlers] == [None, None]


def test_a_partial_is_forgotten_with_what_it_holds() -> None:
    linker = EventLinker()

    def subscribe_and_cancel() -> ref[Any]:
        handler = Handler()
        linker.subscribe(partial(handler, 1), ...).cancel()
        return ref(handler)

    forgotten = subscribe_and_cancel()
    gc.collect()

    assert forgotten() is None
