"""The handlers of `make run`: orders, GitHub webhooks, and whatever else arrives.

twistd -n events --http tcp:8080:interface=127.0.0.1 --handlers examples.demo
"""

from __future__ import annotations

from decimal import Decimal

import attrs
from twisted.logger import Logger
from zope.interface import Attribute, Interface, implementer

from txevents import Envelope, current_envelope, event, on

log = Logger(namespace="demo")


class IOrder(Interface):
    """Anything that has happened to an order."""

    order_id = Attribute("Which order.")


@event("com.example.order.placed")
@implementer(IOrder)
@attrs.frozen
class OrderPlaced:
    """A customer has placed an order."""

    order_id: str
    total: Decimal


@on(IOrder)
async def send_receipt(order: OrderPlaced) -> None:
    """Handle every kind of order event: the data is an object, checked before it comes here."""
    log.info("receipt for {order.order_id}: {order.total} EUR", order=order)


@on("hook.github")
def tell_the_team(hook: Envelope) -> None:
    """Handle a webhook: no class is declared for its topic, so the envelope comes itself."""
    log.info(
        "GitHub says {event}: {action}",
        event=hook.subject or "something",
        action=hook.data.get("action", "(no action)"),
    )


@on(..., priority=-1)
def count(anything: object) -> None:
    """Handle everything, after the others."""
    envelope = current_envelope()
    if envelope is not None:
        log.info("{e.type} {e.id} from {e.source}", e=envelope)
