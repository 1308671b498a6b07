"""Binary mode: http-protocol-binding.md, section 3.1."""

from __future__ import annotations

from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data.cloudevents import BASE, Event
from tests.wire.support import (
    REQUIRED,
    Header,
    attributes,
    binary,
    canonical,
    check_refusal,
    extensions,
    percent_encode,
    received,
    refused,
    strings,
    why_refused,
)
from txevents import Envelope
from txevents.wire.cloudevents import read_binary
from txevents.wire.problems import Refusal

# Headers


def test_the_attributes_are_the_headers_with_the_prefix_and_no_others() -> None:
    envelope = binary({"host": b"h", "x-ce-a": b"1", "cea": b"1", "ce-ext": b"2", "accept": b"*/*"})

    assert envelope == received({**BASE, "ext": "2"})


def test_header_names_have_no_case() -> None:
    shouted = [(name.upper(), value) for name, value in REQUIRED]
    envelope = read_binary([*shouted, (b"Ce-Ext", b"X"), (b"CONTENT-TYPE", b"Text/Plain")], b"a")

    assert envelope == Envelope(
        **BASE, extensions={"ext": "X"}, datacontenttype="Text/Plain", data=b"a"
    )


def test_a_message_without_an_attribute_is_no_cloudevent() -> None:
    # Section 3: it takes the attributes as headers to be one.
    for sent in ([], [(b"content-type", b"application/json")], [(b"ce", b"1"), (b"id", b"1")]):
        with pytest.raises(Refusal) as caught:
            read_binary(sent, b"{}")
        check_refusal(caught.value)
        assert caught.value.status == 415
        assert caught.value.headers == {"Accept-Post": "application/cloudevents+json"}


@pytest.mark.parametrize("name", ["specversion", "id", "source", "type"])
def test_a_required_attribute_is_missing_or_empty(name: str) -> None:
    header = f"ce-{name}".encode()
    others = [(n, v) for n, v in REQUIRED if n != header]

    assert refused(read_binary, others, b"") == f"{name}: required, and missing"
    assert refused(binary, {f"ce-{name}": b""}) == f"{name}: required, and empty"
    assert refused(binary, {f"ce-{name}": b'""'}) == f"{name}: required, and empty"


def test_the_specversion_is_exactly_1_0() -> None:
    for version in (b"0.3", b"1", b"1.0.2", b" 1.0", b"1.0, 1.0"):
        assert "specversion: must be" in refused(binary, {"ce-specversion": version})
    assert binary({"ce-specversion": b"%31.0"}).specversion == "1.0"


def test_a_header_of_the_content_type_must_not_be_there() -> None:
    # Section 3.1.1, also when it says the same, and when it is the only one
    for sent in ([*REQUIRED, (b"content-type", b"text/plain")], []):
        detail = refused(read_binary, [*sent, (b"CE-DataContentType", b"text/plain")], b"")
        assert detail == "ce-datacontenttype: say it in Content-Type"


@pytest.mark.parametrize(
    ("header", "detail"),
    [
        ((b"CE-ID", b"base"), "id: the header stands there more than once"),
        ((b"ce-source", b"/x"), "source: the header stands there more than once"),
        ((b"Ce-Ext", b""), "ext: the header stands there more than once"),
        ((b"content-Type", b"text/a"), "Content-Type: the header stands there more than once"),
    ],
)
def test_a_header_that_stands_there_twice_is_refused(header: Header, detail: str) -> None:
    sent = [*REQUIRED, (b"ce-ext", b"1"), (b"content-type", b"text/a")]

    assert refused(read_binary, [*sent, header], b"") == detail


@pytest.mark.parametrize(
    "name",
    ["ce-", "ce-a-b", "ce-a_b", "ce-data", "ce-DATA", "ce-data_base64", "ce-a.b", "ce-é", "ce- "],
)
def test_names_that_no_attribute_may_have_are_refused(name: str) -> None:
    # spec.md, section "Naming Conventions": a to z and 0 to 9, and not `data`
    detail = refused(binary, {name: b"x"})

    assert detail.endswith(": attribute names have lower-case letters a to z and digits only")


def test_extensions_are_strings_as_headers_have_no_types() -> None:
    got = binary({"ce-i": b"5", "ce-b": b"true", "ce-big": b"99999999999", "ce-e": b""}).extensions

    assert got == {"i": "5", "b": "true", "big": "99999999999", "e": ""}


# Header values: section 3.1.3.2


