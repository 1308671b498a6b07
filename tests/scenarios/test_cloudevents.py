"""The events of the CloudEvents specification and of its conformance tests, from four clients."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable
from datetime import datetime
from itertools import zip_longest
from pathlib import Path

import pytest
import pytest_twisted
from cloudevents.core.base import BaseCloudEvent
from cloudevents.core.bindings.http import HTTPMessage, to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent
from treq.client import HTTPClient

from tests.data.cloudevents import INVALID, VALID
from tests.scenarios.support import (
    ACCEPTED,
    STRUCTURED,
    Event,
    Twistd,
    as_it_arrives,
    both_reactors,
    canonical,
    curl,
    post,
    seen_by,
    send_lines,
)

EVENTS = [event for _, event in VALID]
CORE = {"specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema"}
EXPECTED = canonical([as_it_arrives(event) for event in EVENTS])


def test_events_arrive_once_from_curl_in_structured_mode(service: Twistd, tmp_path: Path) -> None:
    for event in EVENTS:
        body = json.dumps(event).encode()
        assert curl(service.url("/events"), body, STRUCTURED, tmp_path) == ACCEPTED, event

    assert canonical(seen_by("everything", service.stop())) == EXPECTED


@both_reactors
@pytest_twisted.ensureDeferred
async def test_events_arrive_once_from_treq_in_structured_mode(
    service: Twistd, treq_client: HTTPClient
) -> None:
    for event in EVENTS:
        body = json.dumps(event, ensure_ascii=False, indent=2).encode()
        headers = {"Content-Type": "Application/CloudEvents+JSON; charset=UTF-8"}
        assert await post(treq_client, service.url("/events"), body, headers) == ACCEPTED, event

    assert canonical(seen_by("everything", await service.stopped())) == EXPECTED


def test_events_arrive_once_as_lines_by_tcp(service: Twistd) -> None:
    lines = [json.dumps(event).encode() for event in EVENTS]

    answers = send_lines(service.ports["tcp"], lines)

    assert answers[-1] == {"accepted": len(EVENTS)}
    assert not any("refused" in answer for answer in answers)
    assert canonical(seen_by("everything", service.stop())) == EXPECTED


def is_json(event: Event) -> bool:
    return "json" in (event.get("datacontenttype") or "").lower()


def as_object_of_the_sdk(event: Event) -> CloudEvent:
    attributes = {name: value for name, value in event.items() if value is not None}
    data = attributes.pop("data", None)
    if "time" in attributes:
        attributes["time"] = datetime.fromisoformat(attributes["time"].upper())
    if "data_base64" in attributes:
        data = b64decode(attributes.pop("data_base64"))
    elif "data" in event and is_json(event) and not isinstance(data, dict):
        # The SDK leaves it to its users to serialize JSON that is no object.
        data = json.dumps(data).encode()
    return CloudEvent(attributes, data)


def with_python_times(events: Iterable[Event]) -> list[str]:
    """As `canonical`, with times as `datetime` writes them: the SDK keeps nothing else."""
    return canonical([{**e, "time": datetime.fromisoformat(e["time"]).isoformat()} for e in events])


def in_binary_mode(event: Event) -> Event:
    """What arrives of an event that was sent in binary mode: headers are strings, bodies bytes."""
    event = as_it_arrives(event)
    for name in event.keys() - CORE - {"data", "data_base64"}:
        event[name] = str(event[name])
    if "data" in event and not is_json(event):
        event["data_base64"] = b64encode(event.pop("data").encode()).decode()
    return event


@both_reactors
@pytest.mark.parametrize(
    ("to_message", "arriving"),
    [(to_structured_event, as_it_arrives), (to_binary_event, in_binary_mode)],
    ids=["structured", "binary"],
)
@pytest_twisted.ensureDeferred
async def test_events_of_the_cloudevents_sdk_arrive_once(
    service: Twistd,
    treq_client: HTTPClient,
    to_message: Callable[[BaseCloudEvent], HTTPMessage],
    arriving: Callable[[Event], Event],
) -> None:
    expected = []
    for name, listed in VALID:
        if name == "leap-second":
            continue  # there are none in a `datetime`
        event = {**listed}
        if "data" in event and event.get("datacontenttype") is None:
            # The JSON format implies it; the SDK would leave it out of the headers.
            event["datacontenttype"] = "application/json"
        sdk_event = as_object_of_the_sdk(event)
        message = to_message(sdk_event)
        url = service.url("/events")
        assert await post(treq_client, url, message.body, message.headers) == ACCEPTED, name
        # The SDK adds the time where there is none.
        expected.append({**arriving(event), "time": str(sdk_event.get_time())})

    seen = seen_by("everything", await service.stopped())
    assert with_python_times(seen) == with_python_times(expected)


@both_reactors
@pytest_twisted.ensureDeferred
async def test_invalid_events_are_refused_with_a_reason_and_none_arrives(
    service: Twistd, treq_client: HTTPClient
) -> None:
    for name, event in INVALID:
        body = json.dumps(event).encode()
        answer = await post(treq_client, service.url("/events"), body, STRUCTURED)
        assert answer[:2] == (400, "application/problem+json"), name
        assert answer.value.pop("detail")
        assert answer.value == {"type": "about:blank", "status": 400, "title": "Bad Request"}

    assert await service.stopped() == []


def test_invalid_events_are_refused_to_curl_too(service: Twistd, tmp_path: Path) -> None:
    for name, event in INVALID:
        body = json.dumps(event).encode()
        answer = curl(service.url("/events"), body, STRUCTURED, tmp_path)
        assert answer[:2] == (400, "application/problem+json"), name

    assert service.stop() == []


def test_invalid_lines_between_valid_ones_are_refused_one_by_one(service: Twistd) -> None:
    cases = [case for pair in zip_longest(VALID, INVALID) for case in pair if case is not None]
    lines = [json.dumps(event).encode() for _, event in cases]

    answers = send_lines(service.ports["tcp"], lines)

    assert [a for a in answers if "accepted" in a][-1] == {"accepted": len(VALID)}
    refused = [answer["refused"] for answer in answers if "refused" in answer]
    assert [r["index"] for r in refused] == [n for n, case in enumerate(cases) if case in INVALID]
    assert {(r["status"], r["title"]) for r in refused} == {(400, "Bad Request")}
    assert canonical(seen_by("everything", service.stop())) == EXPECTED
