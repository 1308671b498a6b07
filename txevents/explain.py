"""`EventLinker.explain`: why each subscription would run for an event, or would not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from txevents.events import topic_of
from txevents.keys import spell_key

if TYPE_CHECKING:
    from txevents.linker import EventLinker
    from txevents.subscription import Subscription


def explain(
    linker: EventLinker, event: object, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> str:
    """Do the work of `EventLinker.explain`."""
    plan = linker.subscriptions_for(event)
    call_args = args if isinstance(event, str) else (event, *args)
    everyone = [s for base in linker.lineage for s in base.subscriptions()]
    others = [subscription for subscription in everyone if subscription not in plan]
    kind = "topic" if isinstance(event, str) else type(event).__qualname__
    lines = [f"{kind} {topic_of(event)!r} reaches {len(plan)} of {len(everyone)} subscriptions."]
    lines += [
        f"{number}. {_describe(subscription)}: {_verdict(subscription, call_args, kwargs)}"
        for number, subscription in enumerate(plan, 1)
    ]
    lines += [f"-  {_describe(other)}: not reached, none of its keys matches" for other in others]
    return "\n".join(lines)


def _describe(subscription: Subscription) -> str:
    keys = ", ".join(map(spell_key, subscription.keys))
    priority = subscription.policy.priority
    return f"{subscription.name} on {keys}" + (f", priority {priority}" if priority else "")


def _verdict(subscription: Subscription, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    try:
        reason = subscription.why_not(args, kwargs)
    except Exception as exc:
        return f"would fail, a predicate raises {type(exc).__name__}: {exc}"
    return "would run" if reason is None else f"would not run, {reason}"
