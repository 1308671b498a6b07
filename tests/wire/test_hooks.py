"""Plain webhooks: JSON that is no CloudEvent."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.support import Header, check_refusal, refused, why_refused
from txevents.wire.hooks import is_hook_name, read_hook
from txevents.wire.problems import Refusal

JSON: list[Header] = [(b"Content-Type", b"application/json")]


def test_a_hook_is_an_event_of_its_name() -> None:
    envelope = read_hook("push", JSON, b'{"a": 1}')

    assert envelope.type == "hook.push"
    assert envelope.source == "/hooks/push"
    assert envelope.specversion == "1.0"
    assert envelope.datacontenttype == "application/json"
    assert envelope.data == {"a": 1}
    assert envelope.raw == b'{"a": 1}'
    assert envelope.subject is None


def test_each_delivery_has_an_id_of_its_own_when_the_sender_gives_none() -> None:
    ids = [read_hook("push", sent, b"1").id for sent in (JSON, JSON, [(b"x-github-delivery", b"")])]

    assert len(set(ids)) == 3
    assert [str(UUID(id)) for id in ids] == ids


def test_the_sender_may_name_the_delivery_and_the_kind_of_event() -> None:
    sent = [*JSON, (b"X-GitHub-Delivery", b"72d3162e"), (b"X-GITHUB-EVENT", b"pull_request")]
    envelope = read_hook("github", sent, b"{}")

    assert envelope.id == "72d3162e"
    assert envelope.subject == "pull_request"


def test_an_empty_kind_of_event_is_none() -> None:
    assert read_hook("github", [(b"x-github-event", b"")], b"{}").subject is None


@pytest.mark.parametrize("name", [b"X-GitHub-Delivery", b"X-GitHub-Event"])
@pytest.mark.parametrize("value", [b"\xe9", b"a\tb", b"\x00", "€".encode()])
def test_what_the_sender_names_is_printable(name: bytes, value: bytes) -> None:
    detail = refused(read_hook, "github", [(name, value)], b"{}")

    assert detail == f"{name.decode()}: must be printable ASCII"


@pytest.mark.parametrize("body", [b"null", b"0", b'"text"', b"[1]", b" {} "])
def test_any_json_value_will_do(body: bytes) -> None:
    envelope = read_hook("any", JSON, body)

    assert envelope.has_data
    assert envelope.raw == body


def test_without_a_content_type_the_body_is_taken_for_json() -> None:
    assert read_hook("any", [], b"1").datacontenttype == "application/json"


@pytest.mark.parametrize("value", [b"text/json; charset=utf-8", b"application/vnd.x+json"])
def test_all_media_types_of_json_will_do(value: bytes) -> None:
    assert read_hook("any", [(b"content-type", value)], b"1").datacontenttype == value.decode()


@pytest.mark.parametrize(
    "value",
    [b"text/plain", b"application/x-www-form-urlencoded", b"", b"json", b"\xff\x00" * 9000],
)
def test_other_media_types_are_refused(value: bytes) -> None:
    with pytest.raises(Refusal, match="Content-Type: a hook takes JSON") as caught:
        read_hook("any", [(b"content-type", value)], b"1")

    check_refusal(caught.value)
    assert caught.value.status == 415
    assert caught.value.headers == {"Accept-Post": "application/json"}


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"a=1", b"NaN", b"[" * 100_000])
def test_a_body_that_is_no_json_is_refused(body: bytes) -> None:
    assert refused(read_hook, "any", JSON, body).startswith("the body is not valid JSON: ")


@given(st.lists(st.tuples(st.binary(), st.binary())), st.binary())
def test_arbitrary_requests_raise_nothing_but_refusals(headers: list[Header], body: bytes) -> None:
    why_refused(read_hook, "any", headers, body)
    why_refused(read_hook, "any", [*JSON, *headers], body)


@pytest.mark.parametrize("name", ["a", "github", "a.b-c_d", "0", "x" * 64])
def test_a_hook_name(name: str) -> None:
    assert is_hook_name(name)


@pytest.mark.parametrize("name", ["", "A", "a/b", "a b", "é", "a\n", "%61", "x" * 65])
def test_no_hook_name(name: str) -> None:
    assert not is_hook_name(name)
