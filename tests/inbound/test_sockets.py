"""The sources on real sockets: what only the kernel, TLS and Twisted's transports can show."""

from __future__ import annotations

import datetime
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from twisted.internet import reactor as installed_reactor
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from tests.inbound.support import (
    STRUCTURED,
    Recorder,
    Reply,
    get,
    read_replies,
    request,
    structured,
)
from txevents.inbound import base
from txevents.inbound.base import SourceFactory
from txevents.inbound.http import HTTPSource
from txevents.inbound.tcp import TCPSource

reactor: Any = installed_reactor

TIMEOUT = 30
LINE = structured() + b"\n"
TOO_LONG = request(body=b"", headers=(("Content-Length", str(10 * 1024 * 1024)),))


@asynccontextmanager
async def listening(source: SourceFactory, description: str = "") -> AsyncIterator[Any]:
    """Listen; yield the address."""
    endpoint = serverFromString(reactor, description or "tcp:0:interface=127.0.0.1")
    port = await endpoint.listen(source)
    try:
        yield port.getHost()
    finally:
        await maybeDeferred(port.stopListening)
        source.abort()


def connect(address: Any) -> socket.socket:
    client = socket.create_connection((address.host, address.port))
    client.settimeout(TIMEOUT)
    return client


def read_all(client: socket.socket) -> bytes:
    """What the server sends until it closes its side; then the client closes too."""
    received = bytearray()
    with client:
        while data := client.recv(65536):
            received += data
    return bytes(received)


def in_thread(function: Callable[..., Any], *args: Any) -> Deferred[Any]:
    return deferToThread(function, *args).addTimeout(2 * TIMEOUT, reactor)


def replies(data: bytes) -> list[Reply]:
    return list(read_replies(data))


