"""The messages that all servers get: structured CloudEvents of 320 bytes, each with its own id."""

from __future__ import annotations

import json

SIZE = 320
PATH = "/events"

# One topic without a declared class, whose handler gets an `Envelope`, and one with.
TOPIC = "com.example.order.shipped"
TYPED_TOPIC = "com.example.order.placed"


def message(topic: str, number: int) -> bytes:
    """Return the message with this number."""
    event = {
        "specversion": "1.0",
        "id": f"{number:08}",
        "source": "/shop/checkout",
        "type": topic,
        "time": "2025-11-22T10:20:30Z",
        "datacontenttype": "application/json",
        "data": {"order_id": f"o-{number:08}", "total": "9.50", "note": ""},
    }
    text = json.dumps(event, separators=(",", ":"))
    note = "x" * (SIZE - len(text))
    return text.replace('"note":""', f'"note":"{note}"').encode()


def messages(topic: str, count: int) -> list[bytes]:
    """Return `count` messages."""
    return [message(topic, number) for number in range(count)]
