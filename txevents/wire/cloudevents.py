"""CloudEvents 1.0.2 from HTTP messages and JSON texts to `Envelope`. No I/O.

Each function raises `Refusal` with the attribute and the rule that it breaks. References are to
the CloudEvents specification: core (spec.md), JSON format (json-format.md), HTTP binding
(http-protocol-binding.md), version 1.0.2.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from calendar import monthrange
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from ipaddress import AddressValueError, IPv6Address
from typing import Any
from urllib.parse import unquote_to_bytes

import msgspec

from txevents.events import NO_EXTENSIONS, Envelope
from txevents.wire import json
from txevents.wire.problems import Refusal, quote, shorten

STRUCTURED = b"application/cloudevents"
BATCH = b"application/cloudevents-batch"
JSON_EVENT = b"application/cloudevents+json"

REQUIRED = ("specversion", "id", "source", "type")

_MAX_INTEGER = 2**31 - 1
_MIN_INTEGER = -(2**31)

_NAME = re.compile(r"[a-z0-9]+").fullmatch
# Control characters, surrogates and non-characters: core, section "Type System", String.
_FORBIDDEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef"
    + "".join(
        f"{chr(plane + 0xFFFE)}{chr(plane + 0xFFFF)}" for plane in range(0, 0x110000, 0x10000)
    )
    + "]"
).search

# RFC 3986, appendix A: unreserved and sub-delims, the characters of a reg-name. Where nothing can
# be matched in two ways, possessive quantifiers (++, *+) keep failures cheap.
_REG = r"A-Za-z0-9\-._~!$&'()*+,;="
_PERCENT = "%[0-9A-Fa-f]{2}"
_URI = re.compile(
    rf"(?P<scheme>[A-Za-z][A-Za-z0-9+.\-]*:)?"
    rf"(?://(?:(?:[{_REG}:]++|{_PERCENT})*+@)?"
    rf"(?:\[(?:(?P<ipv6>[0-9A-Fa-f:.]+)|[Vv][0-9A-Fa-f]+\.[{_REG}:]+)\]"
    rf"|(?:[{_REG}]++|{_PERCENT})*+)(?::[0-9]*)?(?=[/?#]|\Z)|(?!//))"
    rf"(?P<path>(?:[{_REG}:@/]++|{_PERCENT})*+)"
    rf"(?:\?(?:[{_REG}:@/?]++|{_PERCENT})*+)?(?:#(?:[{_REG}:@/?]++|{_PERCENT})*+)?"
).fullmatch
_TIME = re.compile(
    r"\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])"
    r"[Tt](?:[01]\d|2[0-3]):[0-5]\d:(?:[0-5]\d|60)(?:\.\d+)?"
    r"(?:[Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)",
    re.ASCII,
).fullmatch
_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_MEDIA_TYPE = re.compile(
    rf"{_TOKEN}/(?P<subtype>{_TOKEN})"
    rf'(?:[ \t]*+;[ \t]*+(?:{_TOKEN}=(?:{_TOKEN}|"(?:[ !#-\[\]-~]|\\[ -~])*"))?)*[ \t]*'
).fullmatch
_QUOTED = re.compile(rb'"((?:[^"\\]|\\.)*)"').fullmatch

# What is worth remembering is short, and a sender cannot fill the memory with it.
_CACHED_LENGTH = 256


def is_uri_reference(value: str) -> bool:
    """Tell whether `value` is a non-empty URI-reference (RFC 3986, section 4.1)."""
    if len(value) <= _CACHED_LENGTH:
        return _is_short_uri_reference(value)
    return _is_uri_reference(value)


def _is_uri_reference(value: str) -> bool:
    match = _match_uri(value) if value else None
    if match is None:
        return False
    # A relative reference may not look like one with a scheme (section 4.2).
    return match["scheme"] is not None or ":" not in match["path"].partition("/")[0]


_is_short_uri_reference = lru_cache(maxsize=1024)(_is_uri_reference)


def is_absolute_uri(value: str) -> bool:
    """Tell whether `value` is a URI with a scheme (RFC 3986, section 3)."""
    match = _match_uri(value)
    return match is not None and match["scheme"] is not None


def _match_uri(value: str) -> re.Match[str] | None:
    match = _URI(value)
    if match is not None and match["ipv6"] is not None:
        try:
            IPv6Address(match["ipv6"])
        except AddressValueError:
            return None
    return match


def is_timestamp(value: str) -> bool:
    """Tell whether `value` is a timestamp of RFC 3339, section 5.6."""
    if _TIME(value) is None:
        return False
    if value[17] == "6":
        return _is_leap_second(value)
    day = value[8:10]
    return day <= "28" or int(day) <= monthrange(int(value[:4]), int(value[5:7]))[1]


def _is_leap_second(value: str) -> bool:
    """Tell whether the second 60 ends a month in UTC, as it must (RFC 3339, section 5.7)."""
    try:
        before = datetime.fromisoformat(f"{value[:17]}59{value[19:].upper()}")
        after = before.astimezone(UTC) + timedelta(seconds=1)
    except (ValueError, OverflowError):
        return False
    return after.day == 1 and after.hour == 0 and after.minute == 0


def is_json(media_type: str) -> bool | None:
    """Tell whether a media type is `*/json` or `*/*+json`; `None` if it is malformed."""
    if len(media_type) <= _CACHED_LENGTH:
        return _is_short_json(media_type)
    return _is_json(media_type)


def _is_json(media_type: str) -> bool | None:
    match = _MEDIA_TYPE(media_type)
    if match is None:
        return None
    subtype = match["subtype"].lower()
    return subtype == "json" or subtype.endswith("+json")


_is_short_json = lru_cache(maxsize=256)(_is_json)


class _Event(msgspec.Struct, omit_defaults=True):
    """The members of a CloudEvent in JSON; those unknown are extensions."""

    specversion: str | None = None
    id: str | None = None
    source: str | None = None
    type: str | None = None
    subject: str | None = None
    time: str | None = None
    datacontenttype: str | None = None
    dataschema: str | None = None
    data: msgspec.Raw = msgspec.Raw()
    data_base64: str | None = None


_decode_event = msgspec.json.Decoder(_Event).decode
_encode_event = msgspec.json.Encoder().encode
_KNOWN = frozenset(_Event.__struct_fields__)


def read_structured(text: bytes, what: str = "the body") -> Envelope:
    """Return the event of a JSON text in the JSON event format (json-format.md, section 3).

    Raises `Refusal` (400), which calls the text `what` where it is no JSON.
    """
    try:
        event = _decode_event(text)
    except msgspec.ValidationError as exc:
        raise _wrong_type(exc, what) from None
    except json.MALFORMED as exc:
        raise json.malformed(exc, what) from None
    data = bytes(event.data)
    # What `event` is encoded to is the shortest text with these members: if the sender's is as
    # long, it has nothing else. That takes 0.15 us, counting 0.9, and to look at each member 10.
    if len(_encode_event(event)) == len(text) or _is_complete(event, text, data):
        extensions = NO_EXTENSIONS
    else:
        extensions = _extensions(text, what)
    if event.data_base64 is None:
        return _envelope(event, extensions, None, data or None)
    if data:
        raise Refusal(400, "data and data_base64 exclude each other")
    return _envelope(event, extensions, _from_base64(event.data_base64), None)


def _is_complete(event: _Event, text: bytes, data: bytes) -> bool:
    """Tell whether the object `text` has the members of `event`, each once, and no others.

    A colon that stands neither in `data` nor in an attribute's value separates a name from a value.
    Escapes make that uncertain.
    """
    if b"\\" in text and text.count(b"\\") != data.count(b"\\"):
        return False
    attributes = (
        event.specversion,
        event.id,
        event.source,
        event.type,
        event.subject,
        event.time,
        event.datacontenttype,
        event.dataschema,
    )
    members = 8 - attributes.count(None) + (data != b"") + (event.data_base64 is not None)
    colons = "%s%s%s%s%s%s%s%s" % attributes  # noqa: UP031 - twice as fast as a join
    return text.count(b":") - data.count(b":") - colons.count(":") == members


def _extensions(text: bytes, what: str) -> Mapping[str, Any]:
    members = json.members(text, what)
    return {
        name: _check_extension(name, value)
        for name, value in members.items()
        if name not in _KNOWN and _check_name(name) and value is not None
    }


def _wrong_type(exc: msgspec.ValidationError, what: str) -> Refusal:
    problem, _, path = str(exc).partition(" - at `$.")
    if not path:
        return Refusal(400, f"{what} must be a JSON object")
    # "Expected `str`, got `int`"; else it is a number that nobody can read.
    got = problem.partition(", got ")[2].strip("`") or "a number out of range"
    return Refusal(400, f"{path.rstrip('`')}: expected a string, got {got}")


def _from_base64(value: str) -> bytes:
    try:
        return b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise Refusal(400, "data_base64: not base64 (RFC 4648, section 4)") from None


def read_binary(headers: Iterable[tuple[bytes, bytes]], body: bytes) -> Envelope:
    """Return the event of an HTTP message in binary mode (http-protocol-binding.md, section 3.1).

    `headers` are names, in any case, and values as they stood in the message. Raises `Refusal`: 415
    when no attribute is among the headers, else 400.
    """
    attributes: dict[str, str] = {}
    content_type: str | None = None
    for header, value in headers:
        name = header.lower()
        if name == b"content-type":
            if content_type is not None:
                raise Refusal(400, "Content-Type: the header stands there more than once")
            content_type = value.decode("latin-1")
        elif name.startswith(b"ce-"):
            attribute = name[3:].decode("latin-1")
            if attribute == "datacontenttype":
                raise Refusal(400, "ce-datacontenttype: say it in Content-Type")
            _check_name(attribute)
            if attribute in attributes:
                raise Refusal(400, f"{shorten(attribute)}: the header stands there more than once")
            attributes[attribute] = _header_value(attribute, value)
    if not attributes:
        raise Refusal(
            415,
            "this is no CloudEvent: send application/cloudevents+json, or the attributes as "
            "ce-... headers",
            Accept_Post="application/cloudevents+json",
        )
    known: dict[str, Any] = {n: attributes.pop(n) for n in _KNOWN & attributes.keys()}
    event = _Event(**known, datacontenttype=content_type)
    extensions = {name: _check_extension(name, text) for name, text in attributes.items()}
    return _envelope(event, extensions, body or None, None)


def _header_value(name: str, value: bytes) -> str:
    """Undo the encoding of a header value (http-protocol-binding.md, section 3.1.3.2)."""
    if value.startswith(b'"') and (quoted := _QUOTED(value)):
        value = re.sub(rb"\\(.)", rb"\1", quoted[1])
    try:
        return unquote_to_bytes(value).decode()
    except UnicodeDecodeError:
        raise Refusal(400, f"{shorten(name)}: the percent-decoded bytes are not UTF-8") from None


def _envelope(
    event: _Event, extensions: Mapping[str, Any], content: bytes | None, raw: bytes | None
) -> Envelope:
    """Check the attributes and make the envelope; `content` is data as bytes, `raw` as JSON."""
    id, source, type = event.id, event.source, event.type
    if not (event.specversion and id and source and type):
        given = (event.specversion, id, source, type)
        name, value = next((n, v) for n, v in zip(REQUIRED, given, strict=True) if not v)
        raise Refusal(400, f"{name}: required, and {'missing' if value is None else 'empty'}")
    if event.specversion != "1.0":
        raise Refusal(400, f'specversion: must be "1.0", not {quote(event.specversion)}')
    # Nearly all strings are printable, which takes a twentieth of the time to find out.
    if not (id.isprintable() and type.isprintable()):
        _check_string("id", id)
        _check_string("type", type)
    if not is_uri_reference(source):
        raise Refusal(400, f"source: must be a URI-reference (RFC 3986), not {quote(source)}")
    subject, time, dataschema = event.subject, event.time, event.dataschema
    if subject is not None:
        if not subject:
            raise Refusal(400, "subject: must not be empty")
        _check_string("subject", subject)
    if time is not None and not is_timestamp(time):
        raise Refusal(400, f"time: must be a timestamp (RFC 3339), not {quote(time)}")
    if dataschema is not None and not is_absolute_uri(dataschema):
        raise Refusal(400, f"dataschema: must be an absolute URI, not {quote(dataschema)}")
    datacontenttype = event.datacontenttype
    json_data = None
    if datacontenttype is not None and (json_data := is_json(datacontenttype)) is None:
        raise Refusal(
            400, f"datacontenttype: must be a media type (RFC 2046), not {quote(datacontenttype)}"
        )
    data: Any = content
    if content is not None and json_data:
        raw = content
    if raw is not None:
        try:
            data = json.decode(raw)
        except json.MALFORMED as exc:
            raise json.malformed(exc, "data") from None
    return Envelope(
        id=id,
        source=source,
        type=type,
        subject=subject,
        time=time,
        datacontenttype=datacontenttype,
        dataschema=dataschema,
        extensions=extensions,
        data=data,
        raw=raw,
    )


def _check_string(name: str, value: str) -> None:
    if not value.isprintable() and (bad := _FORBIDDEN(value)):
        character = f"U+{ord(bad[0]):04X}"
        raise Refusal(400, f"{shorten(name)}: must not contain the character {character}")


def _check_name(name: str) -> bool:
    if not _NAME(name) or name == "data":
        raise Refusal(
            400, f"{quote(name)}: attribute names have lower-case letters a to z and digits only"
        )
    return True


def _check_extension(name: str, value: object) -> object:
    if isinstance(value, str):
        _check_string(name, value)
    elif isinstance(value, int):
        if not _MIN_INTEGER <= value <= _MAX_INTEGER:
            raise Refusal(400, f"{shorten(name)}: must be within 32 bits, signed")
    else:
        raise Refusal(400, f"{shorten(name)}: must be a string, an integer or a boolean")
    return value
