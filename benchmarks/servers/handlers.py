"""The handlers of our servers: they do nothing."""

from __future__ import annotations

import attrs

from benchmarks.messages import TOPIC, TYPED_TOPIC
from txevents import Envelope, event, on


@event(TYPED_TOPIC)
@attrs.frozen
class OrderPlaced:
    """What the data of a message with a declared class becomes."""

    order_id: str
    total: str
    note: str


@on(OrderPlaced)
def take_order(order: OrderPlaced) -> None:
    """Handle a typed event."""


@on(TOPIC)
def take_envelope(envelope: Envelope) -> None:
    """Handle an event of a topic that no class is declared for."""
