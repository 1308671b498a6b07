"""`EventLinker`: who listens to what.

Rules of this file:

* An event's subscriptions, in the order of calling, are its *plan*: a tuple, so that an emission
  works on a snapshot. Plans are cached, and every change of the linker clears the cache.
* zope.interface tells us when a declaration changes: the cache subscribes itself to each
  specification that it holds a plan for. (The generation of an `AdapterRegistry` does not help: it
  is not bumped by `classImplements` or by changed `__bases__`.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import is_dataclass
from itertools import count
from typing import Any

import attrs
import msgspec
from zope.interface import implementedBy, implementer, providedBy

from txevents.events import DECLARED, Envelope, classes_of_topic, topic_of_class
from txevents.interfaces import IEventLinker
from txevents.keys import check_event, check_handler, check_keys
from txevents.policy import DEFAULT_POLICY, Policy
from txevents.subscription import Linkage, Subscription
from txevents.topics import compile_pattern, generality

Plan = tuple[Subscription, ...]
Found = tuple[tuple[int, ...], Subscription]

# Topics come from the network, and classes may be made by the thousand: no cache grows past this.
MAX_CACHED_PLANS = 1024


@implementer(IEventLinker)
class EventLinker:
    """Registers handlers for keys, and finds those that an event reaches.

    Order of calling: higher `priority` first; then the least specific key first: everything, base
    interface, interface, base class, class, pattern with `#`, pattern with `*`, topic; then the
    order of registration. A handler that several of its keys let through runs once, in the first
    of its places. Not thread-safe: it belongs to the reactor thread.
    """

    def __init__(self) -> None:
        # A key's subscriptions: one alone stands for itself, several are the keys of a dict, since
        # a dict for each of 10^5 keys would take more memory than all the rest.
        self._buckets: dict[Any, Subscription | dict[Subscription, None]] = {}
        self._patterns: dict[str, Callable[[str], bool]] = {}
        self._tuples: set[tuple[Any, ...]] = set()
        self._order = count()
        self.plans = PlanCache()

    def on(self, *keys: Any, name: str | None = None, **policy: Any) -> Linkage:
        """Register the decorated function for `keys`: `@linker.on(IOrderPlaced, priority=1)`.

        Takes what `subscribe` takes. Several keys mean any of them. As a context manager it links a
        handler with its callbacks::

            with linker.on(PasswordResetRequested) as link:
                @link.on_event
                async def send_mail(event): ...
                @link.on_failure
                def failed(exc): ...

        Raises `InvalidKey` or `InvalidTopic` at once for keys that nothing could match.
        """
        return Linkage(self, check_keys(keys), name, policy)

    def subscribe(
        self, handler: Callable[..., Any], *keys: Any, name: str | None = None, **policy: Any
    ) -> Subscription:
        """Register `handler` for each of `keys` and return the subscription.

        `policy` holds the fields of `txevents.policy.Policy`: `once`, `priority`, `where`,
        `on_success`, `on_failure`. `name` stands for the handler in logs. Raises `InvalidHandler`,
        `InvalidKey` or `InvalidTopic`; nothing is registered then.
        """
        check_handler(handler)
        keys = check_keys(keys)
        subscription = Subscription(
            self,
            handler,
            keys,
            Policy(**policy) if policy else DEFAULT_POLICY,
            name,
            next(self._order),
        )
        for key in keys:
            self._add(key, subscription)
        self.plans.clear()
        return subscription

    def subscriptions_for(self, event: object) -> Plan:
        """Return the subscriptions that `event` reaches now, in the order of calling.

        Raises `InvalidEvent` (a `TypeError`) for `None`, `""` and a class.
        """
        check_event(event)
        if isinstance(event, str):
            return self._topic_plan(str.__str__(event))
        if type(event) is Envelope:
            return self._envelope_plan(event)
        return self._object_plan(event)

    def subscriptions_for_objects(self, objects: tuple[object, ...]) -> Plan:
        """Return the subscriptions whose tuple keys `objects` match, in the order of calling."""
        for obj in objects:
            check_event(obj)
        places = [_places(providedBy(obj), type(obj)) for obj in objects]
        matching = [
            keys
            for keys in self._tuples
            if len(keys) == len(objects)
            and all(key in place for key, place in zip(keys, places, strict=True))
        ]
        return _in_order(
            (tuple(place[key] for key, place in zip(keys, places, strict=True)), subscription)
            for keys in matching
            for subscription in self._bucket(keys)
        )

    def class_for(self, topic: str) -> type | None:
        """Return the class that a message of `topic` is read as: declared for it, and reached.

        Only attrs classes, dataclasses and `msgspec.Struct` classes count, as data can be read into
        them. Where several declare the topic with `@event` and subscriptions reach them, it is the
        one declared last. `None` when there is none.
        """
        if self.plans.declarations != DECLARED.count:
            self.plans.clear()
            self.plans.declarations = DECLARED.count
        try:
            return self.plans.classes[topic]
        except KeyError:
            pass
        candidates = [cls for cls in classes_of_topic(topic) if _has_fields(cls)]
        reached = next((c for c in reversed(candidates) if self._reaches_class(c)), None)
        self.plans.remember(self.plans.classes, topic, reached, *map(implementedBy, candidates))
        return reached

    def _reaches_class(self, cls: type) -> bool:
        return bool(self._plan_of(implementedBy(cls), cls, topic_of_class(cls)))

    def _topic_plan(self, topic: str) -> Plan:
        plan = self.plans.topics.get(topic)
        if plan is None:
            plan = _in_order([*self._at({...: 0}), *self._at_topic(topic)])
            self.plans.remember(self.plans.topics, topic, plan)
        return plan

    def _envelope_plan(self, envelope: Envelope) -> Plan:
        plan = self.plans.envelopes.get(envelope.type)
        if plan is None:
            spec = providedBy(envelope)
            plan = self._plan_of(spec, Envelope, envelope.type)
            self.plans.remember(self.plans.envelopes, envelope.type, plan, spec)
        return plan

    def _object_plan(self, event: object) -> Plan:
        spec = providedBy(event)
        plan = self.plans.objects.get(spec)
        if plan is None:
            cls = type(event)
            plan = self._plan_of(spec, cls, topic_of_class(cls))
            # A wrapper may show the declaration of what it wraps: the plan is not for that class.
            if spec.isOrExtends(implementedBy(cls)):
                self.plans.remember(self.plans.objects, spec, plan, spec)
        return plan

    def _plan_of(self, spec: Any, cls: type, topic: str) -> Plan:
        return _in_order([*self._at(_places(spec, cls)), *self._at_topic(topic)])

    def _at(self, places: dict[Any, int]) -> Iterator[Found]:
        for key, place in places.items():
            for subscription in self._bucket(key):
                yield (0, place), subscription

    def _at_topic(self, topic: str) -> Iterator[Found]:
        for pattern, matches in self._patterns.items():
            if matches(topic):
                for subscription in self._bucket(pattern):
                    yield (1, generality(pattern)), subscription
        # A topic from the network may be spelt like a pattern; it is not one.
        if topic not in self._patterns:
            for subscription in self._bucket(topic):
                yield (2,), subscription

    def _bucket(self, key: Any) -> Iterable[Subscription]:
        bucket = self._buckets.get(key, ())
        return (bucket,) if isinstance(bucket, Subscription) else bucket

    def _add(self, key: Any, subscription: Subscription) -> None:
        bucket = self._buckets.get(key)
        if bucket is None:
            self._buckets[key] = subscription
            if isinstance(key, tuple):
                self._tuples.add(key)
            elif isinstance(key, str) and generality(key) < 2:
                self._patterns[key] = compile_pattern(key)
        elif isinstance(bucket, Subscription):
            self._buckets[key] = {bucket: None, subscription: None}
        else:
            bucket[subscription] = None

    def forget(self, subscription: Subscription) -> None:
        """Take a cancelled subscription out: `Subscription.cancel` calls this."""
        for key in subscription.keys:
            bucket = self._buckets[key]
            if isinstance(bucket, dict):
                del bucket[subscription]
            if bucket is subscription or not bucket:
                del self._buckets[key]
                if isinstance(key, tuple):
                    self._tuples.discard(key)
                elif isinstance(key, str):
                    self._patterns.pop(key, None)
        self.plans.clear()

    def __repr__(self) -> str:
        return f"<EventLinker with {len(self._buckets)} keys>"


class PlanCache:
    """The plans of one linker, dropped when a registration or a zope declaration changes."""

    def __init__(self) -> None:
        self.objects: dict[Any, Plan] = {}  # by specification (`providedBy`)
        self.topics: dict[str, Plan] = {}
        self.envelopes: dict[str, Plan] = {}  # by type
        self.classes: dict[str, type | None] = {}  # by topic
        self.declarations = 0
        self._watched: dict[Any, None] = {}

    def remember(self, cache: dict[Any, Any], key: Any, value: object, *specs: Any) -> None:
        """Keep one more entry, within `MAX_CACHED_PLANS`, until one of `specs` changes.

        A declaration changes when one that it builds on does.
        """
        if len(self._watched) >= MAX_CACHED_PLANS:
            self.clear()
        elif len(cache) >= MAX_CACHED_PLANS:
            cache.clear()
        for spec in specs:
            if spec not in self._watched:
                self._watched[spec] = None
                spec.subscribe(self)
        cache[key] = value

    def clear(self) -> None:
        """Drop everything."""
        if self._watched or self.topics:
            for spec in self._watched:
                spec.unsubscribe(self)
            for cache in (self._watched, self.objects, self.topics, self.envelopes, self.classes):
                cache.clear()

    def changed(self, originally_changed: object) -> None:
        """Do what zope.interface asks of a dependent of a specification: start anew."""
        self.clear()


def _has_fields(cls: type) -> bool:
    """Tell whether data can be read into `cls`."""
    return attrs.has(cls) or is_dataclass(cls) or issubclass(cls, msgspec.Struct)


def _places(spec: Any, cls: type) -> dict[Any, int]:
    """Return the keys that an object of `cls` with the declaration `spec` matches, ranked."""
    keys = [..., *reversed(spec.__iro__), *reversed(cls.__mro__)]
    return {key: place for place, key in enumerate(keys)}


def _in_order(found: Iterable[Found]) -> Plan:
    ranked = sorted(found, key=lambda item: (-item[1].policy.priority, item[0], item[1].order))
    return tuple(dict.fromkeys(subscription for _, subscription in ranked))


default_linker = EventLinker()
