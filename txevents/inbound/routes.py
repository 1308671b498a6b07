"""What the HTTP paths do, whichever server reads the requests."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import attrs
import httptools
import msgspec

from txevents.interfaces import IIntake
from txevents.wire import cloudevents, problems
from txevents.wire.hooks import is_hook_name, read_hook
from txevents.wire.problems import Refusal, quote

Headers = list[tuple[bytes, bytes]]
Take = Callable[[bytes], "Answer"]

_PHRASES = {200: "OK", 202: "Accepted", **problems.TITLES}
_JSON = b"application/json"


@attrs.frozen
class Answer:
    """An answer to a request."""

    status: int
    body: bytes
    content_type: bytes = _JSON
    headers: tuple[tuple[str, str], ...] = ()

    @classmethod
    def to_refusal(cls, refusal: Refusal) -> Answer:
        """Return the answer that tells the sender of a refusal."""
        return cls(
            refusal.status,
            refusal.document(),
            problems.MEDIA_TYPE,
            tuple(refusal.headers.items()),
        )

    def head(self, date: bytes, connection: bytes) -> bytes:
        """Return the status line and the header fields; `connection` is empty where not needed."""
        further = "".join([f"{name}: {value}\r\n" for name, value in self.headers]).encode()
        if connection:
            further += b"Connection: %b\r\n" % connection
        return b"HTTP/1.1 %d %b\r\nDate: %b\r\nContent-Type: %b\r\nContent-Length: %d\r\n%b\r\n" % (
            self.status,
            _PHRASES[self.status].encode(),
            date,
            self.content_type,
            len(self.body),
            further,
        )


ACCEPTED = Answer(202, b'{"accepted":1}')
HEALTHY = Answer(200, b'{"status":"ok"}', headers=(("Cache-Control", "no-store"),))


class Routes:
    """`/events`, `/hooks/<name>` and `/healthz` in front of one intake."""

    def __init__(self, intake: IIntake) -> None:
        self._intake = intake

    def find(self, method: bytes, target: bytes, headers: Headers) -> Take:
        """Return what makes the answer from the body; raise `Refusal` for what has none.

        `target` is the request target in any of its forms, `headers` have lower-case names.
        """
        path = _path(target)
        if path == b"/events":
            _check_method(method, b"POST")
            _check_coding(headers)
            return self._find_mode(headers)
        if path.startswith(b"/hooks/"):
            name = is_hook_name(path[7:].decode("latin-1"))
            if name:
                _check_method(method, b"POST")
                _check_coding(headers)
                return partial(self._take_hook, name[0], headers)
        if path == b"/healthz":
            _check_method(method, b"GET", b"HEAD")
            return _say_healthy
        raise Refusal(404, f"there is nothing at {quote(path.decode('latin-1'))}")

    def _find_mode(self, headers: Headers) -> Take:
        content_types = [value for name, value in headers if name == b"content-type"]
        if len(content_types) > 1:
            raise Refusal(400, "Content-Type: the header stands there more than once")
        # http-protocol-binding.md, section 3: the mode goes by the media type, in any case.
        media_type = content_types[0].partition(b";")[0].strip().lower() if content_types else b""
        if media_type == cloudevents.JSON_EVENT:
            return self._take_structured
        if media_type.startswith(cloudevents.STRUCTURED):
            raise Refusal(
                415,
                f"Content-Type: of the formats of CloudEvents only "
                f"{cloudevents.JSON_EVENT.decode()}, not {quote(media_type.decode('latin-1'))}",
                Accept_Post=cloudevents.JSON_EVENT.decode(),
            )
        return partial(self._take_binary, headers)

    def _take_structured(self, body: bytes) -> Answer:
        self._intake.accept(cloudevents.read_structured(body))
        return ACCEPTED

    def _take_binary(self, headers: Headers, body: bytes) -> Answer:
        self._intake.accept(cloudevents.read_binary(headers, body))
        return ACCEPTED

    def _take_hook(self, name: str, headers: Headers, body: bytes) -> Answer:
        envelope = read_hook(name, headers, body)
        self._intake.accept(envelope)
        return Answer(202, msgspec.json.encode({"accepted": 1, "id": envelope.id}))


def _say_healthy(body: bytes) -> Answer:
    return HEALTHY


def _path(target: bytes) -> bytes:
    if not target.startswith(b"/"):
        # The absolute form, which a client of a proxy sends (RFC 9112, section 3.2.2).
        try:
            target = httptools.parse_url(target).path or b"/"
        except httptools.HttpParserInvalidURLError:
            raise Refusal(400, "malformed request target") from None
    return target.partition(b"?")[0]


def _check_method(method: bytes, *allowed: bytes) -> None:
    if method not in allowed:
        allow = b", ".join(allowed).decode()
        raise Refusal(405, f"use {allow} here, not {quote(method.decode('latin-1'))}", Allow=allow)


def _check_coding(headers: Headers) -> None:
    for name, value in headers:
        if name == b"content-encoding" and value.lower() != b"identity":
            raise Refusal(
                415,
                f"Content-Encoding: send it uncoded, not in {quote(value.decode('latin-1'))}",
                Accept_Encoding="identity",
            )
