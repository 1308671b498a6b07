"""JSON texts from the network, read strictly (RFC 8259), with refusals that say what is wrong."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import msgspec

from txevents.wire.problems import Refusal, quote

decode = msgspec.json.Decoder().decode

# What msgspec raises for a text that is no JSON, or none that it can take.
MALFORMED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def read(text: bytes, what: str) -> Any:
    """Return the value of a JSON text; a `Refusal` (400) names `what` when it is malformed."""
    try:
        return decode(text)
    except MALFORMED as exc:
        raise malformed(exc, what) from None


def malformed(exc: Exception, what: str) -> Refusal:
    """Return the refusal of a text that one of `MALFORMED` was raised for."""
    if isinstance(exc, RecursionError):
        reason = "nested too deeply"
    elif isinstance(exc, UnicodeDecodeError):
        reason = "invalid UTF-8"
    else:
        reason = str(exc).removeprefix("JSON is malformed: ").partition(" - at `")[0]
    return Refusal(400, f"{what} is not valid JSON: {reason}")


def members(text: bytes, what: str) -> dict[str, Any]:
    """Return the members of a JSON object, and refuse (400) one that has a member twice.

    For where `msgspec`, which keeps the last of such members in silence, does not do.
    """
    value = read(text, what)
    if not isinstance(value, dict):
        raise Refusal(400, f"{what} must be a JSON object")
    # The hook sees the inner objects first: what it returns for the outermost one is the result.
    try:
        pairs: list[tuple[str, Any]] = json.loads(text, object_pairs_hook=list)
    except RecursionError as exc:  # a little earlier than msgspec
        raise malformed(exc, what) from None
    if len(pairs) != len(value):
        twice = Counter([name for name, _ in pairs]).most_common(1)[0][0]
        raise Refusal(400, f"{what} has the member {quote(twice)} more than once")
    return value
