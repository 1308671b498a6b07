"""`EventLinker`: who listens to what."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import is_dataclass
from difflib import get_close_matches
from itertools import count
from keyword import iskeyword
from operator import index
from types import ModuleType
from typing import Any, TypeVar, overload

import attrs
import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementedBy, implementer, providedBy
from zope.interface.interface import InterfaceClass

from txevents.errors import InvalidHandler, SubscriptionLimit, UnknownPredicate
from txevents.events import DECLARED, Envelope, classes_of_topic, topic_of_class
from txevents.explain import explain
from txevents.interfaces import IEventLinker
from txevents.keys import (
    check_callable,
    check_event,
    check_handler,
    check_key,
    check_keys,
    resolve,
    spell_key,
)
from txevents.linkage import Linkage, TypedLinkage
from txevents.plans import Plan, PlanCache, make_plan
from txevents.policy import Policy, Predicate, check_predicate
from txevents.registry import Registry, places_of
from txevents.scan import Mark, scan
from txevents.streams import EventStream, StreamOverflow, wait_for
from txevents.subscription import Subscription

E = TypeVar("E")
POLICY_KEYWORDS = frozenset(field.name for field in attrs.fields(Policy))
_TAKEN = POLICY_KEYWORDS | {"self", "handler", "name"}  # by `on` and `subscribe`
PredicateFactory = Callable[[Any], Predicate]


@implementer(IEventLinker)
class EventLinker:
    """Registers handlers for keys, and finds those that an event reaches.

    * `bases`: linkers that this one inherits from: an event reaches their subscriptions too.
    * `on_success`, `on_failure`: callbacks of the subscriptions that name none themselves.
    * `max_subscriptions`: how many this linker takes for one key.

    Order of calling: higher `priority` first; then those of the bases; then the least specific key
    first: everything, base interface, interface, base class, class, pattern with `#`, pattern with
    `*`, topic; then the order of registration. A handler that several of its keys let through runs
    once, in the first of its places. Not thread-safe: it belongs to the reactor thread.
    """

    def __init__(
        self,
        *,
        bases: Sequence[EventLinker] = (),
        on_success: Callable[[Any], object] | None = None,
        on_failure: Callable[[Exception], object] | None = None,
        max_subscriptions: int | None = None,
    ) -> None:
        self._bases = tuple(bases)
        # The bases' bases, the bases, and this linker: whom an event reaches, in order.
        self.lineage: list[EventLinker] = []
        for base in (*self._bases, self):
            family = [self] if base is self else base.lineage
            self.lineage += [linker for linker in family if linker not in self.lineage]
        self._default_policy = Policy(on_success=on_success, on_failure=on_failure)
        if max_subscriptions is not None and index(max_subscriptions) < 1:
            raise ValueError(f"max_subscriptions must be at least 1, not {max_subscriptions!r}")
        self._max_subscriptions = max_subscriptions
        self._registry = Registry()
        self._predicates: dict[str, PredicateFactory] = {}
        self._order = count()
        self.scanned: dict[Mark, Subscription] = {}
        self.plans = PlanCache()
        for base in self._bases:
            base.plans.dependents.add(self.plans)

    @property
    def bases(self) -> tuple[EventLinker, ...]:
        """The linkers that this one inherits from."""
        return self._bases

    # Of an interface, a handler may well take just one implementation: it is not checked.
    @overload
    def on(self, key: InterfaceClass, /, *, name: str | None = ..., **policy: Any) -> Linkage: ...

    @overload
    def on(self, key: type[E], /, *, name: str | None = ..., **policy: Any) -> TypedLinkage[E]: ...

    @overload
    def on(self, *keys: Any, name: str | None = ..., **policy: Any) -> Linkage: ...

    # mypy does not see that *keys takes the positional-only key.
    def on(self, *keys: Any, name: str | None = None, **policy: Any) -> Any:  # type: ignore[misc]
        """Register the decorated function for `keys`: `@linker.on(IOrderPlaced, priority=1)`.

        Takes what `subscribe` takes. Several keys mean any of them. As a context manager it links a
        handler with its callbacks::

            with linker.on(PasswordResetRequested) as link:
                @link.on_event
                async def send_mail(event): ...
                @link.on_failure
                def failed(exc): ...

        Raises at once what `subscribe` would for the keys and the policy.
        """
        return Linkage(self, check_keys(keys), name, self._make_policy(policy), policy.keys())

    def subscribe(
        self, handler: Callable[..., Any] | str, *keys: Any, name: str | None = None, **policy: Any
    ) -> Subscription:
        """Register `handler` for each of `keys` and return the subscription.

        `policy` holds the fields of `txevents.policy.Policy` and named predicates (see
        `add_predicate`). `name` stands for the handler in logs. Handler, keys, predicates and
        callbacks may be dotted names, `"package.module:name"`.

        Raises `InvalidHandler`, `InvalidKey`, `InvalidTopic`, `UnknownName`, `UnknownPredicate`, or
        `SubscriptionLimit` when one of the keys is full; nothing is registered then.
        """
        return self.register(resolve(handler), check_keys(keys), name, self._make_policy(policy))

    def register(
        self, handler: object, keys: tuple[Any, ...], name: str | None, policy: Policy
    ) -> Subscription:
        """Do what `subscribe` does, with keys and policy that have been checked."""
        called = check_handler(handler)
        for key in keys:
            if self._registry.count(key) == self._max_subscriptions:
                raise SubscriptionLimit(
                    f"{spell_key(key)} has {self._max_subscriptions} subscriptions, "
                    "as many as its linker allows"
                )
        subscription = Subscription(self, called, keys, policy, name, next(self._order))
        for key in keys:
            self._registry.add(key, subscription)
        self.plans.clear()
        return subscription

    def _make_policy(self, given: dict[str, Any]) -> Policy:
        if not given:
            return self._default_policy
        known = {name: value for name, value in given.items() if name in POLICY_KEYWORDS}
        policy = attrs.evolve(self._default_policy, **known)
        named = given.keys() - known.keys()
        if not named:
            return policy
        factories = self._all_predicates()
        for name in sorted(named):
            if name not in factories:
                near = get_close_matches(name, [*factories, *sorted(POLICY_KEYWORDS)], cutoff=0.5)
                hint = f"; did you mean {' or '.join(near)}?" if near else ""
                raise UnknownPredicate(f"{name} is no keyword of the policy, nor a predicate{hint}")
        made = tuple(
            _make_predicate(name, factory, given[name])
            for name, factory in factories.items()
            if given.get(name) is not None
        )
        return attrs.evolve(policy, where=policy.where + made)

    def add_predicate(self, name: str, factory: PredicateFactory | str) -> None:
        """Add a named predicate: `add_predicate("tenant", factory)`, then `on(IFoo, tenant="a")`.

        `factory("a")` is called at registration and returns the predicate, which is called like the
        handler. Named predicates are asked after those of `where`, in the order they were added,
        until one says no. Linkers that inherit from this one have it too. Raises `InvalidHandler`
        for a name that is taken or is none.
        """
        if not name.isidentifier() or iskeyword(name) or name in _TAKEN:
            raise InvalidHandler(f"a predicate cannot be called {name!r}")
        if name in self._predicates:
            raise InvalidHandler(f"there is a predicate {name!r} already")
        self._predicates[name] = check_callable("factory", resolve(factory))

    def _all_predicates(self) -> dict[str, PredicateFactory]:
        return {n: f for linker in self.lineage for n, f in linker._predicates.items()}

    def scan(self, package: ModuleType | str) -> list[Subscription]:
        """Register what `@subscriber` marks in a package and all of its modules.

        Takes a module or its name, imports the modules below it, and returns the subscriptions made
        now: what an earlier scan registered, and has not been cancelled, is not registered again.
        """
        return scan(self, package)

    def remove(self, key: Any) -> int:
        """Remove all subscriptions of this linker from `key`; return how many there were.

        Those without another key are cancelled.
        """
        found = list(self._registry.at(check_key(key)))
        for subscription in found:
            subscription.remove(key)
        return len(found)

    def clear(self) -> int:
        """Cancel all subscriptions of this linker, not those of its bases; return their number."""
        self.scanned.clear()
        return sum(subscription.cancel() for subscription in self.subscriptions())

    def subscriptions(self, key: Any = None) -> list[Subscription]:
        """Return this linker's subscriptions, or those of just `key`, in order of registration."""
        found = self._registry if key is None else self._registry.at(check_key(key))
        return sorted(set(found), key=lambda subscription: subscription.order)

    def subscriptions_for(self, event: object) -> Plan:
        """Return the subscriptions that `event` reaches now, in the order of calling.

        Raises `InvalidEvent` (a `TypeError`) for `None`, `""` and a class.
        """
        check_event(event)
        if isinstance(event, str):
            return self._topic_plan(str.__str__(event))
        if type(event) is Envelope:
            return self._envelope_plan(event)
        return self._object_plan(event)

    def subscriptions_for_objects(self, objects: tuple[object, ...]) -> Plan:
        """Return the subscriptions whose tuple keys `objects` match, in the order of calling."""
        for obj in objects:
            check_event(obj)
        places = [places_of(providedBy(obj), type(obj)) for obj in objects]
        return make_plan(linker._registry.find_tuples(places) for linker in self.lineage)

    def explain(self, event: object, /, *args: Any, **kwargs: Any) -> str:
        """Say in words, for each subscription, why it would run for this event or would not.

        Takes what `emit` takes, and asks the predicates, but runs no handler.
        """
        return explain(self, event, args, kwargs)

    def wait_for(
        self,
        *keys: Any,
        where: Any = None,
        timeout: float | None = None,
        reactor: IReactorTime | None = None,
    ) -> Deferred[Any]:
        """Return a Deferred that fires with the next event that reaches one of `keys`.

        It listens from the call on, so nothing that is emitted afterwards is missed. A topic gives
        what it was emitted with: nothing as `None`, one argument as it is, several as a tuple.
        `where` is as in `subscribe`. After `timeout` seconds of `reactor` (`None` is the installed
        one) it fails with `HandlerTimeout`. Cancelling it ends the listening.
        """
        return wait_for(self, keys, where, timeout, reactor)

    def stream(
        self,
        *keys: Any,
        maxsize: int = 100,
        overflow: StreamOverflow = "drop_oldest",
        where: Any = None,
    ) -> EventStream:
        """Return an `EventStream` of the events that reach one of `keys` from now on."""
        return EventStream(self, keys, maxsize, overflow, where)

    def class_for(self, topic: str) -> type | None:
        """Return the class that a message of `topic` is read as: declared for it, and reached.

        Only attrs classes, dataclasses and `msgspec.Struct` classes count, as data can be read into
        them. Where several declare the topic with `@event` and subscriptions reach them, it is the
        one declared last. `None` when there is none.
        """
        plans = self.plans
        if plans.declarations != DECLARED.count:
            plans.classes.clear()
            plans.declarations = DECLARED.count
        try:
            return plans.classes[topic]
        except KeyError:
            pass
        candidates = [cls for cls in reversed(classes_of_topic(topic)) if _has_fields(cls)]
        specs = [implementedBy(cls) for cls in candidates]
        reached = next(
            (
                cls
                for cls, spec in zip(candidates, specs, strict=True)
                if self._plan_of(spec, cls, topic_of_class(cls))
            ),
            None,
        )
        plans.remember(plans.classes, topic, reached, *specs)
        return reached

    def _topic_plan(self, topic: str) -> Plan:
        plan = self.plans.topics.get(topic)
        if plan is None:
            plan = make_plan(
                [*linker._registry.find_at({...: 0}), *linker._registry.find_topic(topic)]
                for linker in self.lineage
            )
            self.plans.remember(self.plans.topics, topic, plan)
        return plan

    def _envelope_plan(self, envelope: Envelope) -> Plan:
        plan = self.plans.envelopes.get(envelope.type)
        if plan is None:
            spec = providedBy(envelope)
            plan = self._plan_of(spec, Envelope, envelope.type)
            self.plans.remember(self.plans.envelopes, envelope.type, plan, spec)
            # Whoever looks an envelope up as an object is to find nothing, and to look here.
            self.plans.remember(self.plans.objects, spec, ())
        return plan

    def _object_plan(self, event: object) -> Plan:
        spec = providedBy(event)
        plan = self.plans.objects.get(spec)
        if plan is None:
            cls = type(event)
            plan = self._plan_of(spec, cls, topic_of_class(cls))
            # A wrapper may show the declaration of what it wraps: the plan is not for that class.
            if spec.isOrExtends(implementedBy(cls)):
                self.plans.remember(self.plans.objects, spec, plan, spec)
        return plan

    def _plan_of(self, spec: Any, cls: type, topic: str) -> Plan:
        places = places_of(spec, cls)
        return make_plan(
            [*linker._registry.find_at(places), *linker._registry.find_topic(topic)]
            for linker in self.lineage
        )

    def forget(self, subscription: Subscription, keys: tuple[Any, ...]) -> None:
        """Take a subscription out from under `keys`; for `Subscription.cancel` and `remove`."""
        for key in keys:
            self._registry.discard(key, subscription)
        self.plans.clear()

    def __repr__(self) -> str:
        number = len(set(self._registry))
        keys = [spell_key(key) for key in self._registry.keys()]  # noqa: SIM118 - a Registry iterates over subscriptions
        shown = ", ".join(keys[:5] + ["..."] * (len(keys) > 5)) or "nothing"
        return f"<EventLinker: {number} subscription{'s' * (number != 1)} on {shown}>"


def _make_predicate(name: str, factory: PredicateFactory, value: object) -> Predicate:
    predicate = check_predicate(f"what the predicate {name} makes", factory(value))

    def named(*args: Any, **kwargs: Any) -> object:
        return predicate(*args, **kwargs)

    named.__module__ = ""
    named.__qualname__ = f"{name}={value!r}"
    return named


def _has_fields(cls: type) -> bool:
    """Tell whether data can be read into `cls`."""
    return attrs.has(cls) or is_dataclass(cls) or issubclass(cls, msgspec.Struct)


default_linker = EventLinker()