@pytest.mark.parametrize(
    ("sent", "value"),
    [
        (b"plain", "plain"),
        (b"Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro € 😀"),
        (b"%e2%82%ac", "€"),
        (b"%E2%82%aC", "€"),
        (b"%61%62", "ab"),
        # One round only, and first the quotes, then the percent signs
        (b"%2541", "%41"),
        (b"%252541", "%2541"),
        (b"%22a%22", '"a"'),
        (b'"%22a%22"', '"a"'),
        (b'"\\%41"', "A"),
        (b'"%5C%22"', '\\"'),
        # Quoted strings
        (b'"a b"', "a b"),
        (b'"a\\"b"', 'a"b'),
        (b'"a\\\\b"', "a\\b"),
        (b'"a\\\\"', "a\\"),
        (b'"\\a\\b"', "ab"),
        (b'"Euro \xe2\x82\xac"', "Euro €"),
        # No quoted strings: they are as they stand
        (b'"', '"'),
        (b'"a', '"a'),
        (b'a"', 'a"'),
        (b'"a\\"', '"a\\"'),
        (b'"a"b"', '"a"b"'),
        (b'"a" "b"', '"a" "b"'),
        (b'a "b" c', 'a "b" c'),
        (b"a\\b", "a\\b"),
        # What older senders did not encode
        (b"a b", "a b"),
        ("Euro €".encode(), "Euro €"),
        # What is no percent-encoding
        (b"100%", "100%"),
        (b"%", "%"),
        (b"%4", "%4"),
        (b"%zz", "%zz"),
        (b"%%41", "%A"),
        (b"a+b", "a+b"),
        (b"%EF%BB%BFa", "\ufeffa"),
    ],
)
def test_header_values_are_decoded(sent: bytes, value: str) -> None:
    envelope = binary({"ce-subject": sent, "ce-ext": sent, "ce-id": sent})

    assert envelope.subject == envelope.extensions["ext"] == envelope.id == value


@pytest.mark.parametrize(
    "sent",
    [
        b"%C0%A0",
        b"%C0%80",
        b"%FF",
        b"%E2%82",
        b"%ED%A0%80",
        b"%F4%90%80%80",
        b"%82",
        b"\xe9",
        b'"%C0%A0"',
    ],
)
def test_bytes_that_are_not_utf8_are_refused(sent: bytes) -> None:
    detail = refused(binary, {"ce-ext": sent})

    assert detail == "ext: the percent-decoded bytes are not UTF-8"


@pytest.mark.parametrize("sent", [b"%00", b"a%0Ab", b"%7f", b"%C2%80", b"%EF%BF%BF", b'"\\%0A"'])
@pytest.mark.parametrize("name", ["id", "type", "subject", "ext"])
def test_encoded_characters_are_checked_as_others_are(name: str, sent: bytes) -> None:
    assert "must not contain the character U+" in refused(binary, {f"ce-{name}": sent})


def test_encoded_attributes_are_checked_after_they_are_decoded() -> None:
    assert binary({"ce-time": b"2018-04-05T17%3A31:00Z"}).time == "2018-04-05T17:31:00Z"
    assert binary({"ce-source": b"/a%2525"}).source == "/a%25"
    # A source that has a percent-encoding of its own loses it, unless it is encoded itself.
    assert refused(binary, {"ce-source": b"/a%20b"}).endswith("not '/a b'")


@given(attributes, extensions)
def test_what_a_sender_encodes_is_what_is_read(attributes: Event, extensions: Event) -> None:
    event = {**attributes, **extensions}
    content_type = event.pop("datacontenttype", None)
    sent = [(b"ce-" + n.encode(), percent_encode(canonical(v))) for n, v in event.items()]
    if content_type is not None:
        sent.append((b"content-type", content_type.encode()))

    envelope = read_binary(sent, b"")

    texts = {name: canonical(value) for name, value in extensions.items()}
    assert envelope == received({**event, "datacontenttype": content_type, **texts})


@given(strings)
def test_a_quoted_string_is_read_as_older_versions_wrote_it(text: str) -> None:
    # Version 1.0.1 let senders quote what has blanks or quotes, percent signs still encoded.
    quoted = text.replace("%", "%25").replace("\\", "\\\\").replace('"', '\\"')

    assert binary({"ce-ext": f'"{quoted}"'.encode()}).extensions["ext"] == text


def test_the_example_of_the_specification_is_encoded_as_it_says() -> None:
    assert percent_encode("Euro € 😀") == b"Euro%20%E2%82%AC%20%F0%9F%98%80"


# Data


def test_an_empty_body_is_no_data() -> None:
    for content_type in ({}, {"content-type": b"application/json"}, {"content-type": b"text/a"}):
        envelope = binary(content_type)
        assert (envelope.data, envelope.raw, envelope.has_data) == (None, None, False)


def test_a_body_without_a_content_type_is_bytes() -> None:
    envelope = binary({}, b'{"a": 1}')

    assert envelope.data == b'{"a": 1}'
    assert envelope.datacontenttype is None
    assert envelope.raw is None


