"""The sizes that a client of the HTTP source may ask for: at each limit, and one byte past it."""

from __future__ import annotations

import pytest

from tests.inbound.support import (
    STRUCTURED,
    Recorder,
    chunks,
    get,
    http_client,
    request,
    structured,
)
from txevents.inbound.http import MAX_HEADERS, MAX_TARGET, HTTPLimits

MIB = 1024 * 1024
CE = ("Content-Type", STRUCTURED)
CHUNKED = ("Transfer-Encoding", "chunked")
SIZES = [None, 1000]


def body_of(size: int) -> bytes:
    """A structured event of exactly this many bytes."""
    return structured(data="x" * (size - len(structured(data=""))))


def header_of(size: int, target: str = "/events") -> bytes:
    """A request whose header fields count exactly this many bytes."""
    data = request(target, headers=(CE, ("X", "")))
    counted = sum(len(line) + 2 for line in data.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:])
    return request(target, headers=(CE, ("X", "x" * (size - counted))))


def test_the_limits_are_those_that_are_promised() -> None:
    assert attributes(HTTPLimits()) == (MIB, 16 * 1024, 10, 30, 60)
    assert MAX_TARGET == 8 * 1024


def attributes(limits: HTTPLimits) -> tuple[int, ...]:
    return (
        limits.body,
        limits.header,
        limits.header_timeout,
        limits.body_timeout,
        limits.idle_timeout,
    )


@pytest.mark.parametrize("size", SIZES)
class TestBody:
    def test_a_body_at_the_limit_is_accepted(self, size: int | None) -> None:
        intake = Recorder()
        client = http_client(intake)

        client.send(request(body=body_of(MIB)), size)

        assert client.reply.status == 202
        assert len(intake.accepted) == 1

    def test_a_longer_one_is_413_from_the_header_alone(self, size: int | None) -> None:
        client = http_client()

        client.send(request(body=b"", headers=(CE, ("Content-Length", str(MIB + 1)))), size)

        assert client.reply.status == 413
        assert client.reply.problem == f"the body is longer than {MIB} bytes"
        assert client.reply.headers["connection"] == "close"
        assert client.state == "half-closed"

    def test_a_chunked_body_at_the_limit_is_accepted(self, size: int | None) -> None:
        intake = Recorder()
        client = http_client(intake)
        head = request(body=b"", headers=(CE, CHUNKED)).removesuffix(b"0\r\n\r\n")

        client.send(head + chunks(body_of(MIB), 4096) + get(), size)

        assert client.statuses == [202, 200]
        assert len(intake.accepted) == 1

    def test_a_longer_chunked_one_is_413_at_the_first_byte_too_much(self, size: int | None) -> None:
        intake = Recorder()
        client = http_client(intake)
        head = request(body=b"", headers=(CE, CHUNKED)).removesuffix(b"0\r\n\r\n")

        client.send(head + chunks(body_of(MIB), 4096).removesuffix(b"0\r\n\r\n"), size)
        assert client.replies == []
        client.send(b"1\r\nx")

        assert client.reply.status == 413
        assert client.reply.problem
        assert client.state == "half-closed"
        assert intake.accepted == []

    def test_a_refused_body_is_read_to_its_end_and_not_kept(self, size: int | None) -> None:
        client = http_client()

        client.send(request("/no", body_of(MIB)) + get(), size)

        assert client.statuses == [404, 200]

    def test_a_refused_body_that_is_too_long_is_413(self, size: int | None) -> None:
        client = http_client()
        head = request("/no", b"", headers=(CE, CHUNKED)).removesuffix(b"0\r\n\r\n")

        client.send(head + chunks(b"x" * (MIB + 1), 4096), size)

        assert client.reply.status == 413


