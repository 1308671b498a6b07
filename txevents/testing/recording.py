"""Recording what is emitted: with its handlers (`captured`), or in their place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import inf
from typing import Any, Self

import attrs
from twisted.python.reflect import safe_repr

from txevents.emission import Emission, Outcome
from txevents.emitters.base import EventEmitter
from txevents.events import topic_of
from txevents.linker import EventLinker
from txevents.policy import Policy
from txevents.streams import event_of

LONGEST_REPR = 200


@contextmanager
def captured(linker: EventLinker, *keys: Any, where: Any = None) -> Iterator[list[Any]]:
    """Return a context manager: its list fills with the events that reach any of `keys`.

    Without keys it is everything. A topic gives what it was emitted with, as in
    `EventLinker.wait_for`: nothing as `None`, one argument as it is, several as a tuple. `where` is
    as in `EventLinker.subscribe`, and so is what is raised. The handlers of the events run as ever,
    and `Outcome.values` has no value of it. An event comes into the list when its handlers start,
    before the first of them. After the block nothing more comes in.
    """
    events: list[Any] = []

    def capture(*args: Any, **kwargs: Any) -> bool:
        events.append(event_of(args, kwargs))
        return False

    # What records is a predicate, which says no: a handler would have its value in each `Outcome`.
    conditions = (*Policy(where=where).where, capture)
    with linker.subscribe(
        _no_handler, *(keys or (...,)), name="captured", priority=inf, where=conditions
    ):
        yield events


def _no_handler(*args: Any, **kwargs: Any) -> None:
    raise NotImplementedError


@attrs.frozen
class Emitted:
    """One call of an emitter: `event` and what came with it.

    `together` tells that it was `emit_objects`; `event` is then the tuple of objects.
    """

    event: Any
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = attrs.field(factory=dict)
    together: bool = False

    @classmethod
    def from_call(cls, event: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Self:
        """Make one of an event and what its handlers are called with."""
        if args is event:
            return cls(event, together=True)
        return cls(event, args if isinstance(event, str) else args[1:], kwargs)

    @property
    def received(self) -> Any:
        """The event as `EventLinker.wait_for` gives it: of a topic, the arguments."""
        return event_of(self.args, dict(self.kwargs)) if isinstance(self.event, str) else self.event

    def __str__(self) -> str:
        event = short_repr(self.event)
        if not isinstance(self.event, str | type | tuple):
            topic = topic_of(self.event)
            if topic != type(self.event).__name__:
                event = f"{topic}: {event}"
        named = [f"{name}={short_repr(value)}" for name, value in self.kwargs.items()]
        return ", ".join([event, *map(short_repr, self.args), *named])


def short_repr(value: object) -> str:
    text = " ".join(safe_repr(value).splitlines())
    return text if len(text) <= LONGEST_REPR else f"{text[: LONGEST_REPR - 3]}..."


class RecordingEmitter(EventEmitter):
    """An emitter that runs no handler, and records what it is given.

    `emitted` has an `Emitted` for each call of `emit`, `notify` and `emit_objects`, in order. The
    Deferreds they return have fired already, with an `Outcome` without results. What is no event is
    refused as by any emitter. `linker` is there for code that asks its emitter for it.
    """

    def __init__(self, linker: EventLinker | None = None) -> None:
        super().__init__(linker)
        self.emitted: list[Emitted] = []

    @property
    def events(self) -> list[Any]:
        """The events emitted, in order; of a topic, the topic, whose arguments `emitted` has."""
        return [emitted.event for emitted in self.emitted]

    def clear(self) -> None:
        """Forget what has been recorded."""
        self.emitted.clear()

    def _process(self, emission: Emission) -> None:
        self.emitted.append(Emitted.from_call(emission.event, emission.args, emission.kwargs))
        emission.deferred.callback(Outcome(emission.event, ()))
