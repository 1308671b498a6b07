"""Problem details: RFC 9457."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from txevents import TxEventsError
from txevents.wire.problems import MEDIA_TYPE, TITLES, Refusal, escape, quote, shorten


def test_the_document_has_the_members_of_the_rfc() -> None:
    refusal = Refusal(400, "id: required, and missing")

    assert MEDIA_TYPE == b"application/problem+json"
    assert json.loads(refusal.document()) == {
        "type": "about:blank",
        "status": 400,
        "title": "Bad Request",
        "detail": "id: required, and missing",
    }
    assert refusal.members() == {
        "status": 400,
        "title": "Bad Request",
        "detail": "id: required, and missing",
    }


@pytest.mark.parametrize("status", sorted(TITLES))
def test_each_status_has_a_title_of_its_own(status: int) -> None:
    assert 400 <= status < 600
    assert Refusal(status, "x").title == TITLES[status]
    assert len(set(TITLES.values())) == len(TITLES)


def test_a_refusal_is_what_callers_expect_of_a_bad_value() -> None:
    refusal = Refusal(422, "data.n: expected int")

    assert isinstance(refusal, TxEventsError)
    assert isinstance(refusal, ValueError)
    assert str(refusal) == refusal.detail == "data.n: expected int"
    assert refusal.headers == {}


def test_headers_are_named_as_in_http() -> None:
    refusal = Refusal(405, "use POST", Allow="POST", Accept_Post="application/json")

    assert refusal.headers == {"Allow": "POST", "Accept-Post": "application/json"}


@given(st.text(st.characters()) | st.binary(), st.integers(4, 200))
def test_quoted_values_are_short_and_printable(value: str | bytes, limit: int) -> None:
    text = quote(value, limit)

    assert text.isascii()
    assert text.isprintable()
    assert len(text) <= limit
    assert text == ascii(value) or text.endswith("...")


@given(st.text(st.characters()))
def test_escaped_text_is_printable(text: str) -> None:
    escaped = escape(text)

    assert escaped.isascii()
    assert escaped.isprintable()
    assert escaped.encode().decode("unicode_escape") == text


def test_short_text_is_left_alone() -> None:
    assert shorten("a" * 80) == "a" * 80
    assert shorten("a" * 81) == "a" * 77 + "..."
    assert quote("é\n\x1b[31m") == r"'\xe9\n\x1b[31m'"
    assert escape('it\'s `a`, "b"') == 'it\'s `a`, "b"'
