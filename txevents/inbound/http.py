"""The HTTP source: `POST /events`, `POST /hooks/<name>`, `GET /healthz`, on `httptools` (llhttp).

Rules of this file:

* A request is judged as soon as its header fields are there: a refusal needs no body, and no
  `100 Continue` is sent for it. A small body that is already on its way is read and dropped, so
  that the connection can be kept.
* A connection that is closed with something unread would be reset, and the answer lost: it is
  half-closed, and what still comes is dropped for some seconds (`Connection.close`).
"""

from __future__ import annotations

from collections.abc import Callable

import attrs
import httptools
from twisted.internet.interfaces import IProtocolNegotiationFactory, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from txevents.inbound.base import Connection, SourceFactory
from txevents.inbound.routes import ACCEPTED, Answer, Headers, Routes
from txevents.interfaces import IIntake
from txevents.wire.problems import Refusal, quote

MAX_HEADERS = 100
MAX_TARGET = 8 * 1024


@attrs.frozen
class HTTPLimits:
    """What a client may ask of an HTTP source. Sizes in bytes, times in seconds.

    * `body`: the decoded body; past it 413.
    * `header`: names and values of all header fields, with 4 for each; past it 431.
    * `header_timeout`: from the first byte of a request to the end of its header fields, then 408.
    * `body_timeout`: from there to the end of the body, then 408.
    * `idle_timeout`: between requests, and for a client that does not read its answers.
    """

    body: int = 1024 * 1024
    header: int = 16 * 1024
    header_timeout: int = 10
    body_timeout: int = 30
    idle_timeout: int = 60