@pytest.mark.parametrize("size", [*SIZES, 1])
class TestHeader:
    @pytest.mark.parametrize("target", ["/events", "/events?" + "q" * (MAX_TARGET - 8)])
    def test_header_fields_at_the_limit_are_accepted(self, size: int | None, target: str) -> None:
        client = http_client()

        client.send(header_of(16 * 1024, target), size)

        assert client.reply.status == 202

    def test_larger_ones_are_431(self, size: int | None) -> None:
        client = http_client()

        client.send(header_of(16 * 1024 + 1) + get(), size)

        assert client.reply.status == 431
        assert client.reply.problem == (
            f"the header fields are larger than {16 * 1024} bytes or {MAX_HEADERS} lines"
        )
        assert client.reply.headers["connection"] == "close"
        assert client.state == "half-closed"

    def test_a_hundred_fields_are_accepted(self, size: int | None) -> None:
        client = http_client()
        fields = [("X", "x")] * (MAX_HEADERS - 3)  # with Host, Content-Type and Content-Length

        client.send(request(headers=(CE, *fields)), size)

        assert client.reply.status == 202

    def test_one_more_is_431(self, size: int | None) -> None:
        client = http_client()
        fields = [("X", "x")] * (MAX_HEADERS - 2)

        client.send(request(headers=(CE, *fields)), size)

        assert client.reply.status == 431

    def test_a_target_at_the_limit_is_looked_up(self, size: int | None) -> None:
        client = http_client()

        client.send(get("/healthz?" + "q" * (MAX_TARGET - 9)), size)

        assert client.reply.status == 200

    def test_a_longer_one_is_414(self, size: int | None) -> None:
        client = http_client()

        client.send(get("/healthz?" + "q" * (MAX_TARGET - 8)), size)

        assert client.reply.status == 414
        assert client.reply.problem == f"the request target is longer than {MAX_TARGET} bytes"
        assert client.state == "half-closed"


def sent_until_refused(start: bytes, piece: bytes) -> tuple[int, int]:
    """How many bytes a client can send of something without an end, and the refusal's status."""
    client = http_client()
    client.send(start)
    sent = 0
    while client.state == "open":
        assert sent < 4 * MIB, "there is no limit"
        client.send(piece)
        sent += len(piece)
    assert client.state == "half-closed"
    assert client.reply.problem
    return sent, client.reply.status


CHUNKED_HEAD = request(body=b"", headers=(CE, CHUNKED)).removesuffix(b"0\r\n\r\n")


@pytest.mark.parametrize(
    ("start", "piece", "status", "limit"),
    [
        (b"GET /", b"a" * 500, 414, MAX_TARGET),
        (b"GET / HTTP/1.1\r\n", b"a" * 500, 431, 32 * 1024),
        (b"GET / HTTP/1.1\r\nA:", b" " * 500, 431, 32 * 1024),
        (b"GET / HTTP/1.1\r\nA: ", b"a" * 500, 431, 32 * 1024),
        (b"GET / HTTP/1.1\r\n", b"A: b\r\n" * 10, 431, 16 * 1024),
        (CHUNKED_HEAD + b"1;", b"a" * 500, 413, MIB + 32 * 1024),
        (CHUNKED_HEAD, b"1;%b\r\nx\r\n" % (b"a" * 500), 413, MIB + 32 * 1024),
        (CHUNKED_HEAD + b"0\r\nA: ", b"a" * 500, 413, MIB + 32 * 1024),
        (CHUNKED_HEAD + b"0\r\n", b"A: b\r\n" * 100, 413, MIB + 32 * 1024),
        (CHUNKED_HEAD, b"1\r\nx\r\n" * 100, 413, 6 * MIB),
    ],
    ids=[
        "target",
        "name",
        "blanks",
        "value",
        "fields",
        "chunk extension",
        "chunk extensions",
        "trailer value",
        "trailer fields",
        "small chunks",
    ],
)
def test_nothing_without_an_end_is_taken_without_a_limit(
    start: bytes, piece: bytes, status: int, limit: int
) -> None:
    sent, refused_with = sent_until_refused(start, piece)

    assert refused_with == status
    assert sent <= limit + len(piece)


def test_the_limits_of_a_source_can_be_set() -> None:
    limits = HTTPLimits(body=100, header=50)
    client = http_client(limits=limits)
    other = http_client(limits=limits)

    client.send(request(body=b"", headers=(("Content-Length", "101"),)))
    other.send(request(body=b"", headers=(("A", "a" * 50),)))

    assert (client.reply.status, other.reply.status) == (413, 431)