@pytest.mark.parametrize("body", [b"\xff\x00", b"text", b"null", b" ", b"{"])
def test_a_body_of_another_media_type_is_untouched(body: bytes) -> None:
    envelope = binary({"content-type": b"application/octet-stream"}, body)

    assert envelope.data == body
    assert envelope.raw is None


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "Application/JSON",
        "text/json",
        "application/vnd.github.v3+json",
        "application/problem+JSON ; charset=utf-8",
        'application/json;profile="a;b\\"c"',
    ],
)
def test_a_body_of_a_json_media_type_is_json(content_type: str) -> None:
    body = b' {"a": [1, "\\u20ac"]} '
    envelope = binary({"content-type": content_type.encode()}, body)

    assert envelope.data == {"a": [1, "€"]}
    assert envelope.raw == body
    assert envelope.datacontenttype == content_type


def test_a_body_that_is_the_json_null_is_data() -> None:
    envelope = binary({"content-type": b"application/json"}, b"null")

    assert envelope.data is None
    assert envelope.has_data


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b" ",
        b"NaN",
        b"\xff",
        b'"\xed\xa0\x80"',
        b'"\\ud800"',
        b"1 2",
        b"\xef\xbb\xbf1",
        b"I'm",
    ],
)
def test_a_body_that_claims_to_be_json_and_is_not_is_refused(body: bytes) -> None:
    detail = refused(binary, {"content-type": b"application/json"}, body)

    assert detail.startswith("data is not valid JSON: ")


def test_json_is_utf8_whatever_the_charset_says() -> None:
    # RFC 8259, sections 8.1 and 11: there is no such parameter.
    content_type = {"content-type": b"application/json; charset=utf-16"}

    assert binary(content_type, b'"a"').data == "a"
    assert "not valid JSON" in refused(binary, content_type, '"a"'.encode("utf-16"))


@pytest.mark.parametrize("depth", [*range(900, 1000, 3), 300_000])
def test_deep_nesting_is_read_or_refused(depth: int) -> None:
    body = b"[" * depth + b"]" * depth
    refusal = why_refused(binary, {"content-type": b"application/json"}, body)

    assert refusal == "data is not valid JSON: nested too deeply" or (
        refusal is None and depth < 100_000
    )


@pytest.mark.parametrize(
    "content_type",
    [b"", b"json", b"text", b"text/", b"/plain", b"text/plain, text/html", b"text/\xe9", b"a b/c"],
)
def test_a_content_type_that_is_no_media_type_is_refused(content_type: bytes) -> None:
    detail = refused(binary, {"content-type": content_type}, b"x")

    assert detail.startswith("datacontenttype: must be a media type (RFC 2046), not ")


def test_the_content_type_is_not_percent_decoded() -> None:
    # Section 3.1.1: it is an ordinary header.
    assert binary({"content-type": b"text/plain;a=%41"}).datacontenttype == "text/plain;a=%41"


# Properties


@given(st.lists(st.tuples(st.binary(max_size=20), st.binary(max_size=40))), st.binary())
def test_arbitrary_headers_raise_nothing_but_refusals(headers: list[Header], body: bytes) -> None:
    with pytest.raises(Refusal) as caught:
        read_binary([(b"ce-" + n, v) for n, v in headers], body)
    check_refusal(caught.value)


@given(
    st.sampled_from(
        ["ce-id", "ce-type", "ce-source", "ce-subject", "ce-time", "ce-ext", "content-type"]
    ),
    st.binary() | st.text().map(str.encode) | strings.map(lambda text: f'"{text}"'.encode()),
    st.binary(),
)
def test_arbitrary_header_values_raise_nothing_but_refusals(
    name: str, value: bytes, body: bytes
) -> None:
    refusal = why_refused(binary, {name: value}, body)

    assert refusal is None or refusal.startswith((name.removeprefix("ce-"), "data"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ce-" + "A" * 60_000, b"\xff"),
        ("ce-" + "A" * 60_000, b"%00"),
        ("ce-" + "\x01\xff" * 30_000, b""),
        ("ce-id", b"\x01" * 60_000),
        ("ce-source", b"\x01%20" * 20_000),
        ("ce-time", b"%E2%82%AC" * 10_000),
        ("ce-specversion", b"1" * 60_000),
        ("ce-dataschema", b"\x7f" * 60_000),
        ("content-type", b"\x01\xff" * 30_000),
    ],
)
def test_a_refusal_of_huge_or_strange_headers_is_short_and_printable(
    name: str, value: bytes
) -> None:
    header = (name.encode("latin-1"), value)
    others = [other for other in REQUIRED if other[0] != header[0]]

    assert refused(read_binary, [*others, header], b"")
    assert refused(read_binary, [*others, header, (header[0].upper(), b"")], b"")


@pytest.mark.parametrize(
    "value",
    [
        b"a/b" + b"; " * 500_000 + b"\x01",
        b"a/b" + b";  " * 300_000 + b"\x01",
        b'a/b;x="' + b"\\a" * 500_000,
        b"a/b" + b' ;x="' * 200_001,
        b"a/b" + b" " * 1_000_000 + b"x",
    ],
)
def test_no_content_type_takes_more_than_linear_time(value: bytes) -> None:
    start = perf_counter()

    refused(binary, {"content-type": value})
    assert perf_counter() - start < 5
