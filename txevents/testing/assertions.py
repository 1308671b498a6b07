"""Assertions on what was emitted and what became of it, whose failures can be read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any

from txevents.emission import Outcome, Result
from txevents.errors import InvalidEvent
from txevents.keys import spell_key
from txevents.linker import EventLinker
from txevents.testing.recording import Emitted, RecordingEmitter, short_repr

LISTED = 20
_MISSING = object()

Recorded = RecordingEmitter | Iterable[object]


def assert_emitted(
    recorded: Recorded, key: Any, /, count: int | None = None, **attributes: Any
) -> list[Any]:
    """Return the events that match `key` and have `attributes`, in order of emission.

    `recorded` is a `RecordingEmitter`, or a list of events such as that of `captured`. `key` is a
    key as for `EventLinker.on`, and matches as there. Each of `attributes` is compared with the
    event's attribute, or with the item if the event is a mapping; for a topic, with the keyword
    argument, or else with the attribute or item of its only argument. A topic is returned as by
    `EventLinker.wait_for`: its arguments.

    Raises `AssertionError` if there is none, or not `count` of them.
    """
    __tracebackhide__ = True
    checked = _Checked(recorded, key, attributes)
    found = len(checked.matching)
    if (found == 0) if count is None else (found != count):
        checked.fail("at least 1" if count is None else str(count))
    return checked.received


def assert_not_emitted(recorded: Recorded, key: Any, /, **attributes: Any) -> None:
    """Raise `AssertionError` if an event matches `key` and has `attributes`.

    The arguments are those of `assert_emitted`.
    """
    __tracebackhide__ = True
    checked = _Checked(recorded, key, attributes)
    if checked.matching:
        checked.fail("none")


def assert_ok(outcome: Outcome) -> None:
    """Raise `AssertionError` unless `outcome.ok`; it lists who failed, and with what.

    Its cause is what was raised. What is no `Outcome` is a `TypeError`.
    """
    __tracebackhide__ = True
    if not isinstance(outcome, Outcome):
        raise TypeError(
            f"an Outcome is needed, not {short_repr(outcome)}: wait for the Deferred of emit, "
            "or take its result when the emitter has been flushed"
        )
    if outcome.ok:
        return
    failures = [lines for result in outcome.results if (lines := _failures(result))]
    total = len(outcome.results)
    headline = f"{len(failures)} of {total} subscriptions failed on {Emitted(outcome.event)}:"
    message = "\n".join([headline, *chain.from_iterable(failures)])
    exceptions = outcome.exceptions
    if len(exceptions) > 1:
        raise AssertionError(message) from BaseExceptionGroup("what was raised", exceptions)
    raise AssertionError(message) from (exceptions[0] if exceptions else None)


def _failures(result: Result) -> list[str]:
    name = result.subscription.name
    lines = []
    if result.status in ("dropped", "cancelled"):
        lines.append(f"    {name} was {result.status}")
    elif result.exception is not None:
        lines.append(f"    {name}: {_spell_exception(result.exception)}")
    if result.callback_exception is not None:
        lines.append(f"    {name}, in its callback: {_spell_exception(result.callback_exception)}")
    return lines


def _spell_exception(exception: BaseException) -> str:
    text = str(exception)
    kind = type(exception).__qualname__
    return f"{kind}: {text}" if text else kind


class _Checked:
    """What was recorded, each event with its differences from what is looked for."""

    def __init__(self, recorded: Recorded, key: Any, attributes: dict[str, Any]) -> None:
        self._key = key
        self._attributes = attributes
        self._is_list = not isinstance(recorded, RecordingEmitter)
        everything = (
            recorded.emitted
            if isinstance(recorded, RecordingEmitter)
            else [Emitted(event) for event in recorded]
        )
        linker = EventLinker()
        linker.subscribe(_Checked, key)
        # None for an event of another key.
        self._differences = [
            (emitted, self._compare(emitted) if self._reached(linker, emitted) else None)
            for emitted in everything
        ]
        self.matching = [emitted for emitted, found in self._differences if found == []]

    @property
    def received(self) -> list[Any]:
        # A string in a list may be an argument of a topic.
        return [e.event if self._is_list else e.received for e in self.matching]

    def _reached(self, linker: EventLinker, emitted: Emitted) -> bool:
        event = emitted.event
        try:
            if emitted.together or (isinstance(self._key, tuple) and isinstance(event, tuple)):
                return bool(linker.subscriptions_for_objects(event))
            return bool(linker.subscriptions_for(event))
        except InvalidEvent:  # In a list there are arguments of topics too.
            return self._key is ...

    def _compare(self, emitted: Emitted) -> list[str]:
        differences = []
        for name, expected in self._attributes.items():
            actual = self._attribute(emitted, name)
            if actual is _MISSING:
                differences.append(f"{name}: missing, expected {short_repr(expected)}")
            elif actual != expected:
                differences.append(f"{name}: {short_repr(actual)}, expected {short_repr(expected)}")
        return differences

    def _attribute(self, emitted: Emitted, name: str) -> Any:
        if name in emitted.kwargs:
            return emitted.kwargs[name]
        subject = emitted.event
        if isinstance(subject, str):
            subject = emitted.args[0] if len(emitted.args) == 1 else None
        if isinstance(subject, Mapping):
            return subject.get(name, _MISSING)
        return getattr(subject, name, _MISSING)

    def fail(self, number: str) -> None:
        __tracebackhide__ = True
        wanted = ", ".join(f"{n}={short_repr(value)}" for n, value in self._attributes.items())
        what = spell_key(self._key) + (f" with {wanted}" if wanted else "")
        total = len(self._differences)
        if not total:
            raise AssertionError(f"expected {number} of {what}, but nothing was emitted")
        lines = [f"expected {number} of {what}, got {len(self.matching)}; emitted:"]
        for emitted, differences in self._differences[:LISTED]:
            lines.append(f"  {'*' if differences == [] else ' '} {emitted}")
            lines += [f"        {difference}" for difference in differences or ()]
        if total > LISTED:
            lines.append(f"    and {total - LISTED} more")
        if self._is_list and isinstance(self._key, str) and not self.matching:
            lines.append(
                "(in a list of captured() a topic is only what it was emitted with; "
                "a RecordingEmitter knows the topic)"
            )
        raise AssertionError("\n".join(lines))
