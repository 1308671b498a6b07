"""The TCP source without sockets: lines of JSON, the answers to them, and back-pressure."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.logger import LogEvent, globalLogPublisher

from tests.inbound.support import Client, Recorder, fired, structured, tcp_client
from txevents.inbound.base import LINGER
from txevents.inbound.tcp import TCPLimits, TCPSource

BAD = b'{"specversion": "1.0", "id": "x", "source": "/x"}\n'


def line(number: int = 1, **members: object) -> bytes:
    return structured(id=str(number), **members) + b"\n"


def of_size(size: int) -> bytes:
    """A line of exactly this many bytes, without its end."""
    return structured(data="x" * (size - len(structured(data=""))))


def test_the_limits_are_those_that_are_promised() -> None:
    assert TCPLimits() == TCPLimits(line=256 * 1024, idle_timeout=600)


def test_lines_that_come_together_are_answered_once() -> None:
    intake = Recorder()
    client = tcp_client(intake)

    client.send(b"".join([line(number) for number in range(100)]))

    assert client.lines == [{"accepted": 100}]
    assert client.received == b'{"accepted":100}\n'
    assert intake.ids == [str(number) for number in range(100)]


def test_the_count_is_that_of_the_connection() -> None:
    client = tcp_client()

    client.send(line())
    client.send(line() + line())
    client.send(line()[:20])
    client.send(line()[20:] + line()[:5])

    assert client.lines == [{"accepted": 1}, {"accepted": 3}, {"accepted": 4}]


def test_a_line_may_end_with_cr_lf_and_empty_lines_do_not_count() -> None:
    intake = Recorder()
    client = tcp_client(intake)

    client.send(b"\n\r\n" + line(1).replace(b"\n", b"\r\n") + b"\n\n" + line(2) + b"\n" + BAD)

    assert intake.ids == ["1", "2"]
    assert [answer.get("refused", {}).get("index") for answer in client.lines] == [2, None]
    assert client.lines[-1] == {"accepted": 2}


def test_a_bad_line_is_refused_and_the_connection_goes_on() -> None:
    intake = Recorder()
    client = tcp_client(intake)

    client.send(line(1) + BAD + line(2))
    client.send(line(3))

    assert client.lines == [
        {
            "refused": {
                "index": 1,
                "status": 400,
                "title": "Bad Request",
                "detail": "type: required, and missing",
            }
        },
        {"accepted": 2},
        {"accepted": 3},
    ]
    assert intake.ids == ["1", "2", "3"]
    assert client.state == "open"


@pytest.mark.parametrize(
    "bad",
    [
        b"{",
        b"[]",
        b"null",
        b"1",
        b'"x"',
        b"\0",
        b"\xff\xfe",
        b"\xef\xbb\xbf" + structured(),
        b" ",
        b"\r\r",
        structured() + structured(),
        b"[" * 100_000,
        b"POST /events HTTP/1.1\r",
        b"\x16\x03\x01",
        structured(id=""),
        structured(type=1),
        structured(specversion="2.0"),
    ],
)
def test_whatever_a_line_holds_the_next_one_is_taken(bad: bytes) -> None:
    intake = Recorder()
    client = tcp_client(intake)

    client.send(bad + b"\n" + line())

    refused, accepted = client.lines
    assert refused["refused"]["index"] == 0
    assert refused["refused"]["status"] == 400
    assert refused["refused"]["title"] == "Bad Request"
    assert accepted == {"accepted": 1}


def test_an_unexpected_exception_refuses_the_line_and_is_logged_and_not_shown() -> None:
    intake = Recorder()
    intake.error = ZeroDivisionError("a secret")
    client = tcp_client(intake)
    logged: list[LogEvent] = []
    globalLogPublisher.addObserver(logged.append)  # type: ignore[arg-type]

    try:
        client.send(line())
    finally:
        globalLogPublisher.removeObserver(logged.append)  # type: ignore[arg-type]
    intake.error = None
    client.send(line())

    assert client.lines == [
        {
            "refused": {
                "index": 0,
                "status": 500,
                "title": "Internal Server Error",
                "detail": "the line could not be processed",
            }
        },
        {"accepted": 1},
    ]
    (event,) = [event for event in logged if "log_failure" in event]
    assert event["log_failure"].check(ZeroDivisionError)


@pytest.mark.parametrize("size", [None, 1000, 65536])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
class TestLimit:
    LIMIT = TCPLimits().line

    def test_a_line_at_the_limit_is_accepted(self, size: int | None, end: bytes) -> None:
        client = tcp_client()

        client.send(of_size(self.LIMIT) + end + line(), size)

        assert client.lines[-1] == {"accepted": 2}

    def test_a_longer_one_is_413_and_the_next_one_is_taken(
        self, size: int | None, end: bytes
    ) -> None:
        for extra in (1, 2, 3, 100_000):
            intake = Recorder()
            client = tcp_client(intake)

            client.send(line(1) + of_size(self.LIMIT + extra) + end + line(2) + BAD, size)

            refused = [a["refused"] for a in client.lines if "refused" in a]
            assert [(r["index"], r["status"]) for r in refused] == [(1, 413), (3, 400)]
            assert refused[0]["title"] == "Content Too Large"
            assert refused[0]["detail"] == f"the line is longer than {self.LIMIT} bytes"
            assert {"accepted": 2} in client.lines
            assert intake.ids == ["1", "2"]

    def test_a_line_without_an_end_is_refused_once_and_not_kept(
        self, size: int | None, end: bytes
    ) -> None:
        client = tcp_client()

        for _ in range(20):
            client.send(b"x" * self.LIMIT, size)
        refused = client.lines
        client.send(end + line())

        assert [answer["refused"]["index"] for answer in refused] == [0]
        assert client.lines[1:] == [{"accepted": 1}]


class TestWaiting:
    """The intake is full."""

    def test_the_connection_is_not_read_and_goes_on_by_itself(self) -> None:
        intake = Recorder(room=2)
        client = tcp_client(intake)

        client.send(line(1) + line(2) + line(3) + line(4))
        assert client.lines == [{"accepted": 2}]
        assert not client.is_read()
        intake.make_room()

        assert client.lines == [{"accepted": 2}, {"accepted": 4}]
        assert client.is_read()
        assert intake.ids == ["1", "2", "3", "4"]

    def test_what_was_on_its_way_keeps_its_order(self) -> None:
        intake = Recorder(room=1)
        client = tcp_client(intake)

        client.send(line(1) + line(2))
        client.send(line(3)[:9])
        client.send(line(3)[9:] + BAD)
        assert len(client.lines) == 1
        intake.make_room()

        assert intake.ids == ["1", "2", "3"]
        assert client.lines[1]["refused"]["index"] == 3
        assert client.lines[2] == {"accepted": 3}

    def test_it_waits_again_when_the_room_is_used_up(self) -> None:
        intake = Recorder(room=1)
        client = tcp_client(intake)

        client.send(line(1) + line(2) + line(3))
        intake.make_room(1)

        assert client.lines == [{"accepted": 1}, {"accepted": 2}]
        assert not client.is_read()
        intake.make_room(1)
        assert client.lines[-1] == {"accepted": 3}
        assert client.is_read()

    def test_a_lost_connection_waits_no_more(self) -> None:
        intake = Recorder(room=0)
        client = tcp_client(intake)

        client.send(line())
        assert len(intake.waiting) == 1
        client.close()

        assert intake.waiting == []
        intake.make_room()
        assert intake.accepted == []

    def test_reading_answers_does_not_end_the_waiting(self) -> None:
        intake = Recorder(room=1)
        client = tcp_client(intake)

        client.send(line(1) + line(2))
        client.connection.pauseProducing()
        client.connection.resumeProducing()

        assert not client.is_read()
        intake.make_room()
        assert client.is_read()
        assert intake.ids == ["1", "2"]

    def test_room_does_not_end_the_wait_for_a_client_that_does_not_read(self) -> None:
        intake = Recorder(room=1)
        client = tcp_client(intake)

        client.send(line(1) + line(2))
        client.connection.pauseProducing()
        intake.make_room()

        assert not client.is_read()
        assert intake.ids == ["1"]
        client.connection.resumeProducing()
        assert client.is_read()
        assert intake.ids == ["1", "2"]

    def test_it_has_no_deadline(self) -> None:
        intake = Recorder(room=0)
        client = tcp_client(intake, TCPLimits(idle_timeout=5))

        client.send(line())
        client.wait(100)
        assert client.state == "open"
        intake.make_room()

        assert client.lines == [{"accepted": 1}]
        client.wait(5)
        assert client.state == "open"

    def test_when_the_service_stops_the_lines_that_were_read_are_taken_first(self) -> None:
        intake = Recorder(room=1)
        clock = Clock()
        source = TCPSource(intake, clock)
        client = Client(source, clock)

        client.send(line(1) + line(2) + line(3) + line(4)[:5])
        finished = source.finish()
        assert client.state == "open"
        intake.make_room()

        assert client.lines == [{"accepted": 1}, {"accepted": 3}]
        assert client.state == "half-closed"
        client.close()
        assert fired(finished)


class TestAnswersThatAreNotRead:
    def test_no_line_is_taken_until_they_are(self) -> None:
        intake = Recorder()
        client = tcp_client(intake)

        client.connection.pauseProducing()
        client.send(line(1) + line(2))
        assert intake.accepted == []
        assert not client.is_read()
        client.connection.resumeProducing()

        assert intake.ids == ["1", "2"]
        assert client.lines == [{"accepted": 2}]
        assert client.is_read()

    def test_the_client_is_cut_off_in_the_end(self) -> None:
        client = tcp_client(limits=TCPLimits(idle_timeout=5))

        client.send(line())
        client.connection.pauseProducing()
        client.wait(6)

        assert client.state == "aborted"


class TestEnd:
    def test_an_idle_connection_is_closed(self) -> None:
        client = tcp_client(limits=TCPLimits(idle_timeout=5))

        client.wait(5)
        client.send(line()[:3])
        client.wait(5)
        assert client.state == "open"

        client.wait(1)

        assert client.state == "closing"

    def test_one_that_does_not_close_is_cut_off(self) -> None:
        client = tcp_client(limits=TCPLimits(idle_timeout=5))

        client.wait(6 + LINGER + 1)

        assert client.state == "aborted"

    def test_the_last_line_may_lack_its_newline(self) -> None:
        intake = Recorder()
        client = tcp_client(intake)

        client.send(line(1) + line(2).removesuffix(b"\n"))
        client.half_close()

        assert intake.ids == ["1", "2"]
        assert client.lines == [{"accepted": 1}, {"accepted": 2}]
        assert client.state == "half-closed"

    def test_a_line_that_was_cut_off_is_refused(self) -> None:
        client = tcp_client()

        client.send(line(1) + line(2)[:-5])
        client.half_close()

        assert client.lines[0] == {"accepted": 1}
        assert client.lines[1]["refused"]["index"] == 1

    def test_a_client_that_sends_nothing_and_closes_its_side_is_told_nothing(self) -> None:
        client = tcp_client()

        client.half_close()

        assert client.received == b""
        assert client.state == "half-closed"

    def test_a_line_that_is_lost_with_the_connection_is_not_taken(self) -> None:
        intake = Recorder()
        client = tcp_client(intake)

        client.send(line().removesuffix(b"\n"))
        client.close()

        assert intake.accepted == []

    def test_when_the_service_stops_an_idle_connection_is_closed(self) -> None:
        intake = Recorder()
        clock = Clock()
        source = TCPSource(intake, clock)
        client = Client(source, clock)

        client.send(line(1) + line(2)[:5])
        source.finish()
        client.send(line(2)[5:])

        # What the client is sending may be on its way: it is dropped, and the answer not lost.
        assert client.state == "half-closed"
        assert client.lines == [{"accepted": 1}]
        assert intake.ids == ["1"]


PIECES = [
    line(1),
    line(2, data={"a": [1, 2, 3]}),
    line(3).replace(b"\n", b"\r\n"),
    line(4, data="x" * 300),
    structured(data="x" * 200 + "y" * 150) + b"\r\n",
    of_size(300) + b"\n",
    of_size(300) + b"\r\n",
    of_size(301) + b"\n",
    of_size(301) + b"\r\n",
    of_size(302) + b"\n",
    BAD,
    b"\n",
    b"\r\n",
    b"\r\r\n",
    b"{\n",
    b"x" * 1000 + b"\n",
]


@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=8), st.data())
def test_the_answers_are_the_same_however_the_bytes_are_split(
    pieces: list[bytes], data: st.DataObject
) -> None:
    sent = b"".join(pieces)
    cuts = data.draw(st.sets(st.integers(0, len(sent)), max_size=30))
    whole, split = Recorder(), Recorder()
    first, second = tcp_client(whole, TCPLimits(300)), tcp_client(split, TCPLimits(300))

    first.send(sent)
    second.send_cut(sent, cuts)

    assert split.accepted == whole.accepted
    assert refusals(second) == refusals(first)
    assert [a for a in second.lines if "accepted" in a][-1:] == first.lines[-1:] or not whole.ids


@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=8), st.integers(0, 4))
def test_the_answers_are_the_same_however_often_it_has_to_wait(
    pieces: list[bytes], room: int
) -> None:
    sent = b"".join(pieces)
    whole, waited = Recorder(), Recorder(room)
    first, second = tcp_client(whole, TCPLimits(300)), tcp_client(waited, TCPLimits(300))

    first.send(sent)
    second.send(sent, 50)
    for _ in pieces:
        waited.make_room(1)

    assert waited.accepted == whole.accepted
    assert refusals(second) == refusals(first)


def refusals(client: Client) -> list[object]:
    return [answer for answer in client.lines if "refused" in answer]


@pytest.mark.parametrize("piece", PIECES)
def test_the_answers_are_the_same_byte_by_byte(piece: bytes) -> None:
    whole, split = tcp_client(limits=TCPLimits(300)), tcp_client(limits=TCPLimits(300))

    whole.send(piece + line())
    split.send(piece + line(), 1)

    assert refusals(split) == refusals(whole)
    assert split.lines[-1] == whole.lines[-1]
