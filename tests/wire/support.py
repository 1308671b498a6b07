"""What the tests of the codec share: a sender of their own, and what any refusal has to be."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import strategies as st

from tests.data.cloudevents import BASE, Event
from txevents import Envelope
from txevents.wire.cloudevents import read_binary, read_structured
from txevents.wire.problems import Refusal

Header = tuple[bytes, bytes]

OPTIONAL = {"subject", "time", "datacontenttype", "dataschema"}
CORE = {*BASE, *OPTIONAL, "data", "data_base64"}
REQUIRED: list[Header] = [
    (b"ce-specversion", b"1.0"),
    (b"ce-id", b"base"),
    (b"ce-type", b"io.cloudevents.test"),
    (b"ce-source", b"https://cloudevents.io"),
]


def structured(event: Event) -> Envelope:
    """Read an event that was sent in structured mode."""
    return read_structured(json.dumps(event).encode())


def with_members(members: bytes) -> bytes:
    """The base event with further members, written as they are to stand in the JSON text."""
    return json.dumps(BASE).encode()[:-1] + b"," + members + b"}"


def binary(headers: Mapping[str, bytes], body: bytes = b"") -> Envelope:
    """Read the base event, sent in binary mode with further or other headers."""
    sent = {**dict(REQUIRED), **{name.encode(): value for name, value in headers.items()}}
    return read_binary(sent.items(), body)


def refused(function: Callable[..., object], *args: object, status: int = 400) -> str:
    """Return why a call is refused: in words that are short, and safe to print."""
    with pytest.raises(Refusal) as caught:
        function(*args)
    check_refusal(caught.value)
    assert caught.value.status == status
    return caught.value.detail


def why_refused(function: Callable[..., object], *args: object) -> str | None:
    """Return why a call is refused, or `None` when it is not; any other exception passes."""
    try:
        function(*args)
    except Refusal as refusal:
        check_refusal(refusal)
        return refusal.detail
    return None


def check_refusal(refusal: Refusal) -> None:
    assert 0 < len(refusal.detail) <= 260
    assert refusal.detail.isascii()
    assert refusal.detail.isprintable()


def received(event: Event) -> Envelope:
    """The envelope that an event has to become, by the rules of the specification.

    Plainer than the code under test: json-format.md, sections 2.2 (null is unset) and 3.1.2.
    """
    attributes = {k: v for k, v in event.items() if v is not None and not k.startswith("data_")}
    attributes.pop("data", None)
    core = {name: attributes.pop(name) for name in CORE if name in attributes}
    content: dict[str, Any] = {}
    if "data" in event:
        content = {"data": event["data"], "raw": json.dumps(event["data"]).encode()}
    elif event.get("data_base64") is not None:
        content = {"data": b64decode(event["data_base64"], validate=True)}
        if "json" in core.get("datacontenttype", ""):
            content = {"data": json.loads(content["data"]), "raw": content["data"]}
    return Envelope(**core, extensions=attributes, **content)


def percent_encode(value: str) -> bytes:
    """Encode a header value, as a sender must: http-protocol-binding.md, section 3.1.3.2."""
    return "".join(
        character
        if "\x21" <= character <= "\x7e" and character not in '"%'
        else "".join(f"%{byte:02X}" for byte in character.encode())
        for character in value
    ).encode("ascii")


def canonical(value: object) -> str:
    """The canonical string of an attribute: spec.md, section "Type System"."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


# Characters that a String may have (spec.md, section "Type System"), and some that JSON escapes.
characters = st.one_of(
    st.sampled_from(':"\\{}[],/% \x7e\xa0'),
    st.characters(
        exclude_categories=("Cs", "Cc"),
        exclude_characters=[chr(c) for c in range(0xFDD0, 0xFDF0)]
        + [chr(plane + low) for plane in range(0, 0x110000, 0x10000) for low in (0xFFFE, 0xFFFF)],
    ),
)
strings = st.text(characters)
names = st.from_regex(r"[a-z0-9]{1,24}", fullmatch=True).filter(lambda name: name not in CORE)
integers = st.integers(-(2**31), 2**31 - 1)
extensions = st.dictionaries(names, strings | integers | st.booleans(), max_size=4)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=3)
    ),
    max_leaves=8,
)
media_types = st.sampled_from(
    ["application/json", "Application/JSON; charset=utf-8", "text/x+json", 'text/plain; a="b:c"']
)
attributes = st.fixed_dictionaries(
    {
        "specversion": st.just("1.0"),
        "id": st.text(characters, min_size=1),
        "type": st.text(characters, min_size=1),
        "source": st.sampled_from(["/a:b", "urn:x:y", "https://h:1/?a:b#c:d", "#", "a%C3%A9"]),
    },
    optional={
        "subject": st.text(characters, min_size=1),
        "time": st.datetimes().map(lambda time: f"{time.isoformat()}+05:30"),
        "dataschema": st.just("https://h/schema:1"),
        "datacontenttype": media_types,
    },
)
