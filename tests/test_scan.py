"""`@subscriber` marks, `linker.scan` registers."""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from types import ModuleType
from typing import Any

import pytest

from tests.core_helpers import Stage
from txevents import (
    EventLinker,
    InvalidHandler,
    InvalidKey,
    InvalidTopic,
    Subscription,
    SubscriptionLimit,
    UnknownPredicate,
    default_linker,
    subscriber,
)

Write = Callable[..., None]

PACKAGE = {
    "__init__": """
        from txevents import subscriber

        @subscriber("started")
        def top():
            return "top"
        """,
    "__main__": "raise SystemExit('__main__ was run')",
    "orders": """
        from txevents import subscriber

        class Order:
            pass

        @subscriber(Order, priority=1, name="urgent")
        def charge(order):
            return "charge"

        @subscriber("order.placed", "order.changed")
        async def store():
            return "stored"

        @subscriber(Order)
        class Receipt:
            def __init__(self, order):
                self.order = order

        def unmarked(order):
            return "never"
        """,
    "sub.__init__": "",
    "sub.mail": """
        from scanned.orders import Order, charge, store
        from txevents import subscriber

        charge_too = charge

        @subscriber("a", priority=5)
        @subscriber("b")
        def both():
            return "both"
        """,
    "sub.deeper.__init__": "from scanned.sub.mail import both",
    "sub.deeper.__main__": "raise SystemExit('__main__ was run')",
    "sub.deeper.last": """
        from txevents import subscriber

        @subscriber("last")
        def last():
            return "last"
        """,
}

ALL = [
    "scanned.top on 'started'",
    "urgent on Order",
    "scanned.orders.store on 'order.placed', 'order.changed'",
    "scanned.orders.Receipt on Order",
    "scanned.sub.deeper.last.last on 'last'",
    "scanned.sub.mail.both on 'a'",
    "scanned.sub.mail.both on 'b'",
]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Write modules of a package, `scanned`, that can be imported until the test ends."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(**modules: str) -> None:
        for name, source in modules.items():
            path = tmp_path.joinpath("scanned", *name.split(".")).with_suffix(".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(dedent(source))
        importlib.invalidate_caches()

    yield write
    for name in [name for name in sys.modules if name.startswith("scanned")]:
        del sys.modules[name]


@pytest.fixture
def package(write: Write) -> None:
    """The package above."""
    write(**PACKAGE)


def shown(subscriptions: list[Subscription]) -> list[str]:
    return [repr(subscription)[len("<Subscription ") : -1] for subscription in subscriptions]


def scanned(module: str = "") -> Any:
    return sys.modules[f"scanned{module}"]


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize("by_name", [True, False])
def test_a_package_is_scanned_with_all_that_is_below_it(by_name: bool) -> None:
    linker = EventLinker()
    made = linker.scan("scanned" if by_name else importlib.import_module("scanned"))

    assert shown(made) == ALL
    assert linker.subscriptions() == made


@pytest.mark.usefixtures("package")
def test_what_is_marked_is_registered_as_if_with_on() -> None:
    stage = Stage()
    urgent, *_ = stage.linker.scan("scanned.orders")
    order = scanned(".orders").Order()

    assert urgent.policy.priority == 1
    assert urgent.handler is scanned(".orders").charge
    called, receipt = stage.emit(order).values
    assert called == "charge"
    assert type(receipt) is scanned(".orders").Receipt
    assert receipt.order is order
    assert stage.emit("order.changed").values == ["stored"]


@pytest.mark.usefixtures("package")
def test_importing_a_module_registers_nothing() -> None:
    before = default_linker.subscriptions()
    importlib.import_module("scanned.sub.deeper.last")

    assert default_linker.subscriptions() == before


@pytest.mark.usefixtures("package")
def test_a_marked_function_is_left_as_it_is() -> None:
    importlib.import_module("scanned.orders")

    assert scanned(".orders").charge(None) == "charge"
    assert scanned(".orders").charge.__name__ == "charge"


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("scanned.orders", ALL[1:4]),
        ("scanned.sub", ALL[4:]),
        ("scanned.sub.mail", ALL[5:]),
        ("scanned.sub.deeper", ALL[4:5]),
    ],
)
def test_a_module_is_scanned_without_what_is_above_it_or_imported(
    name: str, expected: list[str]
) -> None:
    assert shown(EventLinker().scan(name)) == expected


