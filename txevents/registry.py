"""`Registry`: the subscriptions of one linker by key, and those of them that an event matches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from txevents.subscription import Subscription
from txevents.topics import compile_pattern, generality

# Where a subscription stands among those that an event reaches, the least specific first.
Rank = tuple[int, ...]
Found = tuple[Rank, Subscription]
Places = dict[Any, int]


def places_of(spec: Any, cls: type) -> Places:
    """Return the keys that an object of `cls` with the declaration `spec` matches, ranked."""
    keys = [..., *reversed(spec.__iro__), *reversed(cls.__mro__)]
    return {key: place for place, key in enumerate(keys)}


class Registry:
    """Subscriptions by key."""

    def __init__(self) -> None:
        # A key's subscriptions: one alone stands for itself, several are the keys of a dict, since
        # a dict for each of 10^5 keys would take more memory than all the rest.
        self._buckets: dict[Any, Subscription | dict[Subscription, None]] = {}
        self._patterns: dict[str, Callable[[str], bool]] = {}
        self._tuples: set[tuple[Any, ...]] = set()

    def __iter__(self) -> Iterator[Subscription]:
        """Iterate over all subscriptions, once for each of their keys."""
        for bucket in self._buckets.values():
            yield from (bucket,) if isinstance(bucket, Subscription) else bucket

    def keys(self) -> Iterable[Any]:
        """Return the keys that have subscriptions."""
        return self._buckets.keys()

    def at(self, key: Any) -> Iterable[Subscription]:
        """Return the subscriptions registered for just this key, in order of registration."""
        bucket = self._buckets.get(key, ())
        return (bucket,) if isinstance(bucket, Subscription) else bucket

    def count(self, key: Any) -> int:
        """Return how many subscriptions are registered for just this key."""
        bucket = self._buckets.get(key, ())
        return 1 if isinstance(bucket, Subscription) else len(bucket)

    def add(self, key: Any, subscription: Subscription) -> None:
        """Register `subscription` for `key`."""
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

    def discard(self, key: Any, subscription: Subscription) -> None:
        """Take `subscription` out from under `key`, where it is registered."""
        bucket = self._buckets[key]
        if isinstance(bucket, dict):
            del bucket[subscription]
        if bucket is subscription or not bucket:
            del self._buckets[key]
            if isinstance(key, tuple):
                self._tuples.discard(key)
            elif isinstance(key, str):
                self._patterns.pop(key, None)

    def find_at(self, places: Places) -> Iterator[Found]:
        """Find what is registered for the keys in `places`."""
        for key, place in places.items():
            for subscription in self.at(key):
                yield (0, place), subscription

    def find_topic(self, topic: str) -> Iterator[Found]:
        """Find what is registered for `topic` and for patterns that it matches."""
        for pattern, matches in self._patterns.items():
            if matches(topic):
                for subscription in self.at(pattern):
                    yield (1, generality(pattern)), subscription
        # A topic from the network may be spelt like a pattern; it is not one.
        if topic not in self._patterns:
            for subscription in self.at(topic):
                yield (2,), subscription

    def find_tuples(self, places: list[Places]) -> Iterator[Found]:
        """Find what is registered for tuples that match the objects with these places."""
        for keys in self._tuples:
            if len(keys) == len(places):
                pairs = list(zip(keys, places, strict=True))
                if all(key in place for key, place in pairs):
                    rank = tuple(place[key] for key, place in pairs)
                    for subscription in self.at(keys):
                        yield rank, subscription
