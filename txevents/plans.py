"""Plans: an event's subscriptions in the order of calling, and the cache of them.

A plan is a tuple, so that an emission works on a snapshot. Every change of a linker, or of one of
its bases, drops its cached plans. zope.interface tells us when a declaration changes: the cache
subscribes itself to each specification that it holds a plan for. (The generation of an
`AdapterRegistry` does not help: it is not bumped by `classImplements` or by changed `__bases__`.)
"""

from __future__ import annotations

import gc
from collections.abc import Iterable
from typing import Any
from weakref import WeakSet

from txevents.registry import Found
from txevents.subscription import Subscription

Plan = tuple[Subscription, ...]

# Topics come from the network, and classes may be made by the thousand: no cache grows past this.
MAX_CACHED_PLANS = 1024


def make_plan(found_by_linker: Iterable[Iterable[Found]]) -> Plan:
    """Return the plan of what was found in a linker's bases and itself, bases first."""
    ranked = [
        (-subscription.policy.priority, depth, rank, subscription.order, subscription)
        for depth, found in enumerate(found_by_linker)
        for rank, subscription in found
    ]
    ranked.sort(key=lambda item: item[:4])
    return tuple(dict.fromkeys(item[4] for item in ranked))


class PlanCache:
    """The plans of one linker, dropped when a registration or a zope declaration changes."""

    def __init__(self) -> None:
        self.objects: dict[Any, Plan] = {}  # by specification (`providedBy`)
        self.topics: dict[str, Plan] = {}
        self.envelopes: dict[str, Plan] = {}  # by type
        self.classes: dict[str, type | None] = {}  # by topic
        self.declarations = 0  # of `@event`, when `classes` was last empty
        self.dependents: WeakSet[PlanCache] = WeakSet()
        self._watched: WeakSet[Any] = WeakSet()
        _caches.add(self)

    def remember(self, cache: dict[Any, Any], key: Any, value: object, *specs: Any) -> None:
        """Keep one more entry, until one of the declarations `specs`, or their bases, changes."""
        if len(cache) >= MAX_CACHED_PLANS:
            cache.clear()
        for spec in specs:
            if spec not in self._watched:
                self._watched.add(spec)
                spec.subscribe(self)
        cache[key] = value

    def clear(self) -> None:
        """Drop everything, and what linkers that inherit from this one have cached."""
        for cache in (self.objects, self.topics, self.envelopes, self.classes):
            cache.clear()
        for dependent in self.dependents:
            dependent.clear()

    def changed(self, originally_changed: object) -> None:
        """Do what zope.interface asks of a dependent of a specification: start anew."""
        self.clear()


_caches: WeakSet[PlanCache] = WeakSet()


def _release_classes(phase: str, info: dict[str, int]) -> None:
    """Drop what keeps classes alive before a full garbage collection, which may then take them.

    The keys must be strong: with weak ones, looking a plan up would take a quarter of the time of
    a `notify`. Called in any thread, at any moment; clearing a dictionary is safe then.
    """
    if phase == "start" and info["generation"] == 2:
        for cache in list(_caches):
            cache.objects.clear()
            cache.envelopes.clear()
            cache.classes.clear()


gc.callbacks.append(_release_classes)
