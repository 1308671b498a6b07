"""The handlers of the scenarios: each writes what it saw into a file, one JSON line a call."""

from __future__ import annotations

import os
from base64 import b64encode
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import msgspec
from twisted.internet.task import deferLater
from zope.interface import Attribute, Interface, implementer

from txevents import Envelope, EventLinker, current_envelope, event

RECORDS = "TXEVENTS_TEST_RECORDS"
"""The environment variable with the path of the file."""

linker = EventLinker()


class IOrder(Interface):
    """Anything that has happened to an order."""

    order_id = Attribute("Which order.")


@event("com.example.order.placed")
@implementer(IOrder)
@attrs.frozen
class Placed:
    order_id: str
    total: Decimal
    lines: list[str] = attrs.field(factory=list)


@event("com.example.order.shipped")
@implementer(IOrder)
@dataclass(frozen=True)
class Shipped:
    order_id: str
    at: datetime


@event("com.example.order.cancelled")
@implementer(IOrder)
class Cancelled(msgspec.Struct, frozen=True):
    order_id: str
    refunded: bool = False


class Record(msgspec.Struct):
    """One call of a handler: the instance it got, by its `repr`, and the CloudEvent as it came."""

    handler: str
    event: str | None
    envelope: dict[str, Any]
    raw: str | None


def as_sent(envelope: Envelope) -> dict[str, Any]:
    """Return the CloudEvent in the JSON format."""
    members: dict[str, Any] = {"specversion": envelope.specversion}
    for name in ("id", "source", "type", "subject", "time", "datacontenttype", "dataschema"):
        if (value := getattr(envelope, name)) is not None:
            members[name] = value
    members.update(envelope.extensions)
    if isinstance(envelope.data, bytes):
        members["data_base64"] = b64encode(envelope.data).decode()
    elif envelope.has_data:
        members["data"] = envelope.data
    return members


def record(handler: str, seen: object) -> None:
    envelope = current_envelope()
    assert envelope is not None
    raw = None if envelope.raw is None else envelope.raw.decode()
    instance = None if seen is envelope else repr(seen)
    line = msgspec.json.encode(Record(handler, instance, as_sent(envelope), raw)) + b"\n"
    # Unbuffered: nothing of it is lost with the process.
    with open(os.environ[RECORDS], "ab", buffering=0) as file:
        file.write(line)


@linker.on(...)
def everything(anything: object) -> None:
    record("everything", anything)


@linker.on(IOrder)
async def interface(order: object) -> None:
    record("interface", order)


@linker.on(Placed)
def placed(order: Placed) -> None:
    assert isinstance(order.total, Decimal)
    record("class", order)


@linker.on("com.example.order.*")
def pattern(order: object) -> None:
    record("pattern", order)


@linker.on("com.example.order.placed")
def topic(order: Placed) -> None:
    record("topic", order)


@linker.on("hook.#")
def hook(envelope: Envelope) -> None:
    record("hook", envelope)


@linker.on("test.slow")
async def slow(envelope: Envelope) -> None:
    """Work until the test says that it is enough."""
    from twisted.internet import reactor

    record("slow, begun", envelope)
    while not Path(os.environ[RECORDS] + ".enough").exists():
        await deferLater(reactor, 0.01)
    record("slow, finished", envelope)


@linker.on("test.failing", priority=1)
def failing(envelope: Envelope) -> None:
    raise RuntimeError("as the test wants it")
