"""The times that a client of the HTTP source may take. They count in whole seconds, rounded up."""

from __future__ import annotations

import pytest

from tests.inbound.support import STRUCTURED, Client, get, http_client, request
from txevents.inbound.base import LINGER
from txevents.inbound.http import HTTPLimits

LIMITS = HTTPLimits(header_timeout=5, body_timeout=20, idle_timeout=40)
HEAD, BODY = request().split(b"{", 1)


@pytest.fixture
def client() -> Client:
    return http_client(limits=LIMITS)


def test_a_silent_client_is_closed_after_the_time_for_a_header(client: Client) -> None:
    client.wait(LIMITS.header_timeout)
    assert client.state == "open"

    client.wait(1)

    assert client.state == "aborted"
    assert client.received == b""


def test_an_idle_connection_is_closed_without_a_word(client: Client) -> None:
    client.send(get())
    client.wait(LIMITS.idle_timeout)
    assert client.state == "open"

    client.wait(1)

    assert client.state == "aborted"
    assert client.statuses == [200]


def test_a_header_that_takes_too_long_is_408(client: Client) -> None:
    client.send(get())
    client.wait(30)
    client.send(HEAD[:5])
    client.wait(LIMITS.header_timeout)
    assert client.statuses == [200]

    client.wait(1)

    assert client.statuses == [200, 408]
    assert client.replies[1].problem == "the header fields took too long"
    assert client.replies[1].headers["connection"] == "close"
    assert client.state == "half-closed"


def test_a_body_that_takes_too_long_is_408(client: Client) -> None:
    client.send(HEAD)
    client.wait(LIMITS.body_timeout)
    assert client.replies == []

    client.wait(1)

    assert client.reply.status == 408
    assert client.reply.problem == "the body took too long"
    assert client.state == "half-closed"


@pytest.mark.parametrize("start", [b"", HEAD])
def test_a_byte_now_and_then_does_not_put_the_end_off(client: Client, start: bytes) -> None:
    client.send(start)
    for byte in b"G" * 100:
        client.send(bytes([byte]) if start else b"\r\n")
        client.wait(1)

    assert client.state == "aborted"
    assert [reply.status for reply in client.replies] == ([408] if start else [])


def test_a_header_byte_now_and_then_does_not_put_the_end_off(client: Client) -> None:
    for byte in HEAD[:7]:
        client.send(bytes([byte]))
        client.wait(1)

    assert client.reply.status == 408


def test_a_body_that_comes_in_time_is_accepted(client: Client) -> None:
    client.send(HEAD)
    client.wait(LIMITS.body_timeout)
    client.send(b"{" + BODY)

    assert client.reply.status == 202


def test_each_request_has_its_own_time(client: Client) -> None:
    for _ in range(5):
        client.send(HEAD[:5])
        client.wait(LIMITS.header_timeout)
        client.send(HEAD[5:])
        client.wait(LIMITS.body_timeout)
        client.send(b"{" + BODY)
        client.wait(LIMITS.idle_timeout)

    assert client.statuses == [202] * 5
    assert client.state == "open"


def test_waiting_for_the_body_after_100_continue_has_its_time_too(client: Client) -> None:
    fields = (("Content-Type", STRUCTURED), ("Expect", "100-continue"))
    client.send(request(headers=fields).split(b"{", 1)[0])

    client.wait(LIMITS.body_timeout + 1)

    assert client.statuses == [100, 408]


def test_a_client_that_does_not_close_after_a_refusal_is_cut_off(client: Client) -> None:
    client.send(b"\0")
    assert client.state == "half-closed"
    for _ in range(LINGER):
        client.send(b"more")
        client.wait(1)
    assert client.state == "half-closed"

    client.wait(1)

    assert client.state == "aborted"


def test_a_client_that_does_not_take_the_last_answer_is_cut_off(client: Client) -> None:
    client.send(get(version="1.0"))
    assert client.state == "closing"

    client.wait(LINGER + 1)

    assert client.state == "aborted"


class TestAnswersThatAreNotRead:
    def test_the_client_has_the_idle_time_for_them(self, client: Client) -> None:
        client.send(get())
        client.wait(30)
        client.connection.pauseProducing()
        client.wait(LIMITS.idle_timeout)
        assert client.state == "open"

        client.wait(1)

        assert client.state == "aborted"
        assert client.statuses == [200]

    @pytest.mark.parametrize("data", [HEAD[:5], HEAD])
    def test_a_request_that_was_begun_does_not_shorten_it(
        self, client: Client, data: bytes
    ) -> None:
        client.connection.pauseProducing()
        client.send(data)
        client.wait(LIMITS.idle_timeout)
        assert client.state == "open"

        client.wait(1)

        assert client.state == "aborted"
        assert client.received == b""

    @pytest.mark.parametrize(
        ("data", "seconds"), [(HEAD[:5], LIMITS.header_timeout), (HEAD, LIMITS.body_timeout)]
    )
    def test_the_request_has_its_whole_time_when_they_have_been_read(
        self, client: Client, data: bytes, seconds: int
    ) -> None:
        client.send(data)
        client.connection.pauseProducing()
        client.wait(LIMITS.idle_timeout)
        client.connection.resumeProducing()
        client.wait(seconds)
        assert client.replies == []

        client.wait(1)

        assert client.reply.status == 408