@pytest.mark.usefixtures("package")
def test_several_marks_of_a_function_are_several_subscriptions_as_they_are_written() -> None:
    stage = Stage()
    first, second = stage.linker.scan("scanned.sub.mail")

    assert (first.keys, first.policy.priority) == (("a",), 5)
    assert (second.keys, second.policy.priority) == (("b",), 0)
    assert stage.emit("a").values == stage.emit("b").values == ["both"]
    assert first.cancel()
    assert stage.emit("b").values == ["both"]


@pytest.mark.usefixtures("package")
def test_scanning_again_registers_nothing_again() -> None:
    linker = EventLinker()
    made = linker.scan("scanned.sub")

    assert linker.scan("scanned.sub") == []
    assert shown(linker.scan("scanned")) == ALL[:4]
    assert linker.scan("scanned") == linker.scan("scanned.orders") == []
    assert linker.subscriptions()[: len(made)] == made


@pytest.mark.usefixtures("package")
def test_scanning_again_registers_what_was_cancelled() -> None:
    linker = EventLinker()
    made = linker.scan("scanned")
    made[1].cancel()
    linker.remove("b")

    assert shown(linker.scan("scanned")) == [ALL[1], ALL[6]]
    assert linker.scan("scanned") == []
    assert linker.clear() == len(ALL)
    assert shown(linker.scan("scanned")) == ALL


def test_scanning_again_registers_what_is_new(write: Write) -> None:
    write(__init__="", one=PACKAGE["sub.deeper.last"])
    linker = EventLinker()
    assert shown(linker.scan("scanned")) == ["scanned.one.last on 'last'"]

    write(two=PACKAGE["sub.deeper.last"])
    assert shown(linker.scan("scanned")) == ["scanned.two.last on 'last'"]


def test_scanning_again_does_not_revive_a_handler_for_one_event(write: Write) -> None:
    write(
        __init__="""
        from txevents import subscriber

        @subscriber("first", once=True)
        def hear():
            return "heard"
        """
    )
    stage = Stage()
    stage.linker.scan("scanned")

    assert stage.emit("first").values == ["heard"]
    assert stage.linker.scan("scanned") == []
    assert stage.emit("first").values == []


@pytest.mark.usefixtures("package")
def test_each_linker_scans_for_itself() -> None:
    one, another = EventLinker(), EventLinker()
    made = one.scan("scanned")

    assert shown(another.scan("scanned")) == ALL
    one.clear()
    assert another.scan("scanned") == []
    assert len(another.subscriptions()) == len(made)


@pytest.mark.usefixtures("package")
def test_who_inherits_scans_for_itself() -> None:
    base = EventLinker()
    base.scan("scanned.orders")

    assert shown(EventLinker(bases=(base,)).scan("scanned.orders")) == ALL[1:4]


def test_a_module_that_is_no_package_is_scanned(write: Write) -> None:
    write(__init__="", alone=PACKAGE["sub.deeper.last"])
    module = importlib.import_module("scanned.alone")

    assert isinstance(module, ModuleType)
    assert shown(EventLinker().scan(module)) == ["scanned.alone.last on 'last'"]


def test_a_package_without_init_is_scanned(write: Write) -> None:
    write(alone=PACKAGE["sub.deeper.last"])

    assert shown(EventLinker().scan("scanned")) == ["scanned.alone.last on 'last'"]


@pytest.mark.parametrize("broken", ["orders", "sub.__init__", "sub.mail"])
@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("import a_module_that_is_missing", ModuleNotFoundError),
        ("1 / 0", ZeroDivisionError),
        ("def", SyntaxError),
    ],
)
def test_a_module_that_fails_surfaces_and_nothing_is_registered(
    write: Write, broken: str, source: str, error: type[Exception]
) -> None:
    write(**PACKAGE | {"sub.mail": "", "sub.deeper.__init__": ""} | {broken: source})
    linker = EventLinker()

    with pytest.raises(error):
        linker.scan("scanned")
    assert linker.subscriptions() == []


def test_a_module_that_is_missing_surfaces() -> None:
    with pytest.raises(ModuleNotFoundError, match="no_such_package"):
        EventLinker().scan("no_such_package")


