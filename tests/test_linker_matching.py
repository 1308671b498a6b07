"""Matching has full zope semantics, also when a declaration changes after it was cached."""

from __future__ import annotations

import gc
from typing import Any
from weakref import ref

import pytest
from zope.interface import (
    Interface,
    alsoProvides,
    classImplements,
    classImplementsOnly,
    directlyProvides,
    implementer,
    implementer_only,
    noLongerProvides,
)

from tests.core_helpers import Stage
from txevents.plans import MAX_CACHED_PLANS


class IBase(Interface):
    pass


class IChild(IBase):
    pass


class IOther(Interface):
    pass


@implementer(IChild)
class Child:
    pass


@implementer_only(IOther)
class OnlyOther(Child):
    pass


def heard_by(stage: Stage, event: object) -> list[Any]:
    """Which handlers hear the event, emitted in each way."""
    heard = stage.emit(event).values
    _notified.clear()
    stage.notify(event)
    assert _notified == heard
    return heard


_notified: list[Any] = []


def listening(*keys: Any) -> Stage:
    stage = Stage()

    def listen(key: Any) -> None:
        def hear(event: object) -> Any:
            _notified.append(key)
            return key

        stage.linker.subscribe(hear, key)

    for key in keys:
        listen(key)
    return stage


def test_the_base_interfaces_of_what_a_class_implements_are_heard() -> None:
    stage = listening(IBase, IChild, IOther)

    assert heard_by(stage, Child()) == [IBase, IChild]


def test_implementer_only_leaves_out_what_the_base_class_implements() -> None:
    stage = listening(IBase, IChild, IOther, Child, OnlyOther)

    assert heard_by(stage, OnlyOther()) == [IOther, Child, OnlyOther]


def test_also_provides_on_one_instance_concerns_this_instance() -> None:
    stage = listening(IBase, IOther)
    one, another = Child(), Child()
    assert heard_by(stage, one) == heard_by(stage, another) == [IBase]

    alsoProvides(one, IOther)

    assert heard_by(stage, one) == [IBase, IOther]
    assert heard_by(stage, another) == [IBase]

    noLongerProvides(one, IOther)

    assert heard_by(stage, one) == [IBase]


def test_directly_provided_interfaces_are_heard_on_an_instance_of_a_bare_class() -> None:
    class Bare:
        pass

    stage = listening(IOther, Bare)
    bare = Bare()
    assert heard_by(stage, bare) == [Bare]

    directlyProvides(bare, IOther)

    assert heard_by(stage, bare) == [IOther, Bare]


def test_class_implements_after_the_fact_is_heard() -> None:
    class Late:
        pass

    class LateChild(Late):
        pass

    stage = listening(IBase, IOther, Late)
    assert heard_by(stage, Late()) == heard_by(stage, LateChild()) == [Late]

    classImplements(Late, IOther)

    assert heard_by(stage, Late()) == heard_by(stage, LateChild()) == [IOther, Late]

    classImplementsOnly(LateChild, IBase)

    assert heard_by(stage, Late()) == [IOther, Late]
    assert heard_by(stage, LateChild()) == [IBase, Late]


def test_changed_bases_of_an_interface_are_heard() -> None:
    class IMoving(Interface):
        pass

    @implementer(IMoving)
    class Mover:
        pass

    stage = listening(IOther, IMoving)
    instance = Mover()
    assert heard_by(stage, instance) == [IMoving]

    IMoving.__bases__ = (IOther,)

    assert heard_by(stage, instance) == [IOther, IMoving]

    IMoving.__bases__ = (Interface,)

    assert heard_by(stage, instance) == [IMoving]


def test_a_class_that_came_to_implement_an_interface_is_heard_in_objects_emitted_together() -> None:
    class Late:
        pass

    stage = Stage()
    stage.linker.subscribe(print, (IOther, IOther))
    assert stage.linker.subscriptions_for_objects((Late(), Late())) == ()

    classImplements(Late, IOther)

    assert len(stage.linker.subscriptions_for_objects((Late(), Late()))) == 1


def test_an_instance_without_attributes_of_its_own_is_matched() -> None:
    class Slotted:
        __slots__ = ()

    stage = listening(Slotted, Interface)

    assert heard_by(stage, Slotted()) == [Interface, Slotted]


class Wrapper:
    def __init__(self, wrapped: object) -> None:
        self._wrapped = wrapped

    def __getattr__(self, name: str) -> Any:
        return getattr(self._wrapped, name)


@pytest.mark.parametrize("wrapped_first", [False, True])
def test_a_wrapper_does_not_change_how_the_wrapped_object_is_heard(wrapped_first: bool) -> None:
    @implementer(IBase)
    class Wrapped:
        pass

    stage = listening(Wrapped)
    if wrapped_first:
        assert heard_by(stage, Wrapped()) == [Wrapped]

    stage.emit(Wrapper(Wrapped()))

    assert heard_by(stage, Wrapped()) == [Wrapped]


def test_a_late_handler_hears_what_was_emitted_before_to_nobody() -> None:
    stage = listening()
    assert heard_by(stage, Child()) == []
    assert stage.emit("topic").values == []

    stage.linker.subscribe(lambda *args: "late", Child, "topic")

    assert stage.emit(Child()).values == stage.emit("topic").values == ["late"]


def test_topics_without_number_do_not_fill_the_memory() -> None:
    stage = Stage()
    stage.linker.subscribe(lambda: "heard", "topic.*")

    for number in range(MAX_CACHED_PLANS * 2 + 10):
        assert stage.linker.subscriptions_for(f"topic.{number}")

    assert len(stage.linker.plans.topics) <= MAX_CACHED_PLANS
    assert stage.emit("topic.1").values == ["heard"]


def test_classes_made_by_the_thousand_are_not_kept_alive() -> None:
    stage = Stage()
    stage.linker.subscribe(lambda event: "heard", IBase)

    def make_and_emit(number: int) -> ref[type]:
        made = implementer(IChild)(type(f"Made{number}", (), {}))
        assert stage.linker.subscriptions_for(made())
        return ref(made)

    classes = [make_and_emit(number) for number in range(MAX_CACHED_PLANS * 2 + 10)]
    gc.collect()

    assert sum(made() is not None for made in classes) <= MAX_CACHED_PLANS


def test_a_class_that_came_to_implement_an_interface_is_heard_after_thousands_of_others() -> None:
    class Late:
        pass

    stage = listening(IOther)
    for number in range(MAX_CACHED_PLANS - 1):
        stage.linker.subscriptions_for(type(f"Made{number}", (), {})())
    assert heard_by(stage, Late()) == []
    stage.linker.subscriptions_for(type("OneMore", (), {})())
    assert heard_by(stage, Late()) == []

    classImplements(Late, IOther)

    assert heard_by(stage, Late()) == [IOther]
