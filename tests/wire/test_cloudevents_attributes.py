"""The rules of attributes and their types: spec.md, section "Context Attributes"."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import IPv6Address
from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data.cloudevents import BASE
from tests.wire.support import integers, names, refused, structured
from txevents.wire.cloudevents import is_absolute_uri, is_json, is_timestamp, is_uri_reference

# URI-reference: RFC 3986

RELATIVE = [
    "a",
    "1-555-123-4567",
    "/cloudevents/spec/pull/123",
    "//authority/path",
    "//",
    "///",
    "//h:8080",
    "//u:p@h/",
    "//[::1]/",
    "#",
    "#fragment",
    "?",
    "?query?query",
    "#?/:@",
    ".",
    "..",
    "./a:b",
    "../a",
    "/a:b",
    "a/b:c",
    "?a:b",
    "#a:b",
    "/a//b",
    "a;b=c,d",
    "%C3%A9",
    "%c3%a9",
    "*",
    "/-._~!$&'()*+,;=:@",
    "@",
    "/:",
]
ABSOLUTE = [
    "https://github.com/cloudevents",
    "mailto:cncf-wg-serverless@lists.cncf.io",
    "urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66",
    "ftp://ftp.is.co.za/rfc/rfc1808.txt",
    "ldap://[2001:db8::7]/c=GB?objectClass?one",
    "news:comp.infosystems.www.servers.unix",
    "tel:+1-816-555-1212",
    "telnet://192.0.2.16:80/",
    "a:",
    "a:b",
    "a+b-c.d:e",
    "A1:",
    "http:",
    "http://",
    "http://h:/",
    "http://:80",
    "http://@",
    "http://u:p:q@h:1",
    "http://[::]",
    "http://[1:2:3:4:5:6:7:8]:443/",
    "http://[::ffff:192.0.2.1]/",
    "http://u@[::1]:80/",
    "http://[v1.a:b!$]/",
    "http://[VF.x]",
    "http://%41.example/%7E",
    "http:////x",
    "http:/a//b",
    "file:///etc/hosts",
    "a:?b#c",
    "a://b?c#d",
    "http://h#a?b",
    "1e3:x"[1:],
]
NEITHER = [
    "",
    ":",
    ":a",
    "1:b",
    "+a:b",
    "a_b:c",
    "é:a",
    "%41:a",
    "a b",
    " ",
    " a",
    "a ",
    "a\n",
    "\n",
    "\ta",
    "é",
    "/\u20ac",
    "%",
    "%4",
    "%4g",
    "%GG",
    "/%",
    "##",
    "#a#b",
    "a\\b",
    'a"b',
    "a<b",
    "a>b",
    "a^b",
    "a`b",
    "a{b",
    "a}b",
    "a|b",
    "[",
    "]",
    "/[x]",
    "?[x]",
    "#[x]",
    "http://[",
    "http://[]",
    "http://[]/",
    "http://[::1",
    "http://::1]/",
    "http://::1/",
    "http://[::1]x/",
    "http://x[::1]/",
    "http://[::1]]/",
    "http://[::1]:x",
    "http://[::1%25eth0]/",
    "http://[:::]/",
    "http://[1::2::3]/",
    "http://[1:2:3:4:5:6:7]/",
    "http://[12345::]/",
    "http://[192.0.2.1]/",
    "http://[::256.0.0.1]/",
    "http://[v.a]/",
    "http://[v1]/",
    "http://[v1.]/",
    "http://[vG.a]/",
    "http://h:8x/",
    "http://h:-1/",
    "http://a:b:c/",
    "http://u@h@x/",
    "//u@h@x",
    "//h:x",
    "http://h h/",
    "http://h%/",
    "\x00",
    "a\x7f",
]


@pytest.mark.parametrize("value", RELATIVE)
def test_a_relative_reference_is_a_uri_reference_and_no_uri(value: str) -> None:
    assert is_uri_reference(value)
    assert not is_absolute_uri(value)
    assert structured({**BASE, "source": value}).source == value
    assert "dataschema: must be an absolute URI" in refused(
        structured, {**BASE, "dataschema": value}
    )


@pytest.mark.parametrize("value", ABSOLUTE)
def test_what_has_a_scheme_is_a_uri_and_a_uri_reference(value: str) -> None:
    assert is_uri_reference(value)
    assert is_absolute_uri(value)
    envelope = structured({**BASE, "source": value, "dataschema": value})
    assert envelope.source == envelope.dataschema == value


@pytest.mark.parametrize("value", NEITHER)
def test_anything_else_is_neither(value: str) -> None:
    assert not is_uri_reference(value)
    assert not is_absolute_uri(value)
    assert refused(structured, {**BASE, "source": value}).startswith("source: ")
    assert refused(structured, {**BASE, "dataschema": value}).startswith("dataschema: ")


def test_a_dataschema_may_have_a_fragment() -> None:
    # Section "Type System" names RFC 3986, section 4.3, which has none; schemas of JSON have.
    assert is_absolute_uri("http://json-schema.org/draft-07/schema#")


def test_only_unreserved_reserved_and_percent_signs_are_characters_of_a_path() -> None:
    pchars = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~!$&'()*+,;=:@"
    allowed = [c for c in map(chr, range(0x100)) if is_uri_reference(f"/{c}")]

    assert sorted(allowed) == sorted([*pchars, "/", "?", "#"])


@given(st.ip_addresses(v=6))
def test_any_ipv6_address_may_be_a_host(address: IPv6Address) -> None:
    assert is_uri_reference(f"//[{address}]")
    assert is_uri_reference(f"//[{address.exploded}]:80/")


@pytest.mark.parametrize("length", [255, 256, 257, 100_000])
def test_a_long_uri_is_judged_as_a_short_one(length: int) -> None:
    assert is_uri_reference("/" + "a" * (length - 1))
    assert not is_uri_reference("/" * (length - 1) + " ")
    assert is_json("a/" + "j" * length) is False
    assert is_json("a/" + "j" * length + "+json") is True
    assert is_json("a" * length) is None


@pytest.mark.parametrize(
    "value",
    [
        "a" * 1_000_000 + " ",
        "a:" * 500_000 + " ",
        "//" + "a:" * 500_000,
        "//" + "a@" * 500_000,
        "%41" * 300_000 + "%",
        "a%41" * 300_000 + " ",
        "//[" + "1:" * 500_000 + "]",
        "//[v1." + ":" * 1_000_000,
        "?" * 1_000_000 + " ",
        "#" + "/" * 1_000_000 + "#",
    ],
)
def test_no_uri_takes_more_than_linear_time(value: str) -> None:
    start = perf_counter()

    assert not is_uri_reference(value)
    assert perf_counter() - start < 5


# Timestamp: RFC 3339


@pytest.mark.parametrize(
    "value",
    [
        "1985-04-12T23:20:50.52Z",
        "1996-12-19T16:39:57-08:00",
        "1990-12-31T23:59:60Z",
        "1990-12-31T15:59:60-08:00",
        "1937-01-01T12:00:27.87+00:20",
        "2018-04-05T17:31:00Z",
        "2018-04-05t17:31:00z",
        "2018-04-05T17:31:00.0Z",
        "2018-04-05T17:31:00.123456789Z",
        "2018-04-05T17:31:00.12345678901234567890123456789+01:00",
        "2018-04-05T00:00:00-00:00",
        "2018-04-05T23:59:59+23:59",
        "2018-04-05T23:59:59-23:59",
        "2000-02-29T00:00:00Z",
        "2024-02-29T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "0000-02-29T00:00:00Z",
        "0004-02-29T00:00:00Z",
        "9999-12-31T23:59:59.999999999Z",
        "2016-12-31T23:59:60.999Z",
        "2012-07-01T05:29:60+05:30",
        "2015-06-30T23:59:60+00:00",
    ],
)
def test_a_timestamp(value: str) -> None:
    assert is_timestamp(value)
    assert structured({**BASE, "time": value}).time == value


@pytest.mark.parametrize(
    "value",
    [
        "",
        "lunchtime",
        "2018-04-05",
        "17:31:00Z",
        "2018-04-05T17:31Z",
        "2018-04-05T17:31:00",
        "2018-04-05 17:31:00Z",
        "2018-04-05_17:31:00Z",
        "2018-04-05T17:31:00 Z",
        "2018-04-05T17:31:00.Z",
        "2018-04-05T17:31:00,5Z",
        "2018-04-05T17:31:00+0100",
        "2018-04-05T17:31:00+01",
        "2018-04-05T17:31:00+24:00",
        "2018-04-05T17:31:00+01:60",
        "2018-04-05T17:31:00+1:00",
        "2018-04-05T17:31:00\u221201:00",
        "2018-04-05T17:31:00ZZ",
        "2018-04-05T17:31:00Z\n",
        " 2018-04-05T17:31:00Z",
        "2018-04-05T24:00:00Z",
        "2018-04-05T17:60:00Z",
        "2018-04-05T17:31:61Z",
        "2018-00-05T17:31:00Z",
        "2018-13-05T17:31:00Z",
        "2018-04-00T17:31:00Z",
        "2018-04-31T17:31:00Z",
        "2018-01-32T17:31:00Z",
        "2018-02-29T00:00:00Z",
        "1900-02-29T00:00:00Z",
        "2100-02-29T00:00:00Z",
        "2024-02-30T00:00:00Z",
        "18-04-05T17:31:00Z",
        "12018-04-05T17:31:00Z",
        "+2018-04-05T17:31:00Z",
        "2018-4-5T17:31:00Z",
        "20180405T173100Z",
        "2018-W14-4T17:31:00Z",
        "2018-095T17:31:00Z",
        "\uff12018-04-05T17:31:00Z",
        "2018-04-05T17:31:0\u0660Z",
        # Leap seconds end a month in UTC: section 5.7.
        "2016-12-30T23:59:60Z",
        "2016-12-31T23:58:60Z",
        "2016-12-31T22:59:60Z",
        "2016-12-31T23:59:60+01:00",
        "2017-02-29T23:59:60Z",
        "9999-12-31T23:59:60Z",
        "0000-12-31T23:59:60Z",
    ],
)
def test_no_timestamp(value: str) -> None:
    assert not is_timestamp(value)
    assert refused(structured, {**BASE, "time": value}).startswith("time: must be a timestamp")


@given(
    st.datetimes(),
    st.integers(-1439, 1439).map(lambda minutes: timedelta(minutes=minutes)),
    st.sampled_from(["auto", "seconds", "milliseconds", "microseconds"]),
)
def test_any_time_of_any_zone_is_a_timestamp(
    time: datetime, offset: timedelta, timespec: str
) -> None:
    hours, minutes = divmod(abs(offset).seconds // 60, 60)
    zone = f"{'-' if offset.days < 0 else '+'}{hours:02}:{minutes:02}"

    assert is_timestamp(f"{time.isoformat(timespec=timespec)}{zone}")


@given(st.integers(0, 9999), st.integers(1, 12), st.integers(1, 31))
def test_the_days_are_those_of_the_calendar(year: int, month: int, day: int) -> None:
    try:
        # The calendar repeats itself after 400 years; `datetime` begins with the year 1.
        datetime(year + 400 if year < 400 else year, month, day, tzinfo=UTC)
        exists = True
    except ValueError:
        exists = False

    assert is_timestamp(f"{year:04}-{month:02}-{day:02}T00:00:00Z") == exists


# Media types: RFC 2046, whose grammar is that of RFC 2045


@pytest.mark.parametrize(
    "value",
    [
        "application/json",
        "APPLICATION/JSON",
        "text/json",
        "application/cloudevents+json",
        "application/vnd.a.b-c+Json",
        "a/+json",
        "application/json;charset=utf-8",
        "application/json ; charset=UTF-8 ;q=1",
        "application/json;",
        "application/json; ;",
        "application/json\t;\ta=b",
    ],
)
def test_media_types_of_json(value: str) -> None:
    assert is_json(value) is True


@pytest.mark.parametrize(
    "value",
    [
        "text/plain",
        "json/plain",
        "application/jsonx",
        "application/xjson",
        "application/json+xml",
        "application/json-seq",
        "application/x-ndjson",
        "*/*",
        'text/plain; a="+json"',
        'text/plain; a=""',
        'text/plain; a=" ;\\"\\\\,()<>@[]"',
        "text/plain; a=!#$%&'*+-.^_`|~",
    ],
)
def test_media_types_of_something_else(value: str) -> None:
    assert is_json(value) is False
    assert structured({**BASE, "datacontenttype": value}).datacontenttype == value


@pytest.mark.parametrize(
    "value",
    [
        "",
        "json",
        "/json",
        "application/",
        "application/json/x",
        " application/json",
        "application /json",
        "application/ json",
        "application/json, text/plain",
        "application/json charset=utf-8",
        "application/json; charset",
        "application/json; charset=",
        "application/json; =utf-8",
        "application/json; charset = utf-8",
        "application/json; charset=utf 8",
        "text/plain; a=application/json",
        'application/json; a="',
        'application/json; a="\\"',
        'application/json; a="b"c',
        'application/json; a="\n"',
        'application/json; a="\x00"',
        'application/json; a="\\\x00"',
        'application/json; a="\x7f"',
        'application/json; a="é"',
        "application/jsön",
        "application/json\n",
        "application/json (comment)",
    ],
)
def test_no_media_type(value: str) -> None:
    assert is_json(value) is None
    assert "must be a media type" in refused(structured, {**BASE, "datacontenttype": value})


# String

NON_CHARACTERS = [
    *range(0xFDD0, 0xFDF0),
    *[plane + low for plane in range(0, 0x110000, 0x10000) for low in (0xFFFE, 0xFFFF)],
]
CONTROLS = [*range(0x20), *range(0x7F, 0xA0)]
SURROGATES = range(0xD800, 0xE000)


@pytest.mark.parametrize("name", ["id", "type", "subject", "ext"])
def test_strings_have_no_control_characters_and_no_non_characters(name: str) -> None:
    assert len(NON_CHARACTERS) == 66
    for code in [*CONTROLS, *NON_CHARACTERS]:
        detail = refused(structured, {**BASE, name: f"a{chr(code)}b"})
        assert detail == f"{name}: must not contain the character U+{code:04X}"


def test_strings_have_all_other_characters() -> None:
    forbidden = {*CONTROLS, *NON_CHARACTERS, *SURROGATES}
    text = "".join(chr(code) for code in range(0x110000) if code not in forbidden)

    for name in ("id", "type", "subject"):
        assert getattr(structured({**BASE, name: text}), name) == text
    assert structured({**BASE, "ext": text}).extensions["ext"] == text


@pytest.mark.parametrize("text", [" ", "  a  ", "a b", "\u00a0", "null", "0"])
def test_a_string_of_blanks_is_not_empty(text: str) -> None:
    envelope = structured({**BASE, "id": text, "subject": text})

    assert envelope.id == envelope.subject == text


# Names


@pytest.mark.parametrize("name", ["a", "0", "z9", "abcdefghijklmnopqrst", "a" * 21, "a" * 1000])
def test_names_are_of_lower_case_letters_and_digits(name: str) -> None:
    # More than 20 characters are not recommended, and not forbidden.
    assert structured({**BASE, name: "x"}).extensions == {name: "x"}


@pytest.mark.parametrize(
    "name",
    [
        "",
        "A",
        "aB",
        "ID",
        "specVersion",
        "a-b",
        "a_b",
        "a.b",
        "a b",
        " a",
        "a\n",
        "\n",
        "é",
        "\u0661",
        "\uff41",
        "a\x00",
        "data_",
        "Data",
        "a:b",
        '"',
        "\\",
    ],
)
@pytest.mark.parametrize("value", ["x", 1, None])
def test_other_names_are_refused_even_when_unset(name: str, value: object) -> None:
    detail = refused(structured, {**BASE, name: value})

    assert detail.endswith(": attribute names have lower-case letters a to z and digits only")


# Integer


@given(names, integers)
def test_integers_have_32_bits(name: str, value: int) -> None:
    assert structured({**BASE, name: value}).extensions == {name: value}


@given(names, st.integers(2**31) | st.integers(max_value=-(2**31) - 1))
def test_integers_have_no_more_than_32_bits(name: str, value: int) -> None:
    assert "must be within 32 bits, signed" in refused(structured, {**BASE, name: value})
