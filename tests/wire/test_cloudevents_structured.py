"""Structured mode: json-format.md, and http-protocol-binding.md, section 3.2."""

from __future__ import annotations

import json
import re
from time import perf_counter
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.data.cloudevents import BASE, Event
from tests.wire.support import (
    CORE,
    attributes,
    check_refusal,
    extensions,
    json_values,
    names,
    received,
    refused,
    strings,
    structured,
    why_refused,
    with_members,
)
from txevents import Envelope
from txevents.wire.cloudevents import read_structured
from txevents.wire.problems import Refusal

MINIMAL = json.dumps(BASE).encode()

# The text


@pytest.mark.parametrize(
    "text",
    [
        MINIMAL,
        b" \t\r\n" + MINIMAL + b" \t\r\n",
        json.dumps(BASE, indent=2).encode(),
        json.dumps(BASE, separators=(",", ":")).encode(),
        MINIMAL.replace(b'"id"', rb'"\u0069d"'),
        MINIMAL.replace(b'"base"', rb'"b\u0061se"'),
        MINIMAL.replace(b"https://", rb"https:\/\/"),
    ],
)
def test_the_way_in_which_json_is_written_makes_no_difference(text: bytes) -> None:
    assert read_structured(text) == received(BASE)


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        (b"", "the body is not valid JSON: Input data was truncated"),
        (b"null", "the body must be a JSON object"),
        (b"[]", "the body must be a JSON object"),
        (b'"{}"', "the body must be a JSON object"),
        (b"1", "the body must be a JSON object"),
        (b"{}", "specversion: required, and missing"),
        (MINIMAL[:-1], "the body is not valid JSON: Input data was truncated"),
        (MINIMAL + b"x", "the body is not valid JSON: trailing characters (byte "),
        (MINIMAL + MINIMAL, "the body is not valid JSON: trailing characters (byte "),
        (MINIMAL + b"\0", "the body is not valid JSON: trailing characters (byte "),
        # RFC 8259, section 8.1: senders must not add a byte order mark, and use UTF-8.
        (b"\xef\xbb\xbf" + MINIMAL, "the body is not valid JSON: invalid character (byte 0)"),
        (MINIMAL.decode().encode("utf-16"), "the body is not valid JSON: invalid character"),
        (MINIMAL.decode().encode("utf-16-be"), "the body is not valid JSON: invalid character"),
        (MINIMAL.replace(b"base", b"\xff"), "the body is not valid JSON: invalid UTF-8"),
        (MINIMAL.replace(b"base", b"a\nb"), "the body is not valid JSON: invalid character"),
        (MINIMAL[:-1] + b",}", "the body is not valid JSON: trailing comma in object"),
        (MINIMAL.replace(b'"', b"'"), "the body is not valid JSON: object keys must be strings"),
    ],
)
def test_a_text_that_is_no_json_object_is_refused(text: bytes, detail: str) -> None:
    assert refused(read_structured, text).startswith(detail)


def test_the_refusal_calls_the_text_what_the_source_calls_it() -> None:
    assert refused(read_structured, b"[]", "the line") == "the line must be a JSON object"
    assert refused(read_structured, b"{", "the line").startswith("the line is not valid JSON")


@pytest.mark.parametrize(
    "member",
    [
        rb'"subject":"\ud800"',
        rb'"subject":"\ud800\u0041"',
        rb'"subject":"\udc00\ud800"',
        rb'"ext":"\udfff"',
        rb'"\ud800":"x"',
        rb'"data":"\ud800"',
        b'"subject":"\xed\xa0\x80"',
        b'"ext":"\xed\xa0\x80"',
        b'"data":"\xed\xa0\x80"',
        b'"data":{"a\xff":1}',
        b'"ext\xff":1',
    ],
)
def test_surrogates_without_a_partner_and_broken_utf8_are_refused(member: bytes) -> None:
    # spec.md, section "Type System": String
    assert "is not valid JSON" in refused(read_structured, with_members(member))


def test_a_pair_of_surrogates_is_one_character() -> None:
    sent = rb'"subject":"\ud800\udead","data":"\ud83d\ude00","ext":"\ud83d\ude00"'
    envelope = read_structured(with_members(sent))

    assert envelope.subject == "\U000102ad"
    assert envelope.data == envelope.extensions["ext"] == "😀"


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity", b"01", b"+1", b".5", b"0x1"])
@pytest.mark.parametrize("name", [b"data", b"ext"])
def test_numbers_that_json_does_not_have_are_refused(name: bytes, number: bytes) -> None:
    detail = refused(read_structured, with_members(b'"%b":%b' % (name, number)))

    assert "not valid JSON" in detail


