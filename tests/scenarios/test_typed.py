"""Typed events: data becomes instances of declared classes, for handlers of a zope interface."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest_twisted
from msgspec import Raw
from msgspec.json import encode as encoded
from treq.client import HTTPClient

from tests.scenarios.handlers import Cancelled, Placed, Shipped
from tests.scenarios.support import (
    ACCEPTED,
    STRUCTURED,
    Event,
    Twistd,
    both_reactors,
    post,
    send_lines,
)

# What happens to the order, the data as JSON, the instance that handlers get.
ORDERS: list[tuple[str, str, object]] = [
    (
        "placed",
        '{"order_id": "ö-1", "total": "9.50", "lines": ["tea", "☕"]}',
        Placed("ö-1", Decimal("9.50"), ["tea", "☕"]),
    ),
    (
        "placed",
        # More digits than a float has, and a field that the class has not.
        '{"order_id": "o-2", "total": 0.10000000000000000001, "new": true}',
        Placed("o-2", Decimal("0.10000000000000000001")),
    ),
    (
        "shipped",
        '{"order_id": "o-1", "at": "2026-11-22T10:00:00Z"}',
        Shipped("o-1", datetime(2026, 11, 22, 10, tzinfo=UTC)),
    ),
    ("cancelled", '{"order_id": "o-1", "refunded": true}', Cancelled("o-1", True)),
]
MISFITS: list[tuple[str, Any, str]] = [
    ("placed", {"order_id": "o-1"}, "data.total: required"),
    ("placed", {"order_id": "o-1", "total": "much"}, "data.total: expected decimal"),
    ("placed", {"order_id": "o-1", "total": 1, "lines": ["a", 2]}, "data.lines[1]: expected str"),
    ("shipped", {"order_id": "o-1", "at": "noon"}, "data.at: expected"),
    ("shipped", {"order_id": 1, "at": "2026-11-22T10:00:00Z"}, "data.order_id: expected str"),
    ("cancelled", {"order_id": "o-1", "refunded": "yes"}, "data.refunded: expected bool"),
    ("cancelled", {}, "data.order_id: required"),
    ("cancelled", ["o-1"], "data: expected object"),
    ("cancelled", None, "data: expected object"),
]
HANDLERS: dict[type, list[str]] = {
    Placed: ["everything", "interface", "class", "pattern", "topic"],
    Shipped: ["everything", "interface", "pattern"],
    Cancelled: ["everything", "interface", "pattern"],
}


def order(number: int, what: str, data: object) -> Event:
    return {
        "specversion": "1.0",
        "id": f"{number}",
        "source": "/shop",
        "type": f"com.example.order.{what}",
        "data": data,
    }


# What every handler must have seen, least specific key first.
EXPECTED = [
    (handler, repr(instance), order(number, what, json.loads(data)))
    for number, (what, data, instance) in enumerate(ORDERS)
    for handler in HANDLERS[type(instance)]
]


@both_reactors
@pytest_twisted.ensureDeferred
async def test_instances_reach_the_handlers_of_interfaces_classes_and_topics(
    service: Twistd, treq_client: HTTPClient
) -> None:
    for number, (what, data, _) in enumerate(ORDERS):
        event = encoded(order(number, what, Raw(data)))
        assert await post(treq_client, service.url("/events"), event, STRUCTURED) == ACCEPTED

    seen = [(record.handler, record.event, record.envelope) for record in await service.stopped()]
    assert seen == EXPECTED


@pytest_twisted.ensureDeferred
async def test_data_in_binary_mode_becomes_instances_too(
    service: Twistd, treq_client: HTTPClient
) -> None:
    for number, (what, data, _) in enumerate(ORDERS):
        headers = {
            "ce-specversion": "1.0",
            "ce-id": f"{number}",
            "ce-source": "/shop",
            "ce-type": f"com.example.order.{what}",
            "Content-Type": "application/json; charset=utf-8",
        }
        assert await post(treq_client, service.url("/events"), data.encode(), headers) == ACCEPTED

    json_type = {"datacontenttype": "application/json; charset=utf-8"}
    seen = [(record.handler, record.event, record.envelope) for record in await service.stopped()]
    assert seen == [(handler, event, sent | json_type) for handler, event, sent in EXPECTED]


def test_instances_come_from_tcp_too(service: Twistd) -> None:
    events = [order(number, what, Raw(data)) for number, (what, data, _) in enumerate(ORDERS)]
    answers = send_lines(service.ports["tcp"], [encoded(event) for event in events])
    assert answers[-1] == {"accepted": len(ORDERS)}

    seen = [(record.handler, record.event, record.envelope) for record in service.stop()]
    assert seen == EXPECTED


@pytest_twisted.ensureDeferred
async def test_data_that_does_not_fit_is_refused_and_the_field_named(
    service: Twistd, treq_client: HTTPClient
) -> None:
    for number, (what, data, detail) in enumerate(MISFITS):
        event = encoded(order(number, what, data))
        answer = await post(treq_client, service.url("/events"), event, STRUCTURED)
        assert answer[:2] == (422, "application/problem+json")
        assert answer.value["title"] == "Unprocessable Content"
        assert answer.value["detail"].startswith(detail)

    assert await service.stopped() == []
