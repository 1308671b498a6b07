"""What the paths of the HTTP source do, without a server."""

from __future__ import annotations

import pytest

from tests.inbound.support import STRUCTURED, Recorder, Reply, read_replies, structured
from txevents.inbound.routes import ACCEPTED, HEALTHY, Answer, Headers, Routes
from txevents.wire.problems import TITLES, Refusal

CE: Headers = [(b"content-type", STRUCTURED.encode())]
JSON: Headers = [(b"content-type", b"application/json")]
METHODS = [b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"PATCH", b"OPTIONS", b"TRACE", b"PURGE"]


def find(target: bytes, method: bytes = b"POST", headers: Headers = CE) -> Refusal:
    """The refusal of a request by its header."""
    with pytest.raises(Refusal) as caught:
        Routes(Recorder()).find(method, target, headers)
    return caught.value


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("target", "allowed"),
    [(b"/events", [b"POST"]), (b"/hooks/x", [b"POST"]), (b"/healthz", [b"GET", b"HEAD"])],
)
def test_each_path_allows_its_methods_and_names_them_to_others(
    target: bytes, allowed: list[bytes], method: bytes
) -> None:
    if method in allowed:
        assert callable(Routes(Recorder()).find(method, target, CE))
    else:
        refusal = find(target, method)
        assert refusal.status == 405
        assert refusal.headers == {"Allow": b", ".join(allowed).decode()}
        assert method.decode() in refusal.detail


@pytest.mark.parametrize(
    "target",
    [
        b"/",
        b"//",
        b"//events",
        b"/events/",
        b"/Events",
        b"/%65vents",
        b"/events#x",
        b"/events;x",
        b"/healthz/",
        b"/hooks",
        b"/hooks?/x",
        b"*",
        b"http://x",
        b"http://x/",
        b"http://events",
        b"/../events",
    ],
)
def test_any_other_path_is_404_whatever_the_method(target: bytes) -> None:
    for method in METHODS:
        refusal = find(target, method)
        assert refusal.status == 404
        assert refusal.detail.startswith("there is nothing at ")


@pytest.mark.parametrize("name", ["a", "github", "0", "a.b-c_d", "x" * 64, "..", ".", "-"])
def test_the_name_of_a_hook_becomes_its_topic(name: str) -> None:
    intake = Recorder()
    take = Routes(intake).find(b"POST", f"/hooks/{name}?secret=1".encode(), JSON)

    answer = take(b"{}")

    (envelope,) = intake.accepted
    assert answer.status == 202
    assert envelope.type == f"hook.{name}"
    assert envelope.source == f"/hooks/{name}"


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/",
        "a/",
        "a/b",
        "/a",
        "A",
        "a b",
        "x" * 65,
        "%61",
        "%2e%2e",
        "a%00",
        "a\\b",
        "a\xe9",
        "\xb2",
        "a\n",
        "../x",
        "a+b",
        "a*",
        "#",
        "a:b",
    ],
)
def test_a_name_that_is_none_is_404(name: str) -> None:
    refusal = find(b"/hooks/" + name.encode("latin-1"))

    assert refusal.status == 404
    assert refusal.detail.isascii()
    assert refusal.detail.isprintable()


def test_a_long_path_is_told_in_short() -> None:
    assert len(find(b"/" + b"a" * 8000).detail) < 120


def test_a_target_that_is_no_url_is_400() -> None:
    assert find(b"http://[").status == 400
    assert find(b"http://[").detail == "malformed request target"


@pytest.mark.parametrize(
    "content_type",
    [
        STRUCTURED,
        STRUCTURED.upper(),
        f"{STRUCTURED}; charset=utf-8",
        f" {STRUCTURED} ;charset=utf-8",
    ],
)
def test_the_mode_goes_by_the_media_type_alone(content_type: str) -> None:
    intake = Recorder()
    headers = [(b"content-type", content_type.encode()), (b"ce-id", b"not this one")]

    answer = Routes(intake).find(b"POST", b"/events", headers)(structured())

    assert answer is ACCEPTED
    assert intake.ids == ["e-1"]


@pytest.mark.parametrize(
    "content_type",
    [
        b"application/cloudevents",
        b"application/cloudevents+xml",
        b"Application/CloudEvents+Avro; x=y",
        b"application/cloudevents-batch+json",
        b"application/cloudevents+jsonx",
    ],
)
def test_another_format_of_cloudevents_is_415(content_type: bytes) -> None:
    refusal = find(b"/events", headers=[(b"content-type", content_type)])

    assert refusal.status == 415
    assert refusal.headers == {"Accept-Post": STRUCTURED}
    assert STRUCTURED in refusal.detail


def test_content_type_twice_is_400() -> None:
    assert find(b"/events", headers=CE + CE).status == 400
    assert "Content-Type" in find(b"/events", headers=CE + JSON).detail


@pytest.mark.parametrize("headers", [[], JSON, [(b"content-type", b"text/plain")]])
def test_what_is_no_event_at_all_is_415(headers: Headers) -> None:
    take = Routes(Recorder()).find(b"POST", b"/events", headers)

    with pytest.raises(Refusal) as caught:
        take(b"{}")

    assert caught.value.status == 415
    assert caught.value.headers == {"Accept-Post": STRUCTURED}


def test_a_hook_of_another_media_type_is_415() -> None:
    take = Routes(Recorder()).find(b"POST", b"/hooks/x", [(b"content-type", b"text/plain")])

    with pytest.raises(Refusal) as caught:
        take(b"{}")

    assert caught.value.status == 415


@pytest.mark.parametrize("target", [b"/events", b"/hooks/x"])
@pytest.mark.parametrize("coding", [b"gzip", b"br", b"gzip, identity", b"\xff", b""])
def test_a_coded_body_is_415(target: bytes, coding: bytes) -> None:
    refusal = find(target, headers=[*JSON, (b"content-encoding", coding)])

    assert refusal.status == 415
    assert refusal.headers == {"Accept-Encoding": "identity"}
    assert refusal.detail.isascii()


def test_health_needs_nothing() -> None:
    assert Routes(Recorder(room=0)).find(b"GET", b"/healthz", [])(b"") is HEALTHY


@pytest.mark.parametrize("status", sorted(TITLES))
def test_each_refusal_is_a_problem_document(status: int) -> None:
    reply = read(Answer.to_refusal(Refusal(status, "reasons", X_Y="z")), b"close")

    assert reply.status == status
    assert reply.reason == TITLES[status]
    assert reply.problem == "reasons"
    assert reply.headers["x-y"] == "z"
    assert reply.headers["connection"] == "close"


def test_connection_is_said_only_where_needed() -> None:
    assert "connection" not in read(ACCEPTED, b"").headers


def read(answer: Answer, connection: bytes) -> Reply:
    (reply,) = read_replies(answer.head(b"now", connection) + answer.body)
    assert reply.headers["date"] == "now"
    return reply
