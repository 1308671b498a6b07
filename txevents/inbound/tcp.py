"""The TCP source: newline-delimited JSON, each line a CloudEvent in the JSON event format.

The server answers with lines of JSON. `{"accepted": n}` is the count of lines of this connection
that were accepted so far, once for whatever came together; `{"refused": {"index": i, "status": 400,
"title": ..., "detail": ...}}` is for line number i, counted from 0. Empty lines do not count. A
refused line does not end the connection.
"""

from __future__ import annotations

from collections import deque

import attrs
import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from txevents.inbound.base import Connection, SourceFactory
from txevents.interfaces import IIntake
from txevents.wire.cloudevents import read_structured
from txevents.wire.problems import Refusal

_encode = msgspec.json.Encoder().encode


@attrs.frozen
class TCPLimits:
    """What a client may ask of a TCP source.

    * `line`: bytes in a line; a longer one is refused with 413 and dropped.
    * `idle_timeout`: seconds without a byte, or without reading answers, until the connection is
      closed.
    """

    line: int = 256 * 1024
    idle_timeout: int = 600


class LineConnection(Connection):
    """One connection of newline-delimited JSON."""

    factory: TCPSource
    _log = Logger()

    def connectionMade(self) -> None:
        """Wait for lines."""
        super().connectionMade()
        self._limits = self.factory.limits
        self._buffer = bytearray()
        self._dropping = False
        self._lines: deque[bytes] = deque()
        self._index = 0
        self._accepted = 0
        self._waiting = False
        self._ready: Deferred[None] | None = None
        self._finishing = False
        self.expect_within(self._limits.idle_timeout)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Wait for nothing any more."""
        super().connectionLost(reason)
        if self._ready is not None:
            self._ready.cancel()

    def ended(self) -> None:
        """Nothing more will come; the last line may lack its newline."""
        self._lines.append(bytes(self._buffer))
        self._buffer.clear()
        self._finishing = True
        self._take_lines()

    def dataReceived(self, data: bytes) -> None:
        """Take all whole lines that came, in one go."""
        if self.closing:
            return
        self.expect_within(self._limits.idle_timeout)
        *lines, rest = data.split(b"\n")
        if lines:
            if self._dropping:
                self._dropping = False
                del lines[0]
            elif self._buffer:
                lines[0] = bytes(self._buffer) + lines[0]
                self._buffer.clear()
            self._lines.extend(lines)
        if not self._dropping:
            self._buffer += rest
            if len(self._buffer) > self._limits.line + 1:  # 1 for a CR, which is not of the line
                # Its beginning stands for it, so that it is refused in its turn.
                self._lines.append(bytes(self._buffer))
                self._buffer.clear()
                self._dropping = True
        self._take_lines()

    def _take_lines(self) -> None:
        lines = self._lines
        before = self._accepted
        limit, intake = self._limits.line, self.factory.intake
        room = intake.room
        while lines and not (self.paused or self._waiting):
            line = lines.popleft()
            if len(line) < 2 and not line.strip(b"\r"):
                continue
            if room <= 0 and (room := intake.room) <= 0:
                # Not refused: the line waits, and no more are read until there is room.
                lines.appendleft(line)
                self._wait()
                break
            try:
                if len(line) > limit and len(line.removesuffix(b"\r")) > limit:
                    raise Refusal(413, f"the line is longer than {limit} bytes")
                intake.schedule(read_structured(line, "the line"))
            except Exception as exc:
                self._refuse(exc)
            else:
                self._accepted += 1
                room -= 1
            self._index += 1
        if self._accepted > before:
            self.send(b'{"accepted":%d}\n' % self._accepted)
        if self._finishing and not lines:
            self.close(unread=True)

    def _refuse(self, exc: Exception) -> None:
        if not isinstance(exc, Refusal):
            self._log.failure("a line could not be processed", Failure(exc))
            exc = Refusal(500, "the line could not be processed")
        refused = {"refused": {"index": self._index, **exc.members()}}
        self.send(_encode(refused) + b"\n")

    def _wait(self) -> None:
        self._waiting = True
        self.transport.pauseProducing()
        self._ready = self.factory.intake.when_ready()
        self._ready.addCallbacks(self._go_on, lambda _: None)

    def _go_on(self, _: None) -> None:
        self._waiting = False
        self.expect_within(self._limits.idle_timeout)
        self._resume()

    def resumeProducing(self) -> None:
        """The client has read its answers."""
        self.paused = False
        self._resume()

    def _resume(self) -> None:
        """Take what has been received before reading more, so that nothing piles up here."""
        if not self.closing and not self._waiting and not self.paused:
            self._take_lines()
        if not (self.closing or self._waiting or self.paused):
            self.transport.resumeProducing()

    def timed_out(self) -> None:
        """Nothing came, or the client did not read, for too long."""
        if self._waiting:
            self.expect_within(self._limits.idle_timeout)
        elif self.paused:
            self.abort()
        else:
            self.close()

    def finish(self) -> None:
        """Close when the lines that have been received are taken."""
        self._finishing = True
        if not self._lines:
            self.close(unread=True)


class TCPSource(SourceFactory):
    """The factory of a TCP source. Give it to an endpoint, or to `twistd events --tcp`."""

    protocol = LineConnection

    def __init__(
        self, intake: IIntake, reactor: IReactorTime, limits: TCPLimits = TCPLimits()
    ) -> None:
        super().__init__(reactor)
        self.intake = intake
        self.limits = limits
