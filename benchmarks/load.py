"""The load: `python -m benchmarks.load http|tcp PORT CONNECTIONS COUNT TOPIC`.

Sends COUNT messages, checks that each is accepted, and prints the seconds from the first byte sent
to the last answer. `http`: keep-alive connections, on each one request at a time. `tcp`: lines, as
fast as the server reads them.
"""

from __future__ import annotations

import re
import socket
import sys
from collections.abc import Iterator
from selectors import EVENT_READ, EVENT_WRITE, DefaultSelector
from time import perf_counter

from benchmarks.messages import PATH, messages

# So many different messages are enough that no server could know them.
DIFFERENT = 1000
CHUNK = 64 * 1024

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE).search
_ACCEPTED = re.compile(rb'\{"accepted": ?(\d+)\}\n\Z').search


def connect(port: int, count: int) -> list[socket.socket]:
    """Return so many connections."""
    connections = [socket.create_connection(("127.0.0.1", port)) for _ in range(count)]
    for connection in connections:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connections


def request(body: bytes) -> bytes:
    """Return a request that posts a CloudEvent."""
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: benchmark\r\nAccept: */*\r\n"
        f"Content-Type: application/cloudevents+json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def is_whole(answer: bytes) -> bool:
    """Tell whether an answer has come to its end; it has to be a 202."""
    head_ends = answer.find(b"\r\n\r\n")
    if head_ends < 0:
        return False
    length = _LENGTH(answer)
    if not answer.startswith(b"HTTP/1.1 202 ") or length is None:
        raise RuntimeError(f"not accepted: {answer!r}")
    return len(answer) >= head_ends + 4 + int(length[1])


def http(port: int, connections: int, count: int, topic: str) -> float:
    """Post events; return the seconds that it took."""
    requests = [request(body) for body in messages(topic, DIFFERENT)]
    selector = DefaultSelector()
    begun: dict[socket.socket, bytes] = {}
    sockets = connect(port, connections)
    for connection in sockets:
        selector.register(connection, EVENT_READ)
    start = perf_counter()
    for sent, connection in enumerate(sockets):
        connection.sendall(requests[sent % DIFFERENT])
    sent = len(sockets)
    answered = 0
    while answered < count:
        for key, _ in selector.select():
            connection = key.fileobj  # type: ignore[assignment] # all of them are sockets
            answer = connection.recv(CHUNK)
            if not answer:
                raise RuntimeError("the server closed a connection")
            if connection in begun:
                answer = begun.pop(connection) + answer
            if not is_whole(answer):
                begun[connection] = answer
                continue
            answered += 1
            if sent < count:
                connection.sendall(requests[sent % DIFFERENT])
                sent += 1
    return perf_counter() - start


def lines(count: int, topic: str) -> bytes:
    """Return so many messages, one in a line."""
    block = b"".join(body + b"\n" for body in messages(topic, DIFFERENT))
    whole, rest = divmod(count, DIFFERENT)
    return block * whole + b"".join(block.splitlines(keepends=True)[:rest])


class Stream:
    """One connection that sends lines and reads answers."""

    def __init__(self, connection: socket.socket, content: bytes, count: int) -> None:
        connection.setblocking(False)
        self.connection = connection
        self._unsent = memoryview(content)
        self._count = count
        self._last = b""

    def write(self) -> bool:
        """Send what can be sent; return whether that was all."""
        self._unsent = self._unsent[self.connection.send(self._unsent[:CHUNK]) :]
        return not self._unsent

    def read(self) -> bool:
        """Read answers; return whether all lines have been accepted."""
        answers = self.connection.recv(CHUNK)
        if not answers:
            raise RuntimeError("the server closed a connection")
        if b"refused" in answers:
            raise RuntimeError(f"refused: {answers!r}")
        self._last = (self._last + answers)[-CHUNK:]
        accepted = _ACCEPTED(self._last)
        return accepted is not None and int(accepted[1]) == self._count


def shares(count: int, parts: int) -> Iterator[int]:
    """Divide `count` in parts that differ by one at most."""
    for part in range(parts):
        yield (count + part) // parts


def tcp(port: int, connections: int, count: int, topic: str) -> float:
    """Send events as lines; return the seconds that it took."""
    selector = DefaultSelector()
    streams = [
        Stream(connection, lines(share, topic), share)
        for connection, share in zip(
            connect(port, connections), shares(count, connections), strict=True
        )
    ]
    for stream in streams:
        selector.register(stream.connection, EVENT_READ | EVENT_WRITE, stream)
    start = perf_counter()
    while selector.get_map():
        for key, ready in selector.select():
            stream = key.data
            if ready & EVENT_WRITE and stream.write():
                selector.modify(stream.connection, EVENT_READ, stream)
            if ready & EVENT_READ and stream.read():
                selector.unregister(stream.connection)
    return perf_counter() - start


def main(kind: str, port: str, connections: str, count: str, topic: str) -> None:
    """Send the load, and print how long it took."""
    send = {"http": http, "tcp": tcp}[kind]
    print(send(int(port), int(connections), int(count), topic))


if __name__ == "__main__":
    main(*sys.argv[1:])
