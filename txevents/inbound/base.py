"""What the connections of all sources share: deadlines, back-pressure, an orderly end.

Deadlines are absolute and counted in ticks of one second, which the factory gives to all of its
connections: one timer in all, no clock to read for each message, and a clock that is set does not
close anything.
"""

from __future__ import annotations

from email.utils import formatdate
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IHalfCloseableDescriptor,
    IHalfCloseableProtocol,
    IPushProducer,
    IReactorTime,
    ISSLTransport,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import LoopingCall
from twisted.internet.tcp import Connection as TCPConnection
from twisted.python.failure import Failure
from zope.interface import implementer

# How many seconds a connection is kept to read and drop what a client sends after its refusal.
LINGER = 3


@implementer(IPushProducer, IHalfCloseableProtocol)
class Connection(Protocol):
    """A connection that is not read while its answers pile up, and not kept past its deadline."""

    factory: SourceFactory
    transport: Any  # an ITCPTransport that is an IConsumer and an IPushProducer

    def connectionMade(self) -> None:
        """Join the factory's connections."""
        self.paused = False
        self.closing = False
        # Only of a bare TCP or UNIX connection: that of a wrapper would go past the wrapper.
        bare = isinstance(self.transport, TCPConnection) and not self.transport.TLS
        self._send_now = self.transport.writeSomeData if bare else None
        self.factory.joined(self)
        self.expect_within(0)
        # So the transport tells us when answers pile up, and when they have been read.
        self.transport.registerProducer(self, True)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Leave the factory's connections."""
        self.closing = True
        self.factory.left(self)

    def readConnectionLost(self) -> None:
        """The client has closed its side; it may still read its answers."""
        if self.closing:
            self.transport.loseConnection()
        else:
            self.ended()

    def writeConnectionLost(self) -> None:
        """Our side is closed, as `close` wanted."""

    def ended(self) -> None:
        """Nothing more will come."""
        self.close()

    def pauseProducing(self) -> None:
        """The client does not read its answers: do not read it either."""
        self.paused = True
        self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        """The client has read its answers."""
        self.paused = False
        self.transport.resumeProducing()

    def send(self, data: bytes) -> None:
        """Write an answer: at once if the client takes it.

        `transport.write` leaves that to the next turn of the reactor, which costs as much CPU time
        as all that we do for a request. Once a client has not taken it all, it is good enough.
        """
        if self._send_now is not None:
            sent = self._send_now(data)
            if sent == len(data):
                return
            self._send_now = None
            if isinstance(sent, int):
                data = data[sent:]
        self.transport.write(data)

    def stopProducing(self) -> None:
        """The connection is lost, as `connectionLost` hears too."""

    def expect_within(self, seconds: int) -> None:
        """Set the deadline, after which `timed_out` is called."""
        self._deadline = self.factory.ticks + seconds

    def tick(self, now: int) -> None:
        """A second is over."""
        if now > self._deadline:
            if self.closing:
                self.abort()
            else:
                self.timed_out()

    def timed_out(self) -> None:
        """The deadline is over."""
        raise NotImplementedError

    def finish(self) -> None:
        """The service stops: close as soon as nothing is half done."""
        raise NotImplementedError

    def close(self, unread: bool = False) -> None:
        """Close when all answers are written.

        With `unread`, something that the client sends will not be read: closing at once would reset
        the connection and with it the answer, so only our side is closed, and what still comes is
        dropped until the client closes too, for `LINGER` seconds at most.
        """
        self.closing = True
        self.expect_within(LINGER)
        self.transport.unregisterProducer()
        self.transport.resumeProducing()
        half = IHalfCloseableDescriptor.providedBy(self.transport)
        if unread and half and not ISSLTransport.providedBy(self.transport):
            self.transport.loseWriteConnection()
        else:
            self.transport.loseConnection()

    def abort(self) -> None:
        """Close at once, whatever is still to be written."""
        self.closing = True
        self.transport.abortConnection()


class SourceFactory(Factory):
    """Keeps the connections of one source, and the time for them."""

    noisy = False
    protocol: type[Connection]  # type: ignore[assignment] # narrower than Factory's

    def __init__(self, reactor: IReactorTime) -> None:
        self.ticks = 0
        self.date = b""
        self.stopping = False
        self._connections: set[Connection] = set()
        self._gone: list[Deferred[None]] = []
        self._reactor = reactor
        self._ticking = LoopingCall(self.tick)
        self._ticking.clock = reactor

    def joined(self, connection: Connection) -> None:
        """A connection is made."""
        if not self._ticking.running:
            self._ticking.start(1)
        self._connections.add(connection)

    def left(self, connection: Connection) -> None:
        """A connection is lost."""
        self._connections.discard(connection)
        if not self._connections:
            if self._ticking.running:
                self._ticking.stop()
            gone, self._gone = self._gone, []
            for deferred in gone:
                deferred.callback(None)

    def tick(self) -> None:
        """A second is over."""
        self.ticks += 1
        self.date = formatdate(self._reactor.seconds(), usegmt=True).encode()
        for connection in list(self._connections):
            connection.tick(self.ticks)

    def finish(self) -> Deferred[None]:
        """Close each connection as soon as nothing in it is half done.

        The Deferred fires with `None` when all are closed.
        """
        self.stopping = True
        deferred: Deferred[None] = Deferred()
        self._gone.append(deferred)
        for connection in list(self._connections):
            if not connection.closing:
                connection.finish()
        if not self._connections:
            self._gone.remove(deferred)
            deferred.callback(None)
        return deferred

    def abort(self) -> int:
        """Close what is left at once; return how many connections that were."""
        left = list(self._connections)
        for connection in left:
            connection.abort()
        return len(left)
