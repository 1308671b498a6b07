"""`"package.module:name"` stands for an object wherever one is taken."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from zope.interface import Interface, implementer

from tests.core_helpers import Stage, result_of
from txevents import EventLinker, InvalidHandler, InvalidKey, Retry, UnknownName, not_


class IThing(Interface):
    pass


@implementer(IThing)
class Thing:
    class Part(LookupError):
        pass

    def __init__(self, size: int = 0) -> None:
        self.size = size

    def double(self) -> int:
        return self.size * 2

    @staticmethod
    def is_big(thing: Thing) -> bool:
        return thing.size > 100


calls: list[Any] = []
A_TOPIC = "topic.of.a.constant"
ANYTHING = ...


def hear(*args: object) -> str:
    return "heard"


def note(result: object) -> None:
    calls.append(result)


def bigger_than(size: int) -> Callable[[Thing], bool]:
    return lambda thing: thing.size > size


def here(name: str) -> str:
    return f"{__name__}:{name}"


@pytest.mark.parametrize(
    ("name", "key", "event"),
    [
        ("Thing", Thing, Thing()),
        ("IThing", IThing, Thing()),
        ("Thing.Part", Thing.Part, Thing.Part()),
        ("A_TOPIC", A_TOPIC, A_TOPIC),
        ("ANYTHING", ..., "anything"),
    ],
)
def test_a_key_may_be_a_dotted_name(name: str, key: object, event: object) -> None:
    stage = Stage()
    subscription = stage.linker.subscribe(hear, here(name))
    stage.linker.on(here(name))(hear)

    assert subscription.keys == (key,)
    assert stage.emit(event).values == ["heard", "heard"]
    assert stage.linker.subscriptions(here(name)) == stage.linker.subscriptions(key)
    assert stage.linker.remove(here(name)) == 2


def test_a_dotted_name_and_its_object_are_one_key() -> None:
    assert EventLinker().subscribe(hear, Thing, here("Thing")).keys == (Thing,)


def test_the_parts_of_a_tuple_may_be_dotted_names() -> None:
    stage = Stage()
    subscription = stage.linker.subscribe(hear, (here("Thing"), IThing, here("Thing.Part"), ...))

    deferred = stage.emitter.emit_objects(Thing(), Thing(), Thing.Part(), 1)
    stage.clock.advance(0)

    assert subscription.keys == ((Thing, IThing, Thing.Part, ...),)
    assert result_of(deferred).values == ["heard"]


def test_a_key_may_be_taken_away_by_its_dotted_name() -> None:
    subscription = EventLinker().subscribe(hear, Thing, "topic")

    assert subscription.remove(here("Thing"))
    assert subscription.keys == ("topic",)


def test_a_handler_may_be_a_dotted_name() -> None:
    stage = Stage()
    subscription = stage.linker.subscribe(here("hear"), Thing)
    stage.linker.subscribe(here("Thing.double"), Thing)

    assert subscription.handler is hear
    assert subscription.name == f"{__name__}.hear"
    assert stage.emit(Thing(21)).values == ["heard", 42]


def test_a_block_may_begin_with_a_dotted_name() -> None:
    stage = Stage()
    with stage.linker.on(here("Thing"), on_success=here("note")) as link:
        link.on_event(hear)

    assert stage.emit(Thing()).values == ["heard"]
    assert calls.pop() == "heard"


@pytest.mark.parametrize(
    ("where", "heard"),
    [
        (here("Thing.is_big"), [101]),
        ([here("Thing.is_big")], [101]),
        ((lambda thing: True, here("Thing.is_big")), [101]),
        (not_(here("Thing.is_big")), [1]),
        ((not_(not_(here("Thing.is_big"))),), [101]),
    ],
)
def test_a_predicate_may_be_a_dotted_name(where: Any, heard: list[int]) -> None:
    stage = Stage()
    stage.linker.subscribe(lambda thing: thing.size, Thing, where=where)

    assert [value for size in (1, 101) for value in stage.emit(Thing(size)).values] == heard


def test_a_dotted_name_is_shown_as_what_it_stands_for() -> None:
    assert not_(here("Thing.is_big")).__qualname__ == "not_(Thing.is_big)"


def test_callbacks_may_be_dotted_names() -> None:
    stage = Stage()
    stage.linker.subscribe(hear, "topic", on_success=here("note"))
    stage.linker.subscribe(here("Thing.double"), "topic", on_failure=here("note"))

    stage.emit("topic")

    failure, result = calls.pop(), calls.pop()
    assert (type(failure), result) == (TypeError, "heard")


def test_the_callbacks_of_a_linker_may_be_dotted_names() -> None:
    linker = EventLinker(on_success=here("note"), on_failure=here("hear"))  # type: ignore[arg-type]
    policy = linker.subscribe(hear, "topic").policy

    assert (policy.on_success, policy.on_failure) == (note, hear)


def test_what_orders_events_may_be_a_dotted_name() -> None:
    policy = EventLinker().subscribe(hear, Thing, ordered_by=here("Thing.double")).policy

    assert policy.ordered_by is Thing.double


def test_the_factory_of_a_predicate_may_be_a_dotted_name() -> None:
    stage = Stage()
    stage.linker.add_predicate("bigger_than", here("bigger_than"))
    stage.linker.subscribe(hear, Thing, bigger_than=10)

    assert [len(stage.emit(Thing(size)).values) for size in (10, 11)] == [0, 1]


def test_the_exceptions_of_a_retry_may_be_dotted_names() -> None:
    retry = Retry(retry_on=here("Thing.Part"), give_up_on=("builtins:ValueError", OSError))

    assert retry.retry_on == (Thing.Part,)
    assert retry.give_up_on == (ValueError, OSError)


def test_what_is_waited_for_and_streamed_may_be_a_dotted_name() -> None:
    stage = Stage()
    waiting = stage.linker.wait_for(here("Thing"), where=here("Thing.is_big"))
    with stage.linker.stream(here("Thing"), where=here("Thing.is_big")) as stream:
        small, big = Thing(1), Thing(101)
        stage.emit(small)
        stage.emit(big)

        assert result_of(waiting) is big
        assert result_of(stream.__anext__()) is big


def test_a_dotted_name_is_resolved_at_registration_and_not_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stage = Stage()
    stage.linker.subscribe(here("hear"), "topic")
    monkeypatch.setattr(f"{__name__}.hear", lambda: "replaced")

    assert stage.emit("topic").values == ["heard"]


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory that is looked in for modules."""
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_the_module_is_imported_if_it_has_not_been(modules: Path) -> None:
    (modules / "dotted_fresh.py").write_text("def hear(): return 'imported'\n")
    stage = Stage()
    stage.linker.subscribe("dotted_fresh:hear", "topic")

    assert stage.emit("topic").values == ["imported"]


