from __future__ import annotations

import gc
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, StrEnum
from operator import eq, ne
from typing import Any
from weakref import ref

import attrs
import msgspec
import pytest

from tests.core_helpers import Stage, carrying
from txevents import Envelope, InvalidTopic, current_envelope, event
from txevents.events import classes_of_topic, topic_of


class Plain:
    pass


@event("com.example.declared")
class Declared:
    pass


class Descendant(Declared):
    pass


class Color(StrEnum):
    RED = "colors.red"


class OldColor(str, Enum):  # noqa: UP042 - the old way has to work too
    BLUE = "colors.blue"


def envelope(**attributes: Any) -> Envelope:
    return Envelope(**{"id": "1", "source": "/tests", "type": "com.example.sent"} | attributes)


@pytest.mark.parametrize(
    ("emitted", "topic"),
    [
        ("orders.placed", "orders.placed"),
        (Color.RED, "colors.red"),
        (OldColor.BLUE, "colors.blue"),
        (envelope(), "com.example.sent"),
        (Plain(), "Plain"),
        (Declared(), "com.example.declared"),
        (Descendant(), "Descendant"),
        (ValueError("no"), "ValueError"),
    ],
)
def test_an_event_is_heard_by_its_topic(emitted: object, topic: str) -> None:
    stage = Stage()
    stage.linker.subscribe(lambda *args: args, topic)
    stage.linker.subscribe(lambda *args: "another topic", "another")

    assert len(stage.emit(emitted).values) == 1
    assert topic_of(emitted) == topic


def test_a_class_is_not_heard_by_its_name_when_it_declares_another_topic() -> None:
    stage = Stage()
    stage.linker.subscribe(print, "Declared")

    assert stage.emit(Declared()).results == ()


@pytest.mark.parametrize(
    "decorate",
    [lambda cls: cls, attrs.frozen, attrs.define, dataclass, dataclass(slots=True)],
    ids=["plain", "attrs.frozen", "attrs.define", "dataclass", "dataclass with slots"],
)
def test_any_class_may_declare_a_topic(decorate: Any) -> None:
    @event("com.example.any")
    @decorate
    class Anything:
        pass

    assert topic_of(Anything()) == "com.example.any"


def test_a_struct_may_declare_a_topic() -> None:
    @event("com.example.struct")
    class Struct(msgspec.Struct):
        pass

    assert topic_of(Struct()) == "com.example.struct"


@pytest.mark.parametrize("topic", ["", " a", "a ", "a.*", "#", "#.a"])
def test_a_class_cannot_declare_what_is_no_topic(topic: str) -> None:
    with pytest.raises(InvalidTopic):
        event(topic)


def test_the_refusal_to_declare_a_pattern_shows_it() -> None:
    with pytest.raises(ValueError, match=r"not the pattern 'orders\.\*'"):
        event("orders.*")


def test_a_declaration_does_not_keep_its_class_alive() -> None:
    @event("com.example.short.lived")
    class ShortLived:
        pass

    alive = ref(ShortLived)
    del ShortLived
    gc.collect()

    assert alive() is None
    assert classes_of_topic("com.example.short.lived") == []


def test_classes_of_a_topic_come_in_the_order_of_declaration() -> None:
    @event("com.example.twice")
    class First:
        pass

    @event("com.example.twice")
    class Second:
        pass

    assert classes_of_topic("com.example.twice") == [First, Second]


def test_an_envelope_is_emitted_to_the_subscribers_of_its_type_and_of_its_class() -> None:
    stage = Stage()
    stage.linker.subscribe(lambda event: ("type", event), "com.example.sent")
    stage.linker.subscribe(lambda event: ("pattern", event), "com.example.*")
    stage.linker.subscribe(lambda event: ("class", event), Envelope)
    stage.linker.subscribe(lambda event: ("name", event), "Envelope")
    sent = envelope()

    for _ in range(2):  # the second time from the cache
        assert stage.emit(sent).values == [("class", sent), ("pattern", sent), ("type", sent)]


def test_envelopes_of_different_types_reach_different_handlers() -> None:
    stage = Stage()
    stage.linker.subscribe(lambda event: "one", "type.one")
    stage.linker.subscribe(lambda event: "two", "type.two")

    assert stage.emit(envelope(type="type.one")).values == ["one"]
    assert stage.emit(envelope(type="type.two")).values == ["two"]


def test_an_envelope_needs_no_more_than_id_source_and_type() -> None:
    sent = Envelope(id="1", source="/tests", type="t")

    assert (sent.specversion, sent.data, sent.subject, dict(sent.extensions)) == (
        "1.0",
        None,
        None,
        {},
    )


@pytest.mark.parametrize(
    ("attributes", "has_data"),
    [({}, False), ({"data": 0}, True), ({"raw": b"null"}, True), ({"data": b""}, True)],
)
def test_a_json_null_is_data_and_no_data_is_none(
    attributes: dict[str, Any], has_data: bool
) -> None:
    assert envelope(**attributes).has_data is has_data


def test_envelopes_are_equal_when_their_attributes_and_data_are() -> None:
    one = envelope(data=[1], extensions={"a": "b"})

    assert one == envelope(data=[1], extensions={"a": "b"}, raw=b"[1]")
    assert hash(one) == hash(envelope(data=[2]))
    assert one != envelope(data=[1])
    assert one != envelope(data=[2], extensions={"a": "b"})
    assert eq(one, "an envelope") is False
    assert ne(one, "an envelope") is True
    assert ne(one, envelope(data=[1], extensions={"a": "b"}, raw=b"[1]")) is False
    assert envelope(raw=b"null") != envelope()


def test_an_envelope_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        envelope().id = "2"  # type: ignore[misc]


def test_the_time_of_an_envelope_can_be_read() -> None:
    time = envelope(time="2026-01-02T03:04:05Z").time

    assert time is not None
    assert datetime.fromisoformat(time).year == 2026


def test_there_is_no_current_envelope_when_the_event_came_from_the_program() -> None:
    stage = Stage()
    stage.linker.subscribe(lambda event: current_envelope(), Plain)

    assert stage.emit(Plain()).values == [None]


def test_the_current_envelope_is_that_of_the_event_being_handled() -> None:
    stage = Stage()
    stage.linker.subscribe(lambda event: current_envelope(), Plain)
    first, second = envelope(id="1"), envelope(id="2")

    with carrying(first):
        one = stage.emitter.emit(Plain())
    with carrying(second):
        two = stage.emitter.emit(Plain())
    assert current_envelope() is None
    stage.clock.advance(0)

    values: list[object] = []
    for deferred in (one, two):
        deferred.addCallback(lambda outcome: values.extend(outcome.values))
    assert values == [first, second]
    assert current_envelope() is None


def test_events_that_a_handler_emits_carry_its_envelope() -> None:
    stage = Stage()
    heard: list[Envelope | None] = []
    stage.linker.subscribe(lambda event: stage.emitter.notify("consequence"), Plain)
    stage.linker.subscribe(lambda: heard.append(current_envelope()), "consequence")
    sent = envelope()

    with carrying(sent):
        stage.emitter.notify(Plain())
    stage.clock.advance(0)

    assert heard == [sent]


def test_event_without_its_parentheses_is_a_clear_error() -> None:
    with pytest.raises(InvalidTopic, match="a topic is a string, not <class"):
        event(type("Forgotten", (), {}))  # type: ignore[arg-type]