def test_numbers_too_large_to_read_are_refused() -> None:
    digits = b"9" * 5000

    assert "out of range" in refused(read_structured, with_members(b'"data":%b' % digits))
    assert "out of range" in refused(read_structured, with_members(b'"ext":%b' % digits))
    assert "out of range" in refused(read_structured, with_members(b'"data":1e999'))
    detail = refused(read_structured, with_members(b'"subject":%b' % digits))
    assert detail == "subject: expected a string, got a number out of range"


def test_large_integers_in_data_are_exact() -> None:
    digits = "9" * 4000

    assert read_structured(with_members(b'"data":%b' % digits.encode())).data == int(digits)


@pytest.mark.parametrize(
    ("member", "else_refused"),
    [
        (b'"data":', None),
        (b'"ext":1,"data":', None),
        (b'"ext":', "ext: must be a string, an integer or a boolean"),
        (b'"subject":', "subject: expected a string, got array"),
    ],
)
@pytest.mark.parametrize("depth", [*range(900, 1000, 3), 300_000])
def test_deep_nesting_is_read_or_refused(
    member: bytes, else_refused: str | None, depth: int
) -> None:
    # The limit depends on how deep we are in calls ourselves: both of the readers have one.
    refusal = why_refused(read_structured, with_members(member + b"[" * depth + b"]" * depth))

    if refusal != else_refused or depth == 300_000:
        too_deep = {f"{what} is not valid JSON: nested too deeply" for what in ("the body", "data")}
        assert refusal in {else_refused, *too_deep} - {None}


# Attributes


def test_null_is_an_attribute_that_is_not_there() -> None:
    # json-format.md, section 2.2
    optional = ["subject", "time", "datacontenttype", "dataschema", "anyextension"]

    assert structured({**BASE, **dict.fromkeys(optional)}) == structured(BASE)


@pytest.mark.parametrize("name", sorted(BASE))
@pytest.mark.parametrize("value", [None, ""])
def test_a_required_attribute_may_be_neither_null_nor_empty(name: str, value: str | None) -> None:
    # spec.md, section "REQUIRED Attributes"
    problem = "missing" if value is None else "empty"

    assert refused(structured, {**BASE, name: value}) == f"{name}: required, and {problem}"


@pytest.mark.parametrize("name", sorted(CORE - {"data"}))
@pytest.mark.parametrize(
    ("value", "kind"), [(1, "int"), (1.5, "float"), (True, "bool"), ([], "array"), ({}, "object")]
)
def test_attributes_of_the_specification_are_strings(name: str, value: object, kind: str) -> None:
    detail = refused(structured, {**BASE, name: value})

    assert detail == f"{name}: expected a string, got {kind}"


@pytest.mark.parametrize("version", ["0.3", "1", "1.00", "1.1", "v1.0", " 1.0", "1.0 ", "\uff11.0"])
def test_any_version_but_1_0_is_refused(version: str) -> None:
    # spec.md, section "specversion"
    detail = refused(structured, {**BASE, "specversion": version})

    assert detail.startswith('specversion: must be "1.0", not ')


@pytest.mark.parametrize(
    "member",
    [
        b'"id":"base"',
        b'"id":null',
        b'"type":"a:b"',
        rb'"\u0069d":"base"',
        b'"data":1,"data":1',
        b'"data":null,"data":null',
        b'"data_base64":"YQ==","data_base64":"YQ=="',
        b'"subject":"a:b","subject":"a"',
        b'"subject":"a","subject":"a:b:c:d"',
        b'"subject":null,"subject":null',
        b'"subject":null,"subject":"a"',
        b'"ext":1,"ext":1',
        b'"ext":null,"ext":1',
        rb'"ext":1,"\u0065xt":1',
    ],
)
def test_a_member_that_stands_there_twice_is_refused(member: bytes) -> None:
    # spec.md, section "Context Attributes": at most once
    detail = refused(read_structured, with_members(member))

    assert detail.endswith("more than once")


def test_members_of_data_may_stand_there_twice() -> None:
    # They are no attributes: RFC 8259, section 4 leaves it open, and `raw` has both.
    envelope = read_structured(with_members(b'"ext":1,"data":{"a":1,"a":2}'))

    assert envelope.data == {"a": 2}
    assert envelope.raw == b'{"a":1,"a":2}'