class HTTPConnection(Connection):
    """One HTTP/1.1 connection; the methods named `on_...` are called by the parser."""

    factory: HTTPSource
    _log = Logger()

    def connectionMade(self) -> None:
        """Wait for the first request."""
        super().connectionMade()
        self._limits = self.factory.limits
        self._parser = httptools.HttpRequestParser(self)
        self._phase = "idle"
        self._unfinished = 0
        self._forget_request()
        self.expect_within(self._limits.header_timeout)

    def _forget_request(self) -> None:
        self._target = b""
        self._headers: Headers = []
        self._method = b""
        self._body: list[bytes] = []
        self._body_size = 0
        self._take: Callable[[bytes], Answer] | None = None
        self._refusal: Refusal | None = None

    def _enter(self, phase: str) -> None:
        self._phase = phase
        if self.paused or phase == "idle":
            self.expect_within(self._limits.idle_timeout)
        elif phase == "header":
            self.expect_within(self._limits.header_timeout)
        else:
            self.expect_within(self._limits.body_timeout)

    def pauseProducing(self) -> None:
        """The client does not read its answers; it has `idle_timeout` to do so."""
        super().pauseProducing()
        self._enter(self._phase)

    def resumeProducing(self) -> None:
        """The client has read its answers; it has the whole time for its request again."""
        super().resumeProducing()
        self._enter(self._phase)

    def dataReceived(self, data: bytes) -> None:
        """Parse what came; each complete request is answered before the next one is looked at."""
        if self.closing:
            return
        self._unfinished += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as exc:
            if not self.closing:
                self._refuse_and_close(self._refusal_for(exc))
        else:
            self._check_unfinished()

    def _check_unfinished(self) -> None:
        """Refuse what the callbacks do not see: a field, or a frame of a chunk, without an end."""
        if self._phase == "header" and self._unfinished > self._limits.header + 2 * MAX_TARGET:
            self._refuse_and_close(_too_large(self._limits.header))
        elif self._phase == "body":
            frames = self._unfinished - self._body_size
            if frames > self._limits.header + self._limits.body:
                self._refuse_and_close(_too_long(self._limits.body))

    def _refusal_for(self, exc: httptools.HttpParserError) -> Refusal:
        cause = exc.__context__
        if isinstance(cause, Refusal):
            return cause
        if isinstance(exc, httptools.HttpParserCallbackError):
            failure = Failure(cause or exc)
            self._log.failure("a request could not be processed", failure)
            return Refusal(500, "the request could not be processed")
        return Refusal(400, f"malformed HTTP: {exc}")

    def on_message_begin(self) -> None:
        """A request starts."""
        if self.closing:
            # The service stops, and this came together with the last request to be answered.
            raise Refusal(503, "the connection is closed")
        # What came in this chunk may be the end of the request before: it counts from the next on.
        self._unfinished = 0
        self._enter("header")

    def on_url(self, url: bytes) -> None:
        """A part of the request target."""
        self._target += url
        if len(self._target) > MAX_TARGET:
            raise Refusal(414, f"the request target is longer than {MAX_TARGET} bytes")

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header field, or a trailer field, which is ignored."""
        if self._phase != "header":
            return
        self._headers.append((name.lower(), value.rstrip(b" \t")))
        if len(self._headers) > MAX_HEADERS:
            raise _too_large(self._limits.header)

    def on_headers_complete(self) -> None:
        """Judge the request by its header fields."""
        self._enter("body")
        self._method = self._parser.get_method()
        version = self._version = self._parser.get_http_version()
        hosts, length, coding, expect = _survey(self._headers, self._limits.header)
        if version not in ("1.1", "1.0"):
            raise Refusal(505, "speak HTTP/1.1")
        if self._parser.should_upgrade():
            raise Refusal(400, "Upgrade: this connection speaks HTTP/1.1 only")
        if hosts > 1 or (version == "1.1" and not hosts):
            raise Refusal(400, "Host: exactly one is required (RFC 9112, section 3.2)")
        if coding and (coding != b"chunked" or version == "1.0"):
            raise Refusal(400, "Transfer-Encoding: only chunked, and only in HTTP/1.1")
        if length > self._limits.body:
            raise _too_long(self._limits.body)
        try:
            self._take = self.factory.routes.find(self._method, self._target, self._headers)
            if expect and expect != b"100-continue":
                raise Refusal(417, f"Expect: only 100-continue, not {quote(expect)}")
        except Refusal as refusal:
            if expect:
                raise
            self._refusal = refusal
        if expect and version == "1.1":
            self.send(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        """A part of the body, decoded if it is chunked."""
        self._body_size += len(body)
        if self._body_size > self._limits.body:
            raise _too_long(self._limits.body)
        if self._refusal is None:
            self._body.append(body)

    def on_message_complete(self) -> None:
        """The request is whole: answer it."""
        keep = self._parser.should_keep_alive() and not self.factory.stopping
        try:
            if self._refusal is not None:
                raise self._refusal
            assert self._take is not None, "the request has not been judged"
            answer = self._take(b"".join(self._body))
        except Refusal as refusal:
            answer = Answer.to_refusal(refusal)
        connection = b"close" if not keep else b"" if self._version == "1.1" else b"keep-alive"
        self._write(answer, connection)
        self._forget_request()
        self._enter("idle")
        if not keep:
            self.close(unread=self.factory.stopping)

    def _write(self, answer: Answer, connection: bytes) -> None:
        if answer is ACCEPTED and not connection:
            self.send(self.factory.accepted)
            return
        head = answer.head(self.factory.date, connection)
        self.send(head if self._method == b"HEAD" else head + answer.body)

    def _refuse_and_close(self, refusal: Refusal) -> None:
        self._write(Answer.to_refusal(refusal), b"close")
        self.close(unread=True)

    def timed_out(self) -> None:
        """A deadline is over."""
        if self._phase == "idle" or self.paused:
            self.abort()
        else:
            what = "header fields" if self._phase == "header" else "body"
            self._refuse_and_close(Refusal(408, f"the {what} took too long"))

    def finish(self) -> None:
        """Close when the request at work, if any, has been answered."""
        if self._phase == "idle":
            self.close(unread=True)


def _survey(headers: Headers, limit: int) -> tuple[int, int, bytes, bytes]:
    """Return the number of Host fields, Content-Length, Transfer-Encoding and Expect.

    Raises `Refusal` (431) when the fields are larger than `limit` together.
    """
    size = hosts = length = 0
    coding = expect = b""
    for name, value in headers:
        size += len(name) + len(value) + 4
        if name == b"host":
            hosts += 1
        elif name == b"content-length":
            length = int(value)
        elif name == b"transfer-encoding":
            coding = value.lower()
        elif name == b"expect":
            expect = value.lower()
    if size > limit:
        raise _too_large(limit)
    return hosts, length, coding, expect


def _too_large(limit: int) -> Refusal:
    return Refusal(431, f"the header fields are larger than {limit} bytes or {MAX_HEADERS} lines")


def _too_long(limit: int) -> Refusal:
    return Refusal(413, f"the body is longer than {limit} bytes")


@implementer(IProtocolNegotiationFactory)
class HTTPSource(SourceFactory):
    """The factory of an HTTP source. Give it to an endpoint, or to `twistd events --http`."""

    protocol = HTTPConnection

    def __init__(
        self, intake: IIntake, reactor: IReactorTime, limits: HTTPLimits = HTTPLimits()
    ) -> None:
        super().__init__(reactor)
        self.routes = Routes(intake)
        self.limits = limits
        self.accepted = b""

    def tick(self) -> None:
        """A second is over: the usual answer has a new date."""
        super().tick()
        self.accepted = ACCEPTED.head(self.date, b"") + ACCEPTED.body

    def acceptableProtocols(self) -> list[bytes]:
        """Name HTTP/1.1 to the clients of an `ssl:` endpoint, which hang up if nothing is named."""
        return [b"http/1.1"]
