"""JSON from the network."""

from __future__ import annotations

import json as stdlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.support import json_values, refused, why_refused
from txevents.wire import json


@given(json_values)
def test_values_are_read_as_they_were_written(value: Any) -> None:
    assert json.read(stdlib.dumps(value).encode(), "it") == value
    assert json.read(stdlib.dumps(value, ensure_ascii=False).encode(), "it") == value


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "Input data was truncated"),
        (b"[1,", "Input data was truncated"),
        (b"[1,]", "trailing comma in array (byte 3)"),
        (b"nul", "Input data was truncated"),
        (b"NaN", "invalid character (byte 0)"),
        (b"1 x", "trailing characters (byte 3)"),
        (b'"\xff"', "invalid UTF-8"),
        (b"1e400", "Number out of range"),
        (b'{"a":[%b]}' % (b"1" * 5000), "Integer value out of range"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a":' * 100_000, "nested too deeply"),
    ],
)
def test_malformed_texts_are_refused_with_the_reason(text: bytes, reason: str) -> None:
    assert refused(json.read, text, "it") == f"it is not valid JSON: {reason}"


@given(st.binary())
def test_arbitrary_bytes_raise_nothing_but_refusals(text: bytes) -> None:
    for read in (json.read, json.members):
        why_refused(read, text, "it")


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), json_values))
def test_the_members_of_an_object_are_its_members(value: dict[str, Any]) -> None:
    assert json.members(stdlib.dumps(value).encode(), "it") == value


@pytest.mark.parametrize("text", [b"[]", b"null", b'"a"', b"1", b'[["a",1],["a",1]]'])
def test_only_an_object_has_members(text: bytes) -> None:
    assert refused(json.members, text, "it") == "it must be a JSON object"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (b'{"a":1,"a":1}', "'a'"),
        (b'{"a":1,"b":2,"b":3,"a":4,"a":5}', "'a'"),
        (rb'{"a":1,"\u0061":2}', "'a'"),
        (rb'{"\n":1,"\n":2}', r"'\n'"),
        (rb'{"\ud83d\ude00":1,"\ud83d\ude00":2}', r"'\U0001f600'"),
        (b'{"":1,"":2}', "''"),
    ],
)
def test_a_member_that_stands_there_twice_is_refused(text: bytes, name: str) -> None:
    assert refused(json.members, text, "it") == f"it has the member {name} more than once"


def test_members_of_inner_objects_may_stand_there_twice() -> None:
    assert json.members(b'{"a":{"b":1,"b":2},"c":[{"b":1,"b":2}]}', "it") == {
        "a": {"b": 2},
        "c": [{"b": 2}],
    }


@pytest.mark.parametrize("depth", [*range(900, 1000), 100_000])
def test_members_nested_deeply_are_read_or_refused(depth: int) -> None:
    refusal = why_refused(json.members, b'{"a":' + b"[" * depth + b"]" * depth + b"}", "it")

    assert refusal == "it is not valid JSON: nested too deeply" or (
        refusal is None and depth < 100_000
    )