@pytest.mark.parametrize(
    "member",
    [
        rb'"subject":"\u003a","ext":1',
        rb'"subject":"\u003a\u003a","ext":1,"other":2',
        rb'"ext":1,"subject":"\u003a","data":"\n"',
        rb'"ext":1,"subject":"\u003a","data":"\u003a:"',
    ],
)
def test_an_escaped_colon_in_a_value_hides_no_extension(member: bytes) -> None:
    # Nor a member twice: such a text is looked at member by member.
    text = with_members(member)

    assert read_structured(text).extensions["ext"] == 1
    assert refused(read_structured, text[:-1] + b',"ext":1}').endswith("more than once")


def test_an_ordinary_event_is_read_once_only(monkeypatch: pytest.MonkeyPatch) -> None:
    # Looking for extensions member by member takes ten times as long.
    monkeypatch.setattr("txevents.wire.json.members", lambda *args: pytest.fail("read again"))
    event = {
        **BASE,
        "subject": "orders:17",
        "time": "2018-04-05T17:31:00Z",
        "dataschema": "https://h:1/a:b",
    }

    structured(event)
    structured({**event, "data": {"a:b": "c:d", "time": "17:31:00", "escapes": '\n":\\'}})
    structured({**event, "data_base64": "YTpi"})


def test_many_members_take_no_more_than_linear_time() -> None:
    names = [f'"a{i}":1' for i in range(50_000)]
    text = with_members(",".join([*names, names[-1]]).encode())
    start = perf_counter()

    assert "'a49999' more than once" in refused(read_structured, text)
    assert perf_counter() - start < 5


def test_extensions_keep_their_json_types() -> None:
    sent = {"s": "5", "i": 5, "negative": -5, "yes": True, "no": False, "zero": 0, "empty": ""}
    got = structured({**BASE, **sent}).extensions

    assert got == sent
    assert [type(value) for value in got.values()] == [type(value) for value in sent.values()]


def test_minus_zero_is_the_integer_zero() -> None:
    assert repr(read_structured(with_members(b'"ext":-0')).extensions["ext"]) == "0"


@pytest.mark.parametrize("value", [b"1.0", b"1e2", b"1E0", b"-0.0", b"[1]", b'{"a":1}', b"[]"])
def test_extensions_have_no_fractions_exponents_arrays_or_objects(value: bytes) -> None:
    # json-format.md, section 2.2
    detail = refused(read_structured, with_members(b'"ext":' + value))

    assert detail == "ext: must be a string, an integer or a boolean"


@pytest.mark.parametrize("value", [2**31, -(2**31) - 1, 2**63, 2**64, 10**30])
def test_integers_beyond_32_bits_are_refused(value: int) -> None:
    # spec.md, section "Type System": Integer
    assert refused(structured, {**BASE, "ext": value}) == "ext: must be within 32 bits, signed"


# Data: json-format.md, section 3.1.2


def test_absent_data_and_null_data_differ() -> None:
    absent = structured(BASE)
    null = structured({**BASE, "data": None})

    assert (absent.data, absent.raw, absent.has_data) == (None, None, False)
    assert (null.data, null.raw, null.has_data) == (None, b"null", True)
    assert absent != null


@pytest.mark.parametrize("content_type", [None, "application/json", "text/json", "a/b+json;x=y"])
@pytest.mark.parametrize("text", ['"{}"', '"1"', '"null"', '"\\"a\\""', '""'])
def test_a_json_string_is_not_parsed_again(content_type: str | None, text: str) -> None:
    event = {**BASE, "datacontenttype": content_type, "data": json.loads(text)}
    envelope = structured(event)

    assert envelope.data == event["data"]
    assert envelope.raw == text.encode()


@pytest.mark.parametrize(
    "value",
    [b"null", b"false", b"0", b"-1.50", b'""', b"[]", b"{}", b'{ "a" : [ 1.0, "\\u0041" ] }'],
)
@pytest.mark.parametrize(
    "template", [b'"data": %b ', b'"ext":"x","data"\t:\n%b', b'"data":%b,"ext":1']
)
def test_raw_is_the_text_of_data_as_it_was_sent(template: bytes, value: bytes) -> None:
    envelope = read_structured(with_members(template % value))

    assert envelope.raw == value
    assert envelope.data == json.loads(value)