def test_a_module_that_fails_to_import_something_is_told_apart_from_a_missing_one(
    modules: Path,
) -> None:
    (modules / "dotted_broken.py").write_text("import dotted_missing_too\n")

    with pytest.raises(
        UnknownName,
        match=r"'dotted_broken:hear': cannot import dotted_broken: .*'dotted_missing_too'",
    ) as caught:
        EventLinker().subscribe("dotted_broken:hear", "topic")
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)
    assert caught.value.__cause__.name == "dotted_missing_too"


def test_another_error_in_the_module_is_let_through(modules: Path) -> None:
    (modules / "dotted_failing.py").write_text("1 / 0\n")

    with pytest.raises(ZeroDivisionError):
        EventLinker().subscribe(hear, "dotted_failing:Thing")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_such_module:Thing", "cannot import no_such_module: No module named 'no_such_module'"),
        ("tests.missing:Thing", r"cannot import tests\.missing: No module named 'tests\.missing'"),
        (here("Missing"), f"{__name__} has no 'Missing'"),
        (here("Thing.missing"), f"{__name__}.Thing has no 'missing'"),
        (here("Thing.Part.missing"), f"{__name__}.Thing.Part has no 'missing'"),
        (here("Thing.missing.Part"), f"{__name__}.Thing has no 'missing'"),
        (here("__name__.missing"), f"{__name__}.__name__ has no 'missing'"),
    ],
)
def test_a_name_that_leads_to_nothing_says_how_far_it_led(name: str, message: str) -> None:
    linker = EventLinker()

    def raises() -> Any:
        return pytest.raises(UnknownName, match=f"'{name}': {message}")

    with raises():
        linker.subscribe(name, "topic")
    with raises():
        linker.subscribe(hear, "topic", name)
    with raises():
        linker.on((Thing, name))
    with raises():
        linker.on("topic", where=name)
    with raises():
        linker.on("topic", where=[hear, name])
    with raises():
        not_(name)
    with raises():
        linker.on("topic", on_success=name)
    with raises():
        linker.on("topic", on_failure=name)
    with raises():
        linker.on("topic", ordered_by=name)
    with raises():
        linker.add_predicate("named", name)
    with raises():
        Retry(retry_on=name)
    with raises():
        Retry(give_up_on=(OSError, name))
    with raises():
        linker.remove(name)
    assert linker.subscriptions() == []


def test_an_unknown_name_is_an_import_error_too() -> None:
    with pytest.raises(ImportError):
        EventLinker().subscribe("no_such_module:hear", "topic")


@pytest.mark.parametrize(
    "topic",
    [
        "orders",
        "orders.placed",
        "a:b:c",
        "urn:isbn:0451450523",
        "https://example.com:8080/orders",
        "orders:",
        ":orders",
        "orders:eu.*",
        "orders: placed",
        "orders-placed:now",
        "orders:1",
        "1:orders",
        "orders..placed:now",
        "orders.:now",
        "orders:now.",
    ],
)
def test_a_string_of_another_shape_is_a_topic(topic: str) -> None:
    stage = Stage()
    subscription = stage.linker.subscribe(hear, topic)

    assert subscription.keys == (topic,)
    assert stage.emit(topic.replace("*", "placed")).values == ["heard"]


def test_a_topic_that_is_emitted_is_never_taken_for_a_dotted_name() -> None:
    stage = Stage()
    stage.linker.subscribe(lambda: "heard", "#")

    assert stage.emit("no_such_module:Thing").values == ["heard"]
    assert stage.emit(here("Thing")).values == ["heard"]


@pytest.mark.parametrize("name", ["calls", "hear", "Thing.double"])
def test_what_the_name_leads_to_is_checked_as_a_key(name: str) -> None:
    with pytest.raises(InvalidKey, match="cannot listen to"):
        EventLinker().subscribe(hear, here(name))


@pytest.mark.parametrize("name", ["calls", "A_TOPIC"])
def test_what_the_name_leads_to_is_checked_as_a_handler_and_callback(name: str) -> None:
    linker = EventLinker()
    with pytest.raises(InvalidHandler, match="a handler must be callable, not"):
        linker.subscribe(here(name), "topic")
    for keyword in ("where", "on_success", "on_failure", "ordered_by"):
        with pytest.raises(InvalidHandler, match=f"{keyword} must be callable, not"):
            linker.subscribe(hear, "topic", **{keyword: here(name)})
    with pytest.raises(InvalidHandler, match="factory must be callable, not"):
        linker.add_predicate("named", here(name))
    with pytest.raises(InvalidHandler, match="an exception class is needed, not"):
        Retry(retry_on=here(name))
    assert linker.subscriptions() == []