def test_what_has_no_marks_of_its_own_is_left_out(write: Write) -> None:
    write(
        __init__="""
        from dataclasses import dataclass
        from txevents import subscriber

        @dataclass
        class Settings:
            limit: int = 1

        SETTINGS = Settings()  # not hashable
        NUMBER = 7

        class Proxy:
            def __getattr__(self, name):
                return self

        PROXY = Proxy()

        @subscriber("parent")
        class Parent:
            pass

        class Child(Parent):
            pass
        """
    )

    assert shown(EventLinker().scan("scanned")) == ["scanned.Parent on 'parent'"]


def test_methods_and_inner_functions_are_not_scanned(write: Write) -> None:
    write(
        __init__="""
        from txevents import subscriber

        class Orders:
            @subscriber("topic")
            def method(self):
                pass

            @staticmethod
            @subscriber("topic")
            def static():
                pass

        def make():
            @subscriber("topic")
            def inner():
                pass
            return inner

        make()
        made = make()
        """
    )

    assert shown(EventLinker().scan("scanned")) == ["scanned.make.<locals>.inner on 'topic'"]


def test_another_decorator_around_a_marked_function_is_registered_with_it(write: Write) -> None:
    write(
        __init__="""
        from functools import cache, wraps
        from txevents import subscriber

        def loud(function):
            @wraps(function)
            def wrapper():
                return function().upper()
            return wrapper

        @loud
        @subscriber("topic")
        def hear():
            return "heard"

        @subscriber("cached")
        @cache
        def remember():
            return "remembered"
        """
    )
    stage = Stage()
    assert len(stage.linker.scan("scanned")) == 2

    assert stage.emit("topic").values == ["HEARD"]
    assert stage.emit("cached").values == ["remembered"]


def test_a_predicate_may_be_in_a_module_that_is_imported_by_registering(
    write: Write, tmp_path: Path
) -> None:
    write(
        __init__="""
        from txevents import subscriber

        @subscriber("topic", where="scanned_beside:is_on")
        def hear():
            return "heard"
        """
    )
    # The package gets one more name while its names are gone through.
    (tmp_path / "scanned_beside.py").write_text(
        "import scanned\nscanned.another = 1\ndef is_on(): return True\n"
    )

    assert len(EventLinker().scan("scanned")) == 1
    assert scanned().another == 1


def test_named_predicates_are_those_of_the_linker_that_scans(write: Write) -> None:
    write(
        __init__="""
        from txevents import subscriber

        @subscriber("topic", word="yes")
        def hear(word):
            return word
        """
    )
    stage = Stage()
    with pytest.raises(UnknownPredicate, match=r"^word is no keyword"):
        stage.linker.scan("scanned")

    stage.linker.add_predicate("word", lambda wanted: lambda word: word == wanted)
    stage.linker.scan("scanned")
    assert [v for word in ("yes", "no") for v in stage.emit("topic", word).values] == ["yes"]


def test_a_scan_that_fails_on_the_way_goes_on_where_it_stopped(write: Write) -> None:
    write(**PACKAGE)
    linker = EventLinker(max_subscriptions=1)

    with pytest.raises(SubscriptionLimit, match="Order has 1"):
        linker.scan("scanned")
    assert shown(linker.subscriptions()) == ALL[:3]
    linker.remove(scanned(".orders").Order)
    with pytest.raises(SubscriptionLimit):
        linker.scan("scanned")
    assert shown(linker.subscriptions()) == [ALL[0], ALL[2], ALL[1]]


def test_what_is_marked_wrongly_is_refused_at_once() -> None:
    with pytest.raises(InvalidKey, match="give at least one key"):
        subscriber()
    with pytest.raises(InvalidKey, match="cannot listen to 7"):
        subscriber("topic", 7)
    with pytest.raises(InvalidTopic):
        subscriber("")
    with pytest.raises(InvalidKey, match="cannot listen to the function"):
        subscriber(lambda: None)
    with pytest.raises(InvalidHandler, match="a handler must be callable"):
        subscriber("topic")(7)  # type: ignore[type-var]

    def generator() -> Iterator[None]:
        yield

    with pytest.raises(InvalidHandler, match="is a generator function"):
        subscriber("topic")(generator)


class Service:
    def __call__(self) -> None:
        pass

    def method(self) -> None:
        pass


@pytest.mark.parametrize(
    "handler",
    [functools.partial(repr, 1), Service(), Service().method, print, "".join, int],
)
def test_what_cannot_be_found_again_in_its_module_cannot_be_marked(
    handler: Callable[..., Any],
) -> None:
    with pytest.raises(InvalidHandler, match=r"^@subscriber marks functions and classes, not "):
        subscriber("topic")(handler)
