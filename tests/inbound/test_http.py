"""The HTTP source without sockets: what is answered, in which order, and what becomes of the
connection."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.logger import LogEvent, globalLogPublisher

from tests.inbound.support import (
    STRUCTURED,
    Client,
    Recorder,
    chunks,
    fired,
    get,
    http_client,
    request,
    structured,
)
from txevents import EventLinker, ReactorEmitter
from txevents.inbound.http import HTTPSource
from txevents.inbound.intake import Intake

JSON = ("Content-Type", "application/json")
CE = ("Content-Type", STRUCTURED)
BINARY = (("ce-specversion", "1.0"), ("ce-id", "b-1"), ("ce-source", "/b"), ("ce-type", "b.c"))
CHUNKED = ("Transfer-Encoding", "chunked")


def test_a_structured_event_is_accepted_with_202() -> None:
    intake = Recorder()
    client = http_client(intake)

    client.send(request(body=structured(data={"n": 1})))

    assert client.reply.status == 202
    assert client.reply.reason == "Accepted"
    assert client.reply.headers["content-type"] == "application/json"
    assert client.reply.json == {"accepted": 1}
    (envelope,) = intake.accepted
    assert (envelope.id, envelope.type, envelope.data) == ("e-1", "com.example.tested", {"n": 1})


def test_an_event_in_binary_mode_is_accepted_with_202() -> None:
    intake = Recorder()
    client = http_client(intake)

    client.send(request(body=b'{"n": 1}', headers=(JSON, *BINARY)))

    assert client.reply.status == 202
    assert client.reply.json == {"accepted": 1}
    (envelope,) = intake.accepted
    assert (envelope.id, envelope.type, envelope.data) == ("b-1", "b.c", {"n": 1})


def test_a_hook_is_accepted_with_the_id_of_its_sender() -> None:
    intake = Recorder()
    client = http_client(intake)

    client.send(request("/hooks/ci", b"[1]", headers=(JSON, ("X-GitHub-Delivery", "d-7"))))

    assert client.reply.status == 202
    assert client.reply.json == {"accepted": 1, "id": "d-7"}
    (envelope,) = intake.accepted
    assert (envelope.id, envelope.type, envelope.data) == ("d-7", "hook.ci", [1])


def test_a_hook_without_an_id_gets_one_that_the_sender_is_told() -> None:
    intake = Recorder()
    client = http_client(intake)

    client.send(request("/hooks/ci", b"{}", headers=(JSON,)) * 2)

    assert [reply.json["id"] for reply in client.replies] == intake.ids
    assert len(set(intake.ids)) == 2


def test_an_answer_is_dated_and_does_not_name_the_server() -> None:
    client = http_client(clock=Clock())

    client.send(get())
    client.clock.advance(1)
    client.send(get())

    assert [reply.headers["date"] for reply in client.replies] == [
        "Thu, 01 Jan 1970 00:00:00 GMT",
        "Thu, 01 Jan 1970 00:00:01 GMT",
    ]
    assert all("server" not in reply.headers for reply in client.replies)


def test_health_is_asked_with_get() -> None:
    client = http_client()

    client.send(get())

    assert client.reply.status == 200
    assert client.reply.json == {"status": "ok"}
    assert client.reply.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(("target", "status"), [("/healthz", 200), ("/no", 404), ("/events", 405)])
def test_an_answer_to_head_has_the_fields_of_the_answer_and_no_body(
    target: str, status: int
) -> None:
    client = http_client()

    client.send(get(target, "HEAD") + get())

    head, _, rest = client.received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert b"\r\nContent-Length: " in head
    assert rest.startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_refusal_of_head_that_ends_the_connection_has_no_body_either() -> None:
    client = http_client()

    client.send(b"HEAD /healthz HTTP/1.1\r\n\r\n")

    assert client.received.startswith(b"HTTP/1.1 400 ")
    assert client.received.endswith(b"\r\n\r\n")


def test_garbage_after_a_request_with_head_is_refused_with_a_body() -> None:
    client = http_client()

    client.send(get(method="HEAD"))
    client.transport.clear()
    client.send(b"\x00\x00")

    assert client.reply.status == 400
    assert "malformed HTTP" in client.reply.problem


def test_the_connection_is_kept_after_each_answer() -> None:
    client = http_client()

    for _ in range(3):
        client.send(request())
        client.send(get("/no"))

    assert client.statuses == [202, 404] * 3
    assert client.state == "open"
    assert all("connection" not in reply.headers for reply in client.replies)


def test_a_connection_is_closed_after_the_answer_when_the_client_says_so() -> None:
    intake = Recorder()
    client = http_client(intake)

    client.send(request(headers=(CE, ("Connection", "close"))) + request())

    assert client.reply.status == 202
    assert client.reply.headers["connection"] == "close"
    assert client.state == "closing"
    assert len(intake.accepted) == 1


def test_http_1_0_closes_the_connection_after_the_answer() -> None:
    client = http_client()

    client.send(request(version="1.0", host=False))

    assert client.reply.status == 202
    assert client.reply.headers["connection"] == "close"
    assert client.state == "closing"


def test_http_1_0_keeps_the_connection_when_the_client_says_so() -> None:
    client = http_client()

    client.send(request(version="1.0", headers=(CE, ("Connection", "keep-alive"))) * 2)

    assert client.statuses == [202, 202]
    assert {reply.headers["connection"] for reply in client.replies} == {"keep-alive"}
    assert client.state == "open"


def test_pipelined_requests_are_answered_in_their_order() -> None:
    intake = Recorder()
    client = http_client(intake)

    client.send(
        request(body=structured(id="1"))
        + get("/no")
        + request(body=structured(id=""))
        + request("/hooks/a", b"{}", headers=(JSON, ("X-GitHub-Delivery", "2")))
        + get()
        + request(body=structured(id="3"))
    )

    assert client.statuses == [202, 404, 400, 202, 200, 202]
    assert intake.ids == ["1", "2", "3"]


def test_a_chunked_body_is_put_together() -> None:
    intake = Recorder()
    client = http_client(intake)

    client.send(request(body=structured(id="c"), headers=(CE, CHUNKED)) + get())

    assert client.statuses == [202, 200]
    assert intake.ids == ["c"]


def test_trailer_fields_and_chunk_extensions_are_ignored() -> None:
    intake = Recorder()
    client = http_client(intake)
    head = request(body=b"", headers=(CE, CHUNKED)).removesuffix(b"0\r\n\r\n")
    body = chunks(structured(), 50, b"ce-id: other\r\nHost: y\r\nContent-Type: text/plain\r\n")

    client.send(head + body.replace(b"32\r\n", b'32;a=1;b="c"\r\n') + get())

    assert client.statuses == [202, 200]
    assert intake.ids == ["e-1"]


def test_a_request_without_a_body_is_answered() -> None:
    client = http_client()

    client.send(request(body=b""))
    client.send(request(body=b"", headers=(CE, CHUNKED)))
    client.send(request(body=b"", headers=(CE, ("Content-Length", "0"))))
    client.send(request("/hooks/x", b"", headers=(JSON,)))

    assert client.statuses == [400] * 4
    assert all("not valid JSON" in reply.problem for reply in client.replies)


def test_whitespace_around_a_field_is_not_part_of_its_value() -> None:
    intake = Recorder()
    client = http_client(intake)
    fields = [(name, f" \t{value} \t") for name, value in BINARY]

    client.send(request(body=b"x", headers=(("Content-Type", " text/plain "), *fields)))
    client.send(request(headers=(CE, ("Expect", "100-continue  "))))

    assert client.statuses == [202, 100, 202]
    assert intake.accepted[0].id == "b-1"
    assert intake.accepted[0].datacontenttype == "text/plain"


@pytest.mark.parametrize(
    "target",
    ["/events?x=1", "/events?", "http://example.com/events", "http://example.com:80/events?a=b"],
)
def test_the_target_may_have_a_query_or_the_absolute_form(target: str) -> None:
    client = http_client()

    client.send(request(target))

    assert client.reply.status == 202


class TestExpect:
    FIELDS = (CE, ("Expect", "100-Continue"))

    def test_100_is_sent_before_the_body(self) -> None:
        intake = Recorder()
        client = http_client(intake)
        head, _, body = request(headers=self.FIELDS).partition(b"\r\n\r\n")

        client.send(head + b"\r\n\r\n")
        assert client.received == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(body)

        assert client.statuses == [100, 202]
        assert client.state == "open"

    @pytest.mark.parametrize(
        ("head", "status"),
        [
            (request("/no", b"", headers=FIELDS), 404),
            (request(body=b"", method="PUT", headers=FIELDS), 405),
            (request(body=b"", headers=(("Content-Type", f"{STRUCTURED}x"), *FIELDS[1:])), 415),
            (request(body=b"", headers=(*FIELDS, ("Content-Length", "1048577"))), 413),
            (request(body=b"", headers=(*FIELDS, ("Host", "y"))), 400),
            (request(body=b"", headers=(CE, ("Expect", "200-ok"))), 417),
        ],
    )
    def test_a_refusal_takes_the_place_of_100(self, head: bytes, status: int) -> None:
        client = http_client()

        client.send(head)

        assert client.reply.status == status
        assert client.reply.problem
        assert client.state == "half-closed"

    def test_http_1_0_is_sent_no_100(self) -> None:
        client = http_client()

        client.send(request(version="1.0", headers=self.FIELDS))

        assert client.reply.status == 202


class TestRefusals:
    def test_one_whose_framing_is_clear_keeps_the_connection(self) -> None:
        intake = Recorder()
        client = http_client(intake)

        client.send(request("/no") + request(method="DELETE") + request())

        assert client.statuses == [404, 405, 202]
        assert client.replies[1].headers["allow"] == "POST"
        assert len(intake.accepted) == 1

    @pytest.mark.parametrize(
        "data",
        [
            request(host=False),
            request(headers=(CE, ("Host", "x"))),
            request(headers=(CE, ("Host", ""))),
            request(headers=(CE, ("Content-Length", "89"))),
            request(headers=(CE, ("Content-Length", "3"))),
            request(body=b"", headers=(CE, ("Content-Length", "3, 3"))),
            request(body=b"", headers=(CE, ("Content-Length", "+3"))),
            request(body=b"", headers=(CE, ("Content-Length", "-3"))),
            request(body=b"", headers=(CE, ("Content-Length", "3_0"))),
            request(body=b"", headers=(CE, ("Content-Length", "9" * 30))),
            request(body=b"", headers=(CE, ("Content-Length", ""))),
            request(headers=(CE, CHUNKED, ("Content-Length", "3"))),
            request(headers=(CE, ("Content-Length", "3"), CHUNKED)),
            request(headers=(CE, CHUNKED, CHUNKED)),
            request(headers=(CE, ("Transfer-Encoding", "identity"))),
            request(headers=(CE, ("Transfer-Encoding", "xchunked"))),
            request(headers=(CE, ("Transfer-Encoding", "gzip, chunked"))),
            request(headers=(CE, ("Transfer-Encoding", "chunked, identity"))),
            request(headers=(CE, CHUNKED), version="1.0"),
            request(body=b"", headers=(CE, CHUNKED)).replace(b"\r\n0\r\n", b"\r\n0x3\r\n"),
            request(body=b"", headers=(CE, CHUNKED)).replace(b"\r\n0\r\n", b"\r\n-1\r\n"),
            request(body=b"", headers=(CE, CHUNKED)).replace(b"\r\n0\r\n", b"\r\n3\r\nabcd\r\n"),
            request(headers=(CE, ("A", "b\r\n c"))),
            request(headers=(CE, ("A", "b\0c"))),
            request(headers=(CE, ("A", "b\nC: d"))),
            request(headers=(CE, ("A ", "b"))),
            request(headers=(CE, ("", "b"))),
            request().replace(b"\r\n", b"\n"),
            request("/events /x"),
            request("/\xe9vents"),
            request("events"),
            request("/events\0"),
            request("/events", method="post"),
            request("/events", method="POSTS"),
            request("/events", method="BREW"),
            request("/events", method=""),
            get("/healthz", version="x"),
            get("x:1", method="CONNECT"),
            request(body=b"", headers=(("Upgrade", "h2c"), ("Connection", "Upgrade"))),
            request(headers=(CE, ("Upgrade", "websocket"), ("Connection", "Upgrade"))),
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            b"\0" * 100,
            b"garbage\r\n\r\n",
            b'{"specversion": "1.0"}\n',
        ],
    )
    def test_what_is_malformed_is_400_and_nothing_after_it_is_looked_at(self, data: bytes) -> None:
        for size in (None, 1):
            intake = Recorder()
            client = http_client(intake)

            client.send(get() + data + request(), size)

            assert client.statuses == [200, 400], size
            assert client.replies[1].problem
            assert client.replies[1].headers["connection"] == "close"
            assert client.state == "half-closed"
            assert intake.accepted == []

    @pytest.mark.parametrize("version", ["2.0", "0.9"])
    def test_another_version_of_http_is_505(self, version: str) -> None:
        client = http_client()

        client.send(get(version=version))

        assert client.reply.status == 505
        assert client.reply.problem == "speak HTTP/1.1"
        assert client.state == "half-closed"

    def test_http_0_9_is_505(self) -> None:
        client = http_client()

        client.send(b"GET /healthz\r\n\r\n")

        assert client.reply.status == 505

    def test_an_upgrade_that_is_not_a_connection_option_is_ignored(self) -> None:
        client = http_client()

        client.send(request(headers=(CE, ("Upgrade", "h2c"))))

        assert client.reply.status == 202

    def test_empty_lines_before_a_request_are_skipped(self) -> None:
        client = http_client()

        client.send(b"\r\n\r\n" + get() + b"\r\n" + get())

        assert client.statuses == [200, 200]

    def test_a_coded_body_is_415_and_told_what_is_taken(self) -> None:
        client = http_client()

        client.send(request(headers=(CE, ("Content-Encoding", "gzip"))))
        client.send(request("/hooks/x", b"{}", headers=(JSON, ("Content-Encoding", "br"))))
        client.send(request(headers=(CE, ("Content-Encoding", "Identity"))))

        assert client.statuses == [415, 415, 202]
        assert client.replies[0].headers["accept-encoding"] == "identity"
        assert client.replies[1].problem == "Content-Encoding: send it uncoded, not in 'br'"

    def test_503_says_when_to_come_again_and_keeps_the_connection(self) -> None:
        intake = Recorder(room=1)
        client = http_client(intake)

        client.send(request() * 2 + request("/hooks/x", b"{}", headers=(JSON,)))
        intake.make_room()
        client.send(request())

        assert client.statuses == [202, 503, 503, 202]
        assert client.replies[1].headers["retry-after"] == "1"
        assert client.replies[1].problem == "full"
        assert "connection" not in client.replies[1].headers

    def test_an_unexpected_exception_is_500_and_logged_and_not_shown(self) -> None:
        intake = Recorder()
        intake.error = ZeroDivisionError("a secret")
        client = http_client(intake)
        logged: list[LogEvent] = []
        globalLogPublisher.addObserver(logged.append)  # type: ignore[arg-type]

        try:
            client.send(request() * 2)
        finally:
            globalLogPublisher.removeObserver(logged.append)  # type: ignore[arg-type]

        assert client.reply.status == 500
        assert client.reply.problem == "the request could not be processed"
        assert client.reply.headers["connection"] == "close"
        assert client.state == "half-closed"
        (event,) = [event for event in logged if "log_failure" in event]
        assert event["log_failure"].check(ZeroDivisionError)
        assert "accept" in event["log_failure"].getTraceback()


def test_an_exception_in_a_handler_does_not_change_the_answer() -> None:
    clock = Clock()
    linker = EventLinker()
    called: list[object] = []

    @linker.on("com.example.tested")
    def fail(event: object) -> None:
        called.append(event)
        raise RuntimeError("a secret")

    client = http_client(Intake([ReactorEmitter(linker, clock)]), clock=clock)
    client.send(request())
    clock.advance(0)
    client.send(request())
    clock.advance(0)

    assert client.statuses == [202, 202]
    assert len(called) == 2


class TestBackPressure:
    def test_a_client_that_does_not_read_its_answers_is_not_read_from(self) -> None:
        client = http_client()

        client.connection.pauseProducing()
        assert not client.is_read()
        client.connection.resumeProducing()

        assert client.is_read()

    def test_what_has_been_read_already_is_answered(self) -> None:
        client = http_client()

        client.send(get())
        client.connection.pauseProducing()
        client.send(get())

        assert client.statuses == [200, 200]

    def test_it_is_read_again_to_its_end_when_the_connection_is_closed(self) -> None:
        client = http_client()

        client.connection.pauseProducing()
        client.send(b"\0")

        assert client.is_read()
        assert client.state == "half-closed"


class TestEnd:
    def test_a_client_that_has_sent_everything_still_gets_its_answers(self) -> None:
        client = http_client()

        client.send(get() + request())
        client.half_close()

        assert client.statuses == [200, 202]
        assert client.state == "closing"

    def test_a_request_that_is_cut_off_is_not_answered(self) -> None:
        intake = Recorder()
        client = http_client(intake)

        client.send(request()[:-1])
        client.half_close()

        assert client.received == b""
        assert client.state == "closing"
        assert intake.accepted == []

    def test_the_connection_is_over_when_both_sides_are_closed(self) -> None:
        client = http_client()

        client.send(b"\0")
        assert client.state == "half-closed"
        client.half_close()

        assert client.state == "lost"

    def test_what_comes_after_a_refusal_is_dropped(self) -> None:
        intake = Recorder()
        client = http_client(intake)

        client.send(b"\0")
        client.send(request())

        assert client.statuses == [400]
        assert intake.accepted == []

    def test_a_lost_connection_may_come_at_any_time(self) -> None:
        for cut in range(0, len(request()), 10):
            client = http_client()
            client.send(request()[:cut])
            client.close()
            client.wait(100)
            assert client.received == b""

    def test_when_the_service_stops_an_idle_connection_is_closed(self) -> None:
        client, source = started()

        finished = source.finish()

        # What the client is sending may be on its way: it is dropped, not reset.
        assert client.state == "half-closed"
        assert not fired(finished)
        client.close()
        assert fired(finished)

    def test_when_the_service_stops_a_request_at_work_is_answered_first(self) -> None:
        client, source = started()
        data = request()

        client.send(data[:30])
        finished = source.finish()
        client.send(data[30:] + get())

        assert client.reply.status == 202
        assert client.reply.headers["connection"] == "close"
        assert client.state == "half-closed"
        client.close()
        assert fired(finished)


def started() -> tuple[Client, HTTPSource]:
    clock = Clock()
    source = HTTPSource(Recorder(), clock)
    return Client(source, clock), source


PIECES = [
    request(),
    request(body=structured(data="x" * 300)),
    request(headers=(CE, CHUNKED)),
    request(headers=(CE, ("Expect", "100-continue"))),
    request(body=b'{"n": 1}', headers=(JSON, *BINARY)),
    request(body=b"{", headers=(CE,)),
    request("/hooks/x", b"[]", headers=(JSON, ("X-GitHub-Delivery", "d"))),
    request("/no"),
    request(method="PATCH"),
    request(version="1.0", headers=(CE, ("Connection", "keep-alive"))),
    get(),
    get("http://a/healthz"),
    get("/" + "a" * 9000),
    request(headers=(CE, ("A", "a" * 17000))),
    request(headers=(CE, ("Expect", "nothing"))),
    request(headers=(CE, ("Connection", "close"))),
    request(host=False),
    request(headers=(CE, ("A", "b\r\n c"))),
    b"GET /healthz HTTP/1.1\nHost: x\n\n",
    b"\r\n",
    b"\0",
]


@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=6), st.data())
def test_the_answers_are_the_same_however_the_bytes_are_split(
    pieces: list[bytes], data: st.DataObject
) -> None:
    sent = b"".join(pieces)
    cuts = data.draw(st.sets(st.integers(0, len(sent)), max_size=30))
    whole, split = Recorder(), Recorder()
    first, second = http_client(whole), http_client(split)

    first.send(sent)
    second.send_cut(sent, cuts)

    assert second.received == first.received
    assert second.state == first.state
    assert split.accepted == whole.accepted


@pytest.mark.parametrize("piece", PIECES)
def test_the_answers_are_the_same_byte_by_byte(piece: bytes) -> None:
    whole, split = http_client(), http_client()

    whole.send(get() + piece + get())
    split.send(get() + piece + get(), 1)

    assert split.received == whole.received
    assert split.state == whole.state


@given(st.binary(max_size=200))
def test_any_bytes_at_all_leave_the_source_standing(data: bytes) -> None:
    intake = Recorder()
    client = http_client(intake)

    client.send(data)
    client.send(b"\r\n\r\n")

    assert {reply.status for reply in client.replies} <= {400, 404, 505}
    assert intake.accepted == []
