"""Plain webhooks: a JSON body of any kind becomes the data of an `Envelope`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from uuid import uuid4

from txevents.events import Envelope
from txevents.wire import json
from txevents.wire.cloudevents import is_json
from txevents.wire.problems import Refusal, quote

# What a sender calls its deliveries, and what kind of event one is: id and subject.
_ID_HEADERS = frozenset({b"x-github-delivery"})
_SUBJECT_HEADERS = frozenset({b"x-github-event"})

is_hook_name = re.compile(r"[a-z0-9_.\-]{1,64}").fullmatch


def read_hook(name: str, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> Envelope:
    """Return the event of a request to `/hooks/<name>`.

    Its topic is `hook.<name>`, its source the path. Its id is the sender's delivery id
    (`X-GitHub-Delivery`), or else made here; its subject is `X-GitHub-Event`, if there. Raises
    `Refusal`: 415 for a body that is not declared as JSON, 400 for one that is not JSON.
    """
    content_type: str | None = None
    delivery: str | None = None
    subject: str | None = None
    for header, value in headers:
        key = header.lower()
        if key == b"content-type":
            content_type = value.decode("latin-1")
        elif key in _ID_HEADERS:
            delivery = _text(header, value)
        elif key in _SUBJECT_HEADERS:
            subject = _text(header, value)
    if content_type is not None and not is_json(content_type):
        raise Refusal(
            415,
            f"Content-Type: a hook takes JSON (application/json), not {quote(content_type)}",
            Accept_Post="application/json",
        )
    return Envelope(
        id=delivery or str(uuid4()),
        source=f"/hooks/{name}",
        type=f"hook.{name}",
        subject=subject or None,
        datacontenttype=content_type or "application/json",
        data=json.read(body, "the body"),
        raw=body,
    )


def _text(header: bytes, value: bytes) -> str:
    text = value.decode("latin-1")
    if not (text.isascii() and text.isprintable()):
        raise Refusal(400, f"{header.decode('latin-1')}: must be printable ASCII")
    return text
