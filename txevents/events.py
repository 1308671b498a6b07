"""Events: the topics that classes declare, the `Envelope` of an event from the network."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from functools import partial
from types import MappingProxyType
from typing import Any, TypeVar

import msgspec

from txevents.errors import InvalidTopic
from txevents.topics import check_topic, generality

C = TypeVar("C", bound=type)

_TOPIC = "__txevents_topic__"


class _Declarations:
    """Which classes declare which topic, without keeping the classes alive.

    `count` grows with each declaration: whoever caches what is declared compares it.
    """

    def __init__(self) -> None:
        self.count = 0
        self._classes: dict[str, list[weakref.ref[type]]] = {}

    def add(self, topic: str, cls: type) -> None:
        self._classes.setdefault(topic, []).append(weakref.ref(cls, partial(self._gone, topic)))
        self.count += 1

    def _gone(self, topic: str, ref: weakref.ref[type]) -> None:
        self._classes[topic].remove(ref)
        if not self._classes[topic]:
            del self._classes[topic]

    def classes(self, topic: str) -> list[type]:
        return [cls for ref in self._classes.get(topic, ()) if (cls := ref()) is not None]


DECLARED = _Declarations()

NO_EXTENSIONS: Mapping[str, Any] = MappingProxyType({})


def event(topic: str) -> Callable[[C], C]:
    """Declare the topic of a class: `@event("com.example.order.placed")`.

    Put it outermost, above `@attrs.frozen` or `@dataclass`. Messages of that topic from the network
    then reach handlers as instances of the class. The topic is not inherited by subclasses. Raises
    `InvalidTopic` for an empty topic or a pattern.
    """
    check_topic(topic)
    if generality(topic) < 2:
        raise InvalidTopic(f"a class needs a topic, not the pattern {topic!r}")

    def declare(cls: C) -> C:
        setattr(cls, _TOPIC, topic)
        DECLARED.add(topic, cls)
        return cls

    return declare


def classes_of_topic(topic: str) -> list[type]:
    """Return the classes, still alive, that declare `topic` with `@event`, in that order."""
    return DECLARED.classes(topic)


class Envelope(msgspec.Struct, frozen=True, kw_only=True, eq=False, weakref=True):
    """An event that came or goes by wire: the attributes of a CloudEvent 1.0 and its data.

    All attributes are strings as they stand on the wire; `time` is an RFC 3339 timestamp (which may
    have nanoseconds or a leap second, more than a `datetime` can hold). `extensions` maps names to
    `str`, `int`, `bool` or `bytes`. `data` is the JSON value for JSON media types, `bytes` for
    others, `str` for text that came in a JSON document, and `None` when absent. `raw` is the JSON
    text that `data` was read from, so that it can be passed on byte by byte and read as a typed
    event without loss; it takes no part in comparisons.

    The rules of the CloudEvents specification are checked where an envelope is read from the wire
    (`txevents.wire.cloudevents`), not here.
    """

    id: str
    source: str
    type: str
    specversion: str = "1.0"
    subject: str | None = None
    time: str | None = None
    datacontenttype: str | None = None
    dataschema: str | None = None
    extensions: Mapping[str, Any] = NO_EXTENSIONS
    data: Any = None
    raw: bytes | None = None

    @property
    def has_data(self) -> bool:
        """Whether there is data at all: a JSON `null` is data, an absent `data` is not."""
        return self.data is not None or self.raw is not None

    def _compared(self) -> tuple[Any, ...]:
        return (
            self.id,
            self.source,
            self.type,
            self.specversion,
            self.subject,
            self.time,
            self.datacontenttype,
            self.dataschema,
            dict(self.extensions),
            self.has_data,
            self.data,
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Envelope):
            return NotImplemented
        return self._compared() == other._compared()

    def __ne__(self, other: object) -> bool:
        return not self == other  # a Struct has a `!=` of its own

    def __hash__(self) -> int:
        return hash((self.source, self.id))


# Set by the intake of the sources around what it emits.
ENVELOPE: ContextVar[Envelope | None] = ContextVar("txevents.current_envelope", default=None)


def current_envelope() -> Envelope | None:
    """Return the envelope that the event being handled came in.

    It is at hand in the handler, in what the handler calls, and in events that the handler emits.
    `None` when the event did not come from the network.
    """
    return ENVELOPE.get()


def topic_of(event: object) -> str:
    """Return the topic of an event: see "One word for each thing" in the documentation.

    The string itself, the `type` of an `Envelope`, the topic that the class declares with `@event`,
    or else the name of the class.
    """
    if isinstance(event, str):
        return event
    if isinstance(event, Envelope):
        return event.type
    return topic_of_class(type(event))


def topic_of_class(cls: type) -> str:
    """Return the topic that `cls` itself declares with `@event`, or else its `__name__`."""
    topic: str | None = vars(cls).get(_TOPIC)
    return cls.__name__ if topic is None else topic
