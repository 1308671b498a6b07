"""Real payloads of GitHub webhooks, sent as GitHub sends them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import pytest_twisted
from treq.client import HTTPClient

from tests.scenarios.handlers import Record
from tests.scenarios.support import (
    Answer,
    Event,
    Twistd,
    both_reactors,
    canonical,
    curl,
    post,
    seen_by,
)

PAYLOADS = sorted((Path(__file__).parents[1] / "data/github").glob("*.json"))


def headers_of(path: Path) -> dict[str, str]:
    return {
        "Accept": "*/*",
        "Content-Type": "application/json",
        "User-Agent": "GitHub-Hookshot/044aadd",
        "X-GitHub-Delivery": str(uuid5(NAMESPACE_URL, path.stem)),
        "X-GitHub-Event": path.stem,
        "X-GitHub-Hook-ID": "292430182",
        "X-GitHub-Hook-Installation-Target-ID": "79929171",
        "X-GitHub-Hook-Installation-Target-Type": "repository",
    }


def answer_to(path: Path) -> Answer:
    delivery = headers_of(path)["X-GitHub-Delivery"]
    return Answer(202, "application/json", {"accepted": 1, "id": delivery})


def event_of(path: Path) -> Event:
    """What must arrive."""
    return {
        "specversion": "1.0",
        "id": headers_of(path)["X-GitHub-Delivery"],
        "source": "/hooks/github",
        "type": "hook.github",
        "subject": path.stem,
        "datacontenttype": "application/json",
        "data": json.loads(path.read_bytes()),
    }


def check(records: list[Record], bodies: list[bytes]) -> None:
    """Each handler has seen each event once, equal to what was sent, in order."""
    sent = canonical([event_of(path) for path in PAYLOADS])
    assert canonical(seen_by("everything", records)) == sent
    assert canonical(seen_by("hook", records)) == sent
    assert len(records) == 2 * len(sent)
    assert [r.raw for r in records if r.handler == "hook"] == [body.decode() for body in bodies]


def test_there_are_payloads_of_a_dozen_event_types_and_some_are_not_ascii() -> None:
    assert len(PAYLOADS) >= 12
    assert not all(path.read_bytes().isascii() for path in PAYLOADS)


@both_reactors
def test_every_payload_arrives_once_from_curl(service: Twistd, tmp_path: Path) -> None:
    for path in PAYLOADS:
        url = service.url("/hooks/github")
        assert curl(url, path.read_bytes(), headers_of(path), tmp_path) == answer_to(path)

    check(service.stop(), [path.read_bytes() for path in PAYLOADS])


@both_reactors
@pytest_twisted.ensureDeferred
async def test_every_payload_arrives_once_from_treq(
    service: Twistd, treq_client: HTTPClient
) -> None:
    bodies = []
    for path in PAYLOADS:
        # Without white space, as GitHub writes it.
        payload: Any = json.loads(path.read_bytes())
        body = json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
        url = service.url("/hooks/github")
        assert await post(treq_client, url, body, headers_of(path)) == answer_to(path)
        bodies.append(body)

    check(await service.stopped(), bodies)
