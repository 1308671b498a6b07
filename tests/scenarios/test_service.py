"""The whole service under load, with failing and slow handlers, and at its end."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import msgspec
import pytest_twisted
from treq.client import HTTPClient

from tests.scenarios.support import (
    ACCEPTED,
    PATIENCE,
    ROOT,
    STRUCTURED,
    TWISTD,
    Event,
    Twistd,
    both_reactors,
    converse,
    curl,
    is_refused,
    post,
    seen_by,
    send_lines,
    wait_until,
)


def make(number: int, type: str = "test.load", data: object = None) -> Event:
    return {
        "specversion": "1.0",
        "id": f"{number}",
        "source": "/scenario",
        "type": type,
        "data": {"n": number} if data is None else data,
    }


def request(body: bytes) -> bytes:
    return (
        b"POST /events HTTP/1.1\r\nHost: localhost\r\n"
        b"Content-Type: application/cloudevents+json\r\n"
        b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    )


@both_reactors
def test_a_thousand_pipelined_requests_arrive_once_and_in_order(service: Twistd) -> None:
    events = [make(number) for number in range(1000)]
    data = b"".join(request(msgspec.json.encode(event)) for event in events)

    answers = converse(
        service.ports["http"], data, lambda answer: answer.count(b'{"accepted":1}') == 1000
    )

    assert answers.count(b"HTTP/1.1 202 Accepted\r\n") == answers.count(b"HTTP/1.1 ") == 1000
    assert seen_by("everything", service.stop()) == events


@both_reactors
def test_ten_thousand_lines_arrive_once_and_in_order(service: Twistd) -> None:
    events = [make(number) for number in range(10_000)]

    answers = send_lines(service.ports["tcp"], [msgspec.json.encode(event) for event in events])

    accepted = [answer["accepted"] for answer in answers]
    assert accepted == sorted(set(accepted))
    assert accepted[-1] == 10_000
    assert seen_by("everything", service.stop()) == events


def test_lines_of_many_connections_arrive_once_and_each_connections_in_order(
    service: Twistd,
) -> None:
    connections = [
        socket.create_connection(("127.0.0.1", service.ports["tcp"]), PATIENCE) for _ in range(50)
    ]
    for number in range(20):
        for which, connection in enumerate(connections):
            line = msgspec.json.encode(make(number, data=which)) + b"\n"
            # A line need not come in one piece.
            connection.sendall(line[:20])
            connection.sendall(line[20:])
    for connection in connections:
        answer = b""
        while not answer.endswith(b'{"accepted":20}\n'):
            chunk = connection.recv(1 << 16)
            assert chunk, answer
            answer += chunk
        connection.close()

    seen = seen_by("everything", service.stop())
    assert len(seen) == 20 * 50
    for which in range(50):
        assert [e["id"] for e in seen if e["data"] == which] == [f"{n}" for n in range(20)]


@pytest_twisted.ensureDeferred
async def test_an_event_with_64_kib_of_data_is_accepted(
    service: Twistd, treq_client: HTTPClient
) -> None:
    text = "ä" * 32_767  # 65,536 bytes, with its quotes
    assert len(msgspec.json.encode(text)) == 65_536
    structured, binary, line = (make(n, data=text) for n in range(3))
    attributes = {
        f"ce-{name}": str(binary[name]) for name in ("specversion", "id", "source", "type")
    }

    for body, headers in (
        (msgspec.json.encode(structured), STRUCTURED),
        (msgspec.json.encode(text), {**attributes, "Content-Type": "application/json"}),
    ):
        assert await post(treq_client, service.url("/events"), body, headers) == ACCEPTED
    assert send_lines(service.ports["tcp"], [msgspec.json.encode(line)]) == [{"accepted": 1}]

    expected = [structured, {**binary, "datacontenttype": "application/json"}, line]
    assert seen_by("everything", await service.stopped()) == expected


def test_a_handler_that_fails_stops_no_other_and_is_in_the_log(
    service: Twistd, tmp_path: Path
) -> None:
    failing, next_one = make(1, "test.failing"), make(2)
    for sent in (failing, next_one):
        body = msgspec.json.encode(sent)
        assert curl(service.url("/events"), body, STRUCTURED, tmp_path) == ACCEPTED

    assert seen_by("everything", service.stop(errors=True)) == [failing, next_one]
    assert "RuntimeError: as the test wants it" in service.log
    assert service.log.count("Traceback") == 1


@both_reactors
def test_sigterm_lets_a_slow_handler_finish(service: Twistd, tmp_path: Path) -> None:
    slow = make(1, "test.slow")
    curl(service.url("/events"), msgspec.json.encode(slow), STRUCTURED, tmp_path)
    wait_until(lambda: seen_by("slow, begun", service.records), "the start of the handler")

    service.terminate()

    wait_until(lambda: is_refused(service.ports["http"]), "the end of listening")
    assert service.process.poll() is None
    assert not seen_by("slow, finished", service.records)
    service.say_enough()
    assert seen_by("slow, finished", service.end()) == [slow]


def test_sigterm_with_open_connections_ends_the_process(service: Twistd) -> None:
    with (
        socket.create_connection(("127.0.0.1", service.ports["http"]), PATIENCE) as http,
        socket.create_connection(("127.0.0.1", service.ports["tcp"]), PATIENCE) as tcp,
    ):
        http.sendall(request(msgspec.json.encode(make(1))))
        tcp.sendall(msgspec.json.encode(make(2)) + b"\nhalf a line")
        assert b"202 Accepted" in http.recv(1 << 16)
        assert tcp.recv(1 << 16) == b'{"accepted":1}\n'

        service.terminate()

        assert http.recv(1) == tcp.recv(1) == b""
    seen = seen_by("everything", service.end())
    assert sorted(event["id"] for event in seen) == ["1", "2"]


def test_a_process_that_cannot_listen_says_so_in_one_line_and_exits(service: Twistd) -> None:
    endpoint = f"tcp:{service.ports['http']}:interface=127.0.0.1"

    result = subprocess.run(
        [TWISTD, "--nodaemon", "--pidfile=", "events", "--http", endpoint],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )

    output = result.stdout + result.stderr
    assert result.returncode == 1
    assert output.splitlines()[-1].endswith("Address already in use.")
    assert f"twistd events: --http {endpoint}: CannotListenError: " in output
    assert "Traceback" not in output
