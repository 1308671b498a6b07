"""A client without sockets, an intake that keeps what it accepts, and a reader of HTTP answers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any, cast

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.interfaces import IHalfCloseableDescriptor, IHalfCloseableProtocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from zope.interface import implementer

from txevents import Envelope
from txevents.inbound.base import Connection, SourceFactory
from txevents.inbound.http import HTTPLimits, HTTPSource
from txevents.inbound.tcp import TCPLimits, TCPSource
from txevents.interfaces import IIntake
from txevents.wire.problems import Refusal

EVENT = {"specversion": "1.0", "id": "e-1", "source": "/tests", "type": "com.example.tested"}
STRUCTURED = "application/cloudevents+json"


def structured(**members: object) -> bytes:
    """A CloudEvent in the JSON event format."""
    return json.dumps(EVENT | members).encode()


@implementer(IIntake)
class Recorder:
    """An intake that keeps what it accepts, has room for `room` more, and can be made to fail."""

    def __init__(self, room: int = 1_000_000) -> None:
        self.accepted: list[Envelope] = []
        self.error: Exception | None = None
        self.room = room
        self.waiting: list[Deferred[None]] = []

    def accept(self, envelope: Envelope) -> None:
        if not self.room:
            raise Refusal(503, "full", Retry_After="1")
        self.schedule(envelope)

    def schedule(self, envelope: Envelope) -> None:
        if self.error is not None:
            raise self.error
        self.room -= 1
        self.accepted.append(envelope)

    def when_ready(self) -> Deferred[None]:
        if self.room:
            return succeed(None)
        self.waiting.append(Deferred(self.waiting.remove))
        return self.waiting[-1]

    def make_room(self, room: int = 1_000_000) -> None:
        """Tell those who wait that there is room."""
        self.room = room
        waiting, self.waiting = self.waiting, []
        for deferred in waiting:
            deferred.callback(None)

    @property
    def ids(self) -> list[str]:
        return [envelope.id for envelope in self.accepted]


@implementer(IHalfCloseableDescriptor)
class Transport(StringTransport):
    """What a connection does to its transport, noted in `state`."""

    protocol: Connection

    def __init__(self) -> None:
        super().__init__()
        self.state = "open"

    def resumeProducing(self) -> None:
        # As in tcp.Connection, this does nothing once the connection is being closed.
        if self.state in ("open", "half-closed"):
            super().resumeProducing()

    def loseConnection(self) -> None:
        assert self.producer is None, "a producer keeps the connection open"
        if self.state == "half-closed":
            # There is nothing left to be written.
            self.lose()
        elif self.state == "open":
            self.state = "closing"

    def loseWriteConnection(self) -> None:
        if self.state == "open":
            self.state = "half-closed"

    def writeConnectionLost(self, reason: Failure) -> None:
        """Unused: whether our own side is closed is seen in `state`."""

    def abortConnection(self) -> None:
        self.lose(ConnectionAborted())

    def lose(self, reason: Exception | None = None) -> None:
        """The connection is lost now."""
        if self.state not in ("lost", "aborted"):
            self.state = "aborted" if isinstance(reason, ConnectionAborted) else "lost"
            self.protocol.connectionLost(Failure(reason or ConnectionDone()))

    def readConnectionLost(self, reason: Failure | None = None) -> None:
        """The other side is closed, by the client."""
        assert IHalfCloseableProtocol.providedBy(self.protocol)
        self.protocol.readConnectionLost()


def fired(deferred: Deferred[None]) -> bool:
    """Whether a Deferred has fired. Unlike the attribute, mypy does not take it for unchanging."""
    return bool(deferred.called)


@attrs.frozen
class Reply:
    """An answer as the client sees it; names of header fields are lower-case."""

    status: int
    reason: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def problem(self) -> str:
        """The `detail` of a problem document, all of which is checked."""
        assert self.headers["content-type"] == "application/problem+json"
        document = self.json
        assert sorted(document) == ["detail", "status", "title", "type"]
        assert document["type"] == "about:blank"
        assert document["status"] == self.status
        assert document["title"] == self.reason
        assert "Traceback" not in document["detail"]
        detail: str = document["detail"]
        return detail


def read_replies(data: bytes) -> Iterator[Reply]:
    """Read what a server sent; each answer has the length that it says."""
    while data:
        head, separator, data = data.partition(b"\r\n\r\n")
        assert separator, head
        status_line, *lines = head.decode().split("\r\n")
        version, status, reason = status_line.split(" ", 2)
        assert version == "HTTP/1.1"
        pairs = [line.split(": ", 1) for line in lines]
        headers = {name.lower(): value for name, value in pairs}
        assert len(headers) == len(pairs), lines
        length = int(headers.get("content-length", "0"))
        assert len(data) >= length, "an answer is cut off"
        yield Reply(int(status), reason, headers, data[:length])
        data = data[length:]


def request(
    target: str = "/events",
    body: bytes | None = None,
    *,
    method: str = "POST",
    version: str = "1.1",
    headers: Iterable[tuple[str, str]] = (("Content-Type", STRUCTURED),),
    host: bool = True,
) -> bytes:
    """A request; `body` is an event if not given, and has a Content-Length unless it is chunked."""
    if body is None:
        body = structured()
    fields = [*([("Host", "x")] if host else []), *headers]
    chunked = any(name.lower() == "transfer-encoding" for name, _ in fields)
    if body and not chunked:
        fields.append(("Content-Length", str(len(body))))
    lines = [f"{method} {target} HTTP/{version}", *[f"{name}: {value}" for name, value in fields]]
    head = "\r\n".join([*lines, "", ""]).encode("latin-1")
    return head + (chunks(body, 7) if chunked else body)


def get(target: str = "/healthz", method: str = "GET", version: str = "1.1") -> bytes:
    """A request without a body."""
    return request(target, b"", method=method, version=version, headers=())


def chunks(body: bytes, size: int, trailer: bytes = b"") -> bytes:
    """A body in the chunked coding."""
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    coded = b"".join([b"%x\r\n%b\r\n" % (len(part), part) for part in parts])
    return coded + b"0\r\n" + trailer + b"\r\n"


class Client:
    """One client of a source, without sockets."""

    transport: Transport

    def __init__(self, source: SourceFactory, clock: Clock) -> None:
        self.clock = clock
        self.connection = cast(Connection, source.buildProtocol(None))
        self.transport = Transport()
        self.transport.protocol = self.connection
        self.connection.makeConnection(self.transport)

    def send(self, data: bytes, size: int | None = None) -> None:
        """Send all at once, or in pieces of `size`; what is not read is lost, as it would be."""
        for start in range(0, len(data), size or len(data) or 1):
            if self.state not in ("open", "half-closed"):
                break
            self.connection.dataReceived(data[start : start + (size or len(data))])

    def send_cut(self, data: bytes, cuts: Iterable[int]) -> None:
        """Send in pieces that end at `cuts`."""
        bounds = [0, *sorted(cuts), len(data)]
        for start, end in pairwise(bounds):
            if start < end:
                self.send(data[start:end])

    @property
    def state(self) -> str:
        return self.transport.state

    def is_read(self) -> bool:
        """Whether the source reads what the client sends."""
        return bool(self.transport.producerState == "producing")

    @property
    def received(self) -> bytes:
        received: bytes = self.transport.value()
        return received

    @property
    def replies(self) -> list[Reply]:
        """The HTTP answers so far."""
        return list(read_replies(self.received))

    @property
    def reply(self) -> Reply:
        """The only HTTP answer."""
        (reply,) = self.replies
        return reply

    @property
    def statuses(self) -> list[int]:
        return [reply.status for reply in self.replies]

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The answers of a TCP source so far."""
        assert self.received.endswith(b"\n") or not self.received
        return [json.loads(line) for line in self.received.splitlines()]

    def close(self) -> None:
        """The client closes the connection."""
        self.transport.lose()

    def half_close(self) -> None:
        """The client has sent everything."""
        self.transport.readConnectionLost()

    def wait(self, seconds: int) -> None:
        """Time passes."""
        for _ in range(seconds):
            self.clock.advance(1)


def http_client(
    intake: IIntake | None = None, limits: HTTPLimits | None = None, clock: Clock | None = None
) -> Client:
    """A client of a new HTTP source."""
    clock = clock or Clock()
    return Client(HTTPSource(intake or Recorder(), clock, limits or HTTPLimits()), clock)


def tcp_client(
    intake: IIntake | None = None, limits: TCPLimits | None = None, clock: Clock | None = None
) -> Client:
    """A client of a new TCP source."""
    clock = clock or Clock()
    return Client(TCPSource(intake or Recorder(), clock, limits or TCPLimits()), clock)