class TestRefusedWhileSending:
    @pytest_twisted.ensureDeferred
    async def test_a_client_that_sends_ten_mebibytes_first_still_gets_its_413(self) -> None:
        def send_all_and_read(address: Any) -> bytes:
            client = connect(address)
            client.sendall(TOO_LONG + b"x" * 10 * 1024 * 1024)
            return read_all(client)

        async with listening(HTTPSource(Recorder(), reactor)) as address:
            (reply,) = replies(await in_thread(send_all_and_read, address))

        assert reply.status == 413
        assert reply.problem

    @pytest_twisted.ensureDeferred
    async def test_a_client_that_never_stops_sending_is_cut_off(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(base, "LINGER", 0)

        def send_for_ever(address: Any) -> None:
            with connect(address) as client:
                client.sendall(TOO_LONG)
                while True:
                    client.sendall(b"x" * 65536)

        async with listening(HTTPSource(Recorder(), reactor)) as address:
            with pytest.raises(OSError, match=r"reset|pipe"):
                await in_thread(send_for_ever, address)


class TestHalfClose:
    @pytest_twisted.ensureDeferred
    async def test_an_http_client_that_has_sent_everything_gets_its_answers(self) -> None:
        intake = Recorder()
        async with listening(HTTPSource(intake, reactor)) as address:
            client = connect(address)
            # All of it is there before the server sees any of it.
            client.sendall(get() + request())
            client.shutdown(socket.SHUT_WR)
            received = await in_thread(read_all, client)

        assert [reply.status for reply in replies(received)] == [200, 202]

    @pytest_twisted.ensureDeferred
    async def test_a_tcp_client_that_has_sent_everything_gets_its_answers(self) -> None:
        intake = Recorder()
        async with listening(TCPSource(intake, reactor)) as address:
            client = connect(address)
            client.sendall(LINE * 3 + LINE.removesuffix(b"\n"))
            client.shutdown(socket.SHUT_WR)
            received = await in_thread(read_all, client)

        assert received == b'{"accepted":3}\n{"accepted":4}\n'

    @pytest_twisted.ensureDeferred
    async def test_a_tcp_client_gets_them_also_when_the_server_had_to_wait(self) -> None:
        intake = Recorder(room=1)
        async with listening(TCPSource(intake, reactor)) as address:
            client = connect(address)
            client.sendall(LINE * 3)
            client.shutdown(socket.SHUT_WR)
            await until(lambda: bool(intake.waiting))
            intake.make_room()
            received = await in_thread(read_all, client)

        assert received == b'{"accepted":1}\n{"accepted":3}\n'


async def until(condition: Callable[[], bool]) -> None:
    """Let the reactor turn until something is so."""
    for _ in range(TIMEOUT * 100):
        if condition():
            return
        await deferLater(reactor, 0.01)
    raise AssertionError("it did not come to be")


async def send_until_nothing_is_taken(client: socket.socket, data: bytes) -> int:
    """Send the same over and over, until the server has not taken a byte for a while."""
    client.setblocking(False)
    sent = stalled = 0
    while stalled < 30:
        assert sent < 50 * 1024 * 1024, "the server takes everything"
        try:
            sent += client.send(data[sent % len(data) :] + data * 100)
            stalled = 0
        except BlockingIOError:
            stalled += 1
            await deferLater(reactor, 0.01)
    client.settimeout(TIMEOUT)
    return sent


class TestBackPressure:
    """The client sends and sends, and does not read."""

    BUFFERS = 64 * 1024

    def connect(self, address: Any) -> socket.socket:
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.BUFFERS)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self.BUFFERS)
        client.connect((address.host, address.port))
        return client

    def finish(self, client: socket.socket, rest: bytes) -> bytes:
        """Send the rest while reading, then read to the end."""
        received = bytearray()
        client.setblocking(False)
        while rest:
            try:
                rest = rest[client.send(rest) :]
            except BlockingIOError:
                client.settimeout(TIMEOUT)
                received += client.recv(65536)
                client.setblocking(False)
        client.settimeout(TIMEOUT)
        client.shutdown(socket.SHUT_WR)
        return bytes(received) + read_all(client)

    @pytest.mark.parametrize("kind", [HTTPSource, TCPSource])
    @pytest_twisted.ensureDeferred
    async def test_the_server_stops_reading_and_goes_on_when_its_answers_are_read(
        self, kind: Any
    ) -> None:
        intake = Recorder()
        # Each line is refused: that makes the longest answers.
        message = request() if kind is HTTPSource else b"{}" + b" " * 60 + b"\n"
        async with listening(kind(intake, reactor)) as address:
            client = self.connect(address)
            sent = await send_until_nothing_is_taken(client, message)
            (transport,) = [
                reader for reader in connections() if reader.getHost().port == address.port
            ]
            buffered = len(transport.dataBuffer) + transport._tempDataLen
            assert transport.producerPaused
            missing = -sent % len(message)
            rest = message[len(message) - missing :] if missing else b""
            received = await in_thread(self.finish, client, rest)

        count = (sent + missing) // len(message)
        # Twisted pauses past 64 KiB; what was read in one go before, at most 64 KiB of messages, is
        # answered as well.
        per_message = len(received) // count
        assert buffered <= 65536 + (65536 // len(message) + 1) * (per_message + 1)
        if kind is HTTPSource:
            assert [reply.status for reply in replies(received)] == [202] * count
            assert len(intake.accepted) == count
        else:
            assert received.count(b'"status":400') == count
            assert b'"index":%d,' % (count - 1) in received.splitlines()[-1]

    @pytest_twisted.ensureDeferred
    async def test_a_full_intake_stops_the_reading_of_lines(self) -> None:
        intake = Recorder(room=100)
        async with listening(TCPSource(intake, reactor)) as address:
            client = self.connect(address)
            sent = await send_until_nothing_is_taken(client, LINE)
            assert len(intake.accepted) == 100
            intake.make_room()
            missing = -sent % len(LINE)
            rest = LINE[len(LINE) - missing :] if missing else b""
            received = await in_thread(self.finish, client, rest)

        count = (sent + missing) // len(LINE)
        assert len(intake.accepted) == count
        assert received.splitlines()[-1] == b'{"accepted":%d}' % count


def connections() -> list[Any]:
    """The server's transports, also those that are not read from."""
    import gc

    from twisted.internet.tcp import Server

    return [found for found in gc.get_objects() if isinstance(found, Server) and found.connected]


class TestStop:
    """The service stops while the client is still sending."""

    @pytest_twisted.ensureDeferred
    async def test_each_line_that_was_accepted_is_answered(self) -> None:
        intake = Recorder()
        source = TCPSource(intake, reactor)

        def send_until_closed(client: socket.socket) -> bytes:
            received = bytearray()
            client.setblocking(False)
            with client:
                while True:
                    with suppress(BlockingIOError):
                        client.send(LINE * 50)
                    try:
                        data = client.recv(65536)
                    except BlockingIOError:
                        continue
                    if not data:
                        return bytes(received)
                    received += data

        async with listening(source) as address:
            sending = in_thread(send_until_closed, connect(address))
            await until(lambda: len(intake.accepted) > 1000)
            await source.finish()
            received = await sending

        last = received.splitlines()[-1]
        assert last == b'{"accepted":%d}' % len(intake.accepted)

    @pytest_twisted.ensureDeferred
    async def test_each_request_that_was_accepted_is_answered(self) -> None:
        intake = Recorder()
        source = HTTPSource(intake, reactor)

        async with listening(source) as address:
            client = connect(address)
            client.sendall(request() * 500)
            await until(lambda: len(intake.accepted) > 0)
            client.sendall(request() * 100)
            finished = source.finish()
            received = await in_thread(read_all, client)
            await finished

        assert [reply.status for reply in replies(received)] == [202] * len(intake.accepted)


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A key and a certificate of 127.0.0.1, signed by itself, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "localhost.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


# Twisted 26.10 gives pyOpenSSL what newer versions of it would rather not have.
@pytest.mark.filterwarnings("ignore:Passing pyOpenSSL:DeprecationWarning")
class TestTLS:
    def describe(self, certificate: Path) -> str:
        return f"ssl:0:interface=127.0.0.1:privateKey={certificate}:certKey={certificate}"

    def connect(self, address: Any, certificate: Path) -> ssl.SSLSocket:
        context = ssl.create_default_context(cafile=str(certificate))
        return context.wrap_socket(connect(address), server_hostname="localhost")

    @pytest_twisted.ensureDeferred
    async def test_events_are_accepted(self, certificate: Path) -> None:
        intake = Recorder()

        def talk(address: Any) -> bytes:
            client = self.connect(address, certificate)
            client.sendall(request(version="1.0"))
            return read_all(client)

        async with listening(HTTPSource(intake, reactor), self.describe(certificate)) as address:
            (reply,) = replies(await in_thread(talk, address))

        assert reply.status == 202
        assert intake.ids == ["e-1"]

    @pytest_twisted.ensureDeferred
    async def test_lines_are_accepted(self, certificate: Path) -> None:
        intake = Recorder()

        def talk(address: Any) -> bytes:
            with self.connect(address, certificate) as client:
                client.sendall(LINE * 3)
                return client.recv(100)

        async with listening(TCPSource(intake, reactor), self.describe(certificate)) as address:
            received = await in_thread(talk, address)

        assert received.endswith(b'{"accepted":3}\n')

    @pytest_twisted.ensureDeferred
    async def test_a_refusal_arrives(self, certificate: Path) -> None:
        def talk(address: Any) -> bytes:
            client = self.connect(address, certificate)
            client.sendall(TOO_LONG + b"x" * 100_000)
            return read_all(client)

        async with listening(
            HTTPSource(Recorder(), reactor), self.describe(certificate)
        ) as address:
            (reply,) = replies(await in_thread(talk, address))

        assert reply.status == 413

    @pytest_twisted.ensureDeferred
    async def test_answers_that_are_not_read_stop_the_reading(self, certificate: Path) -> None:
        intake = Recorder()

        def talk(address: Any) -> int:
            client = self.connect(address, certificate)
            client.settimeout(0.5)
            sent = 0
            with client:
                try:
                    while sent < 50 * 1024 * 1024:
                        client.sendall(request() * 100)
                        sent += 100 * len(request())
                except TimeoutError:
                    pass
            return sent

        async with listening(HTTPSource(intake, reactor), self.describe(certificate)) as address:
            sent = await in_thread(talk, address)

        assert sent < 50 * 1024 * 1024

    @pytest_twisted.ensureDeferred
    async def test_a_client_without_tls_gets_no_answer(self, certificate: Path) -> None:
        intake = Recorder()

        def talk(address: Any) -> bytes:
            client = connect(address)
            client.sendall(request())
            return read_all(client)

        async with listening(HTTPSource(intake, reactor), self.describe(certificate)) as address:
            received = await in_thread(talk, address)

        assert b"HTTP" not in received
        assert intake.accepted == []


@pytest.mark.parametrize("kind", [HTTPSource, TCPSource])
@pytest_twisted.ensureDeferred
async def test_events_are_accepted_on_a_unix_socket(kind: Any, tmp_path: Path) -> None:
    intake = Recorder()
    path = tmp_path / "events.sock"

    def talk() -> bytes:
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(TIMEOUT)
        client.connect(str(path))
        client.sendall(request() if kind is HTTPSource else LINE)
        client.shutdown(socket.SHUT_WR)
        return read_all(client)

    async with listening(kind(intake, reactor), f"unix:{path}"):
        received = await in_thread(talk)

    assert b'{"accepted":1}' in received
    assert intake.ids == ["e-1"]
    assert not path.exists()


@pytest_twisted.ensureDeferred
async def test_the_answer_to_expect_arrives_before_the_body_is_sent() -> None:
    def talk(address: Any) -> tuple[bytes, bytes]:
        fields = (("Content-Type", STRUCTURED), ("Expect", "100-continue"), ("Connection", "close"))
        head, body = request(headers=fields).split(b"\r\n\r\n")
        client = connect(address)
        client.sendall(head + b"\r\n\r\n")
        first = client.recv(1000)
        client.sendall(body)
        return first, read_all(client)

    async with listening(HTTPSource(Recorder(), reactor)) as address:
        first, second = await in_thread(talk, address)

    assert first == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert replies(second)[0].status == 202
