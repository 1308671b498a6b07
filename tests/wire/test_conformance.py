"""The cases of the CloudEvents conformance suite and the examples of the specification."""

from __future__ import annotations

import json

import pytest

from tests.data.cloudevents import (
    CONFORMANCE_INVALID,
    CONFORMANCE_VALID,
    EXAMPLE_BASE,
    EXAMPLES,
    INVALID,
    VALID,
    Cases,
    Event,
)
from tests.wire.support import Header, canonical, received, refused, structured
from txevents import Envelope
from txevents.wire.cloudevents import read_binary


def by_name(cases: Cases) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        "event", [event for _, event in cases], ids=[name for name, _ in cases]
    )


def test_the_tables_have_each_case_of_the_suite_and_no_name_twice() -> None:
    assert len(CONFORMANCE_VALID) == 10
    assert len(CONFORMANCE_INVALID) == 25
    names = [name for name, _ in VALID + INVALID]
    assert len(set(names)) == len(names)


@by_name(VALID)
def test_a_valid_event_is_received_as_it_was_sent(event: Event) -> None:
    envelope = structured(event)

    assert envelope == received(event)
    assert envelope.specversion == "1.0"


@by_name(INVALID)
def test_an_invalid_event_is_refused(event: Event) -> None:
    assert refused(structured, event)


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("no-specversion", "specversion: required, and missing"),
        ("no-id", "id: required, and missing"),
        ("null-id", "id: required, and missing"),
        ("empty-id", "id: required, and empty"),
        ("time-garbage", "time: must be a timestamp (RFC 3339), not 'lunchtime'"),
        ("unknown-specversion", "specversion: must be \"1.0\", not '0.9'"),
        (
            "datacontenttype-no-media-type",
            "datacontenttype: must be a media type (RFC 2046), not 'xyz'",
        ),
        ("empty-dataschema", "dataschema: must be an absolute URI, not ''"),
        ("empty-subject", "subject: must not be empty"),
        ("numeric-id", "id: expected a string, got int"),
        ("object-id", "id: expected a string, got object"),
        (
            "extension-with-capitals",
            "'MyExtension': attribute names have lower-case letters a to z and digits only",
        ),
        ("data-and-data_base64", "data and data_base64 exclude each other"),
        ("source-with-a-blank", "source: must be a URI-reference (RFC 3986), not '/a b'"),
        ("control-character-in-id", "id: must not contain the character U+000A"),
        ("non-character-in-subject", "subject: must not contain the character U+FFFF"),
        ("fraction", "ext: must be a string, an integer or a boolean"),
        ("integer-too-large", "ext: must be within 32 bits, signed"),
        ("data_base64-garbage", "data_base64: not base64 (RFC 4648, section 4)"),
        ("data_base64-number", "data_base64: expected a string, got int"),
    ],
)
def test_a_refusal_names_the_attribute_and_the_rule(name: str, rule: str) -> None:
    assert refused(structured, dict(INVALID)[name]) == rule


# conformance: features/http-protocol-binding.feature


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8"])
def test_the_event_of_the_suite_is_received_in_binary_mode(content_type: str) -> None:
    body = b'{\n    "message": "Hello World!"\n}'
    sent: list[Header] = [
        (b"Host", b"example.com"),
        (b"ce-specversion", b"1.0"),
        (b"ce-type", b"com.example.someevent"),
        (b"ce-time", b"2018-04-05T03:56:24Z"),
        (b"ce-id", b"1234-1234-1234"),
        (b"ce-source", b"/mycontext/subcontext"),
        (b"Content-Type", content_type.encode()),
        (b"Content-Length", b"33"),
    ]

    envelope = read_binary(sent, body)

    assert envelope == Envelope(
        id="1234-1234-1234",
        specversion="1.0",
        type="com.example.someevent",
        source="/mycontext/subcontext",
        time="2018-04-05T03:56:24Z",
        datacontenttype=content_type,
        data={"message": "Hello World!"},
    )
    assert envelope.raw == body


# json-format.md, section 3.2, shows each example in both modes.


@pytest.mark.parametrize(
    ("name", "content_type", "body"),
    [
        (
            "format-binary-data",
            b"application/vnd.apache.thrift.binary",
            b"\x80\x01\x00\x01\x00\x00\x00\x05",
        ),
        ("format-xml-data", b"application/xml", b'<much wow="xml"/>'),
        (
            "format-json-data",
            b"application/json",
            b'{\n  "appinfoA" : "abc",\n  "appinfoB" : 123,\n  "appinfoC" : true\n}\n',
        ),
        ("format-json-string", b"application/json", b'"I\'m just a string"'),
    ],
)
def test_an_example_is_the_same_event_in_both_modes(
    name: str, content_type: bytes, body: bytes
) -> None:
    event = dict(EXAMPLES)[name]
    headers: list[Header] = [
        (b"ce-" + attribute.encode(), canonical(event[attribute]).encode())
        for attribute in EXAMPLE_BASE
    ]

    in_headers = read_binary([*headers, (b"content-type", content_type)], body)
    in_json = structured(event)

    assert in_headers.id == in_json.id
    assert (in_headers.source, in_headers.type) == (in_json.source, in_json.type)
    assert in_headers.time == in_json.time
    assert in_headers.datacontenttype == content_type.decode()
    assert in_json.datacontenttype in (content_type.decode(), None)
    # Headers have no types: the integer arrives as its canonical string.
    assert in_json.extensions == {"comexampleextension1": "value", "comexampleothervalue": 5}
    assert in_headers.extensions == {"comexampleextension1": "value", "comexampleothervalue": "5"}
    data = in_headers.data
    assert in_json.data == (data.decode() if name == "format-xml-data" else data)


def test_a_json_string_without_its_quotes_is_no_valid_json_in_binary_mode() -> None:
    headers = [(b"ce-" + n.encode(), canonical(v).encode()) for n, v in EXAMPLE_BASE.items()]
    sent = [*headers, (b"content-type", b"application/json")]

    assert refused(read_binary, sent, b"I'm just a string").startswith("data is not valid JSON")


def test_an_event_of_64_kibibytes_is_accepted() -> None:
    # spec.md, section "Size Limits"
    event = {**EXAMPLE_BASE, "data": ""}
    event["data"] = "x" * (65_536 - len(json.dumps(event)))
    assert len(json.dumps(event)) == 65_536

    assert structured(event).data == event["data"]
