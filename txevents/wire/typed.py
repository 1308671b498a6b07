"""The data of an `Envelope` as an instance of a declared class, validated."""

from __future__ import annotations

import re
from typing import TypeVar

import msgspec

from txevents.events import Envelope
from txevents.wire import json
from txevents.wire.problems import Refusal, escape, shorten

T = TypeVar("T")

# The last place is the place: before it, a message may quote the sender.
_PLACED = re.compile(r"(.*) - at `(?:key` in `)?\$(.*)`", re.DOTALL).fullmatch
_MISSING = re.compile(r"Object missing required field `(.+)`").fullmatch
_VALUE = re.compile(r"Invalid (?:enum )?value (.+)", re.DOTALL).fullmatch
_INVALID = re.compile(r"Invalid (.+?)(?: string)?").fullmatch
_EXPECTED = re.compile(r"Expected `(.+?)`(?:, got `(.+?)`)?").fullmatch


def read_typed(envelope: Envelope, cls: type[T]) -> T:
    """Return the data of `envelope` as an instance of `cls`: attrs, dataclass or msgspec.Struct.

    Bytes without a `datacontenttype` are taken to be JSON, since a class is declared for them.
    Raises `Refusal` (422) that names the field that does not fit: `data.total: expected decimal`.
    """
    raw = envelope.raw
    if raw is None and envelope.datacontenttype is None and isinstance(envelope.data, bytes):
        # Some senders, such as the Python SDK in binary mode, send JSON and do not say so.
        raw = envelope.data
    if raw is None:
        found = "missing" if envelope.data is None else "not JSON"
        topic = shorten(escape(envelope.type))
        raise Refusal(422, f"data: expected a JSON object for {topic}, but it is {found}")
    try:
        return msgspec.json.decode(raw, type=cls)
    except msgspec.ValidationError as exc:
        raise Refusal(422, shorten(escape(_explain(str(exc))), 240)) from None
    except json.MALFORMED as exc:
        raise json.malformed(exc, "data") from None


def _explain(message: str) -> str:
    """Turn ``Expected `int`, got `str` - at `$.n` `` into ``data.n: expected int, got str``."""
    place = _PLACED(message)
    problem, path = (place[1], place[2]) if place else (message, "")
    field = f"data{path}"
    if match := _MISSING(problem):
        return f"{field}.{match[1]}: required, and missing"
    if match := _EXPECTED(problem):
        return f"{field}: expected {match[1]}" + (f", got {match[2]}" if match[2] else "")
    if match := _VALUE(problem):
        return f"{field}: cannot be {match[1]}"
    if match := _INVALID(problem):
        return f"{field}: expected {match[1]}"
    return f"{field}: {problem}"
