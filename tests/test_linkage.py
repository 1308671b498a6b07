"""What `linker.on(...)` returns, as a decorator and as a context manager."""

from __future__ import annotations

from typing import Any

import pytest

from tests.core_helpers import Stage, logged
from txevents import InvalidHandler, InvalidKey, LinkageError


def test_the_decorator_returns_the_function_unchanged() -> None:
    stage = Stage()

    def hear() -> str:
        return "heard"

    assert stage.linker.on("topic")(hear) is hear
    assert stage.emit("topic").values == ["heard"]


def test_the_decorator_may_be_used_for_several_functions() -> None:
    stage = Stage()
    listen = stage.linker.on("topic")
    listen(lambda: 1)
    listen(lambda: 2)

    assert stage.emit("topic").values == [1, 2]


def test_methods_of_the_block_return_the_function_unchanged() -> None:
    def function(*args: object) -> None:
        pass

    with Stage().linker.on("topic") as link:
        assert link.on_event(function) is function
        assert link.on_success(function) is function
        assert link.on_failure(function) is function


def test_several_handlers_of_a_block_share_its_callbacks_and_policy() -> None:
    stage = Stage()
    succeeded: list[Any] = []
    failed: list[Exception] = []
    error = ValueError("no")

    with stage.linker.on("topic", "other", priority=1, name="linked") as link:
        link.on_success(succeeded.append)
        link.on_failure(failed.append)

        @link.on_event
        def first() -> str:
            return "first"

        @link.on_event
        def second() -> None:
            pass

        @link.on_event
        def third() -> None:
            raise error

    stage.linker.subscribe(lambda: "later", "topic")

    assert stage.emit("topic").values == ["first", None, "later"]
    assert succeeded == ["first", None]
    assert failed == [error]
    subscriptions = stage.linker.subscriptions_for("other")
    assert [(s.name, s.policy.priority) for s in subscriptions] == [("linked", 1)] * 3


def test_nothing_is_registered_before_the_block_ends() -> None:
    stage = Stage()

    with stage.linker.on("topic") as link:
        link.on_event(print)
        assert stage.linker.subscriptions_for("topic") == ()

    assert len(stage.linker.subscriptions_for("topic")) == 1


def test_a_block_whose_body_raises_registers_nothing() -> None:
    stage = Stage()

    def block() -> None:
        with stage.linker.on("topic") as link:
            link.on_event(print)
            raise KeyError("in the body")

    with pytest.raises(KeyError, match="in the body"):
        block()
    assert stage.linker.subscriptions_for("topic") == ()


def test_a_block_without_a_handler_says_what_is_missing() -> None:
    stage = Stage()
    with (
        pytest.raises(LinkageError, match=r"names no handler: decorate one with @link\.on_event"),
        stage.linker.on("topic") as link,
    ):
        link.on_success(print)
    assert stage.linker.subscriptions_for("topic") == ()


@pytest.mark.parametrize("which", ["on_success", "on_failure"])
@pytest.mark.parametrize("in_block", [False, True])
def test_a_block_has_one_callback_of_each_kind(which: str, in_block: bool) -> None:
    stage = Stage()
    policy: dict[str, Any] = {} if in_block else {which: print}

    def block() -> None:
        with stage.linker.on("topic", **policy) as link:
            link.on_event(print)
            if in_block:
                getattr(link, which)(print)
            getattr(link, which)(repr)

    with pytest.raises(LinkageError, match=f"has an {which} already: <built-in function print>"):
        block()
    assert stage.linker.subscriptions_for("topic") == ()


def test_a_bad_handler_is_refused_where_it_is_named() -> None:
    with Stage().linker.on("topic") as link:
        with pytest.raises(InvalidHandler, match="must be callable"):
            link.on_event(None)  # type: ignore[type-var]
        link.on_event(print)


def test_a_bad_callback_registers_nothing() -> None:
    stage = Stage()

    def block() -> None:
        with stage.linker.on("topic") as link:
            link.on_event(print)
            link.on_success("print")  # type: ignore[type-var]

    with pytest.raises(InvalidHandler, match="on_success must be callable, not 'print'"):
        block()
    assert stage.linker.subscriptions_for("topic") == ()


def test_bad_keys_are_refused_before_the_block_begins() -> None:
    with pytest.raises(InvalidKey):
        Stage().linker.on(None)


def test_the_callbacks_may_be_coroutine_functions() -> None:
    stage = Stage()
    succeeded: list[Any] = []

    with stage.linker.on("topic") as link:

        @link.on_event
        async def answer() -> int:
            return 42

        @link.on_success
        async def sent(result: int) -> None:
            succeeded.append(result)

        @link.on_failure
        async def failed(exc: Exception) -> None:
            succeeded.append(exc)

    with logged() as events:
        assert stage.emit("topic").ok
    assert (succeeded, events) == ([42], [])