def test_text_of_another_media_type_is_a_string() -> None:
    event = {**BASE, "datacontenttype": "text/plain", "data": '{"a": 1}'}

    assert structured(event).data == '{"a": 1}'


@pytest.mark.parametrize("data", [{"a": 1}, [1], 5, True, None])
def test_a_json_value_under_another_media_type_is_taken_as_it_is(data: object) -> None:
    # json-format.md, section 3.1.2: we may fail, and do not.
    event = {**BASE, "datacontenttype": "application/xml", "data": data}

    assert structured(event) == received(event)


def test_base64_becomes_bytes_when_nothing_says_that_they_are_json() -> None:
    # Without a datacontenttype bytes are not taken for JSON, as a member `data` is.
    for content_type in (None, "application/octet-stream", "text/plain"):
        event = {**BASE, "datacontenttype": content_type, "data_base64": "eyJhIjoxfQ=="}
        envelope = structured(event)

        assert envelope.data == b'{"a":1}'
        assert envelope.raw is None
        assert envelope.has_data


def test_base64_of_json_is_read_as_json() -> None:
    event = {**BASE, "datacontenttype": "application/x+json", "data_base64": "eyJhIjoxfQ=="}
    envelope = structured(event)

    assert envelope.data == {"a": 1}
    assert envelope.raw == b'{"a":1}'


@pytest.mark.parametrize("content", ["", "Ww==", "/w==", "77u/MQ=="])
def test_base64_that_claims_to_be_json_and_is_not_is_refused(content: str) -> None:
    event = {**BASE, "datacontenttype": "application/json", "data_base64": content}

    assert refused(structured, event).startswith("data is not valid JSON")


def test_empty_base64_is_data_without_a_byte() -> None:
    envelope = structured({**BASE, "data_base64": ""})

    assert envelope.data == b""
    assert envelope.has_data


@pytest.mark.parametrize(
    "content",
    [
        "Y",
        "YQ",
        "YQ=",
        "YQ===",
        "YQ==YQ==",
        "Y Q=",
        "YQ==\n",
        "_-8=",
        "YQ==\u00e9",
        "=",
        "Y=Q=",
        ":",
    ],
)
def test_anything_but_the_base64_alphabet_with_its_padding_is_refused(content: str) -> None:
    detail = refused(structured, {**BASE, "data_base64": content})

    assert detail == "data_base64: not base64 (RFC 4648, section 4)"


@pytest.mark.parametrize("data", ["text", None, {}, ""])
@pytest.mark.parametrize("content", ["YQ==", ""])
def test_data_and_data_base64_exclude_each_other(data: object, content: str) -> None:
    detail = refused(structured, {**BASE, "data": data, "data_base64": content})

    assert detail == "data and data_base64 exclude each other"


def test_null_is_a_data_base64_that_is_not_there() -> None:
    assert structured({**BASE, "data": 1, "data_base64": None}).data == 1
    assert not structured({**BASE, "data_base64": None}).has_data


# Properties

encoders = st.sampled_from(
    [
        lambda event: json.dumps(event).encode(),
        lambda event: json.dumps(event, ensure_ascii=False).encode(),
        lambda event: json.dumps(event, separators=(",", ":")).encode(),
        lambda event: json.dumps(event, indent="\t", separators=(" , ", " : ")).encode(),
        lambda event: json.dumps(event, sort_keys=True, ensure_ascii=False).encode(),
        msgspec.json.encode,
    ]
)
contents = st.one_of(
    st.just({}),
    st.fixed_dictionaries({"data": json_values}),
    st.sampled_from(["", "AP8=", "YTpi"]).map(lambda text: {"data_base64": text}),
)


@given(attributes, extensions, contents, encoders)
def test_what_was_sent_is_what_is_read(
    attributes: Event, extensions: Event, content: Event, encode: Any
) -> None:
    if "data_base64" in content and "json" in attributes.get("datacontenttype", "").lower():
        content = {}
    event = {**attributes, **extensions, **content}

    envelope = read_structured(encode(event))

    assert envelope == received(event)
    assert {k: type(v) for k, v in envelope.extensions.items()} == {
        k: type(v) for k, v in extensions.items()
    }
    if "data" in content:
        assert msgspec.json.decode(envelope.raw or b"") == content["data"]


