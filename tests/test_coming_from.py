"""Each row of the tables on the "Coming from" pages has a test, named after it by `@row`."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parent.parent / "docs"
PAGES = sorted(DOCS.glob("coming-from-*.md"))

RULE = re.compile(r"\| --- \|.*")


def rows_of(page: Path) -> list[list[str]]:
    """The cells of each row of each table, without the heads."""
    rows: list[list[str]] = []
    for line in page.read_text(encoding="utf-8").splitlines():
        if RULE.fullmatch(line):
            rows.pop()
        elif line.startswith("|"):
            rows.append([cell.strip() for cell in line.strip("|").split(" |")])
    return rows


def rows_with_tests(page: Path) -> dict[str, list[str]]:
    """The names of the tests in the module that belongs to a page, by their `@row`."""
    path = Path(__file__).with_name(f"test_{page.stem.replace('-', '_')}.py")
    tests: dict[str, list[str]] = {}
    for function in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(function, ast.FunctionDef):
            for mark in function.decorator_list:
                if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "row":
                    tests.setdefault(ast.literal_eval(mark.args[0]), []).append(function.name)
    return tests


def test_there_are_pages() -> None:
    assert [page.stem for page in PAGES] == [
        "coming-from-pyramid",
        "coming-from-pyventus",
        "coming-from-signals",
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_each_row_has_three_cells_and_stands_for_something(page: Path) -> None:
    rows = rows_of(page)

    assert len(rows) > 10
    assert [cells for cells in rows if len(cells) != 3 or not all(cells[:2])] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_each_row_has_a_test(page: Path) -> None:
    # A "—" of theirs is something only we have: it goes by our side.
    keys = [ours if theirs == "—" else theirs for theirs, ours, _ in rows_of(page)]
    tests = rows_with_tests(page)

    assert sorted(keys) == sorted(name for name, found in tests.items() for _ in found)
    assert all(name.startswith("test_") for found in tests.values() for name in found)
