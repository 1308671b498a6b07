"""What the tests of the "Coming from" pages share: the mark that says which row a test is for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

F = TypeVar("F", bound=Callable[..., None])


def row(theirs: str) -> Callable[[F], F]:
    """Mark the test of the row that has `theirs` in its first column; `test_coming_from` looks."""
    assert theirs
    return lambda test: test