def by_the_book(pairs: list[tuple[str, Any]]) -> Envelope | None:
    """Read members one by one, as plainly as can be; `None` for what is to be refused."""
    event = dict(pairs)
    names_fit = all(re.fullmatch("[a-z0-9]+", name) for name in event if name != "data_base64")
    types_fit = all(
        isinstance(value, str | None if name in CORE else str | int | None)
        for name, value in event.items()
        if name != "data"
    )
    present = {name for name in event if name == "data" or event[name] is not None}
    empty = {name for name in ("subject", "type") if event.get(name) == ""}
    required = present >= BASE.keys() and not present >= {"data", "data_base64"}
    if len(event) != len(pairs) or not names_fit or not types_fit or empty or not required:
        return None
    try:
        return received(event)
    except ValueError:  # the base64
        return None


odd_names = st.sampled_from(
    [
        "subject",
        "data",
        "type",
        "ext",
        "data_base64",
        "a:b",
        ":",
        'a"',
        "a\\",
        "\\u0069d",
        "Ext",
        "",
    ]
)
odd_values = st.one_of(
    st.none(),
    st.sampled_from(["a:b", '":', "\\", '\\":', "YQ==", ',"subject":"x"', ',"ext":1', "é\u20ac:"]),
    st.integers(-3, 3),
    st.just({"id": "x", "a:b": {"data": ":\\"}}),
)


@given(
    st.lists(st.tuples(odd_names | names, odd_values | strings), max_size=5),
    st.booleans(),
    st.booleans(),
)
@example([("subject", "a:b"), ("subject", "a")], False, False)
@example([("subject", None), ("a:b", None)], False, False)
@example([("data", {":": "\\"}), ("subject", None)], True, False)
@example([("data", ":"), ("data", "::")], True, False)
def test_counting_colons_finds_each_extension_and_each_member_twice(
    pairs: list[tuple[str, Any]], ascii_only: bool, compact: bool
) -> None:
    # The members that follow the required ones are the only ones that may be wrong here.
    colon = ":" if compact else " : "
    members = [
        f"{json.dumps(name, ensure_ascii=ascii_only)}{colon}"
        f"{json.dumps(value, ensure_ascii=ascii_only)}"
        for name, value in [*BASE.items(), *pairs]
    ]
    text = f"{{{','.join(members)}}}".encode()
    expected = by_the_book([*BASE.items(), *pairs])
    refusal = why_refused(read_structured, text)

    if refusal is None:
        assert read_structured(text) == expected
    else:
        # What is refused is refused for a reason, of this section or of another.
        assert expected is None or "must not contain the character" in refusal


@given(st.binary())
def test_arbitrary_bytes_raise_nothing_but_refusals(text: bytes) -> None:
    with pytest.raises(Refusal) as caught:
        read_structured(text)
    check_refusal(caught.value)


@given(st.binary(max_size=12), st.integers(0, len(MINIMAL)), st.integers(0, 12))
def test_damaged_events_raise_nothing_but_refusals(junk: bytes, place: int, length: int) -> None:
    text = MINIMAL[:place] + junk + MINIMAL[place + length :]
    if why_refused(read_structured, text) is None:
        assert read_structured(text).source


@given(st.dictionaries(strings | st.sampled_from(sorted(CORE)), json_values))
def test_arbitrary_objects_raise_nothing_but_refusals(members: Event) -> None:
    why_refused(structured, {**BASE, **members})


@pytest.mark.parametrize(
    "member",
    [
        b'"%b":1' % (b"A" * 100_000),
        b'"%b":1.5' % (b"a" * 100_000),
        b'"%b":3000000000' % (b"a" * 100_000),
        b'"%b":"\\n"' % (b"a" * 100_000),
        b'"%b":1,"%b":1' % (b"a" * 100_000, b"a" * 100_000),
        b'"subject":"","subject":"%b"' % (b"\\u0000" * 100_000),
        b'"time":"%b"' % (b"\\u0000\\uffff" * 100_000),
        b'"dataschema":"%b"' % ("é".encode() * 100_000),
        b'"datacontenttype":"%b"' % (b"\\ud83d\\ude00" * 100_000),
        b'"data_base64":"%b"' % (b"?" * 100_000),
        b'"data":%b' % (b"x" * 100_000),
        b'"\\u0000\\u001b[31m":1',
        b'"\\u0085\\u2028\\u202e":1',
        b'"ext":"\\u001b[31m"',
    ],
)
def test_a_refusal_of_huge_or_strange_members_is_short_and_printable(member: bytes) -> None:
    assert refused(read_structured, with_members(member))
