"""What type checkers say about the use of txevents; see `typed_usage.py`."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
USAGE = ROOT / "tests" / "typed_usage.py"

IGNORE = re.compile(r"  # type: ignore\[([\w,-]+)\]")
FINDING = re.compile(r"(?:.*[/\\])?([^/\\]+)\.py:(\d+): (error|note): (.*)")

REVEALED = {
    "plain": "def (OrderPlaced) -> str",
    "with_more": "def (OrderPlaced, note: str =, *, loud: bool =)",
    "coroutine": "def (OrderPlaced) -> Coroutine[Any, Any, int]",
    "generator": "def (OrderPlaced) -> Deferred[int]",
    "any_arguments": "def (OrderPlaced, *args: object, **kwargs: object)",
    "in_block": "def (OrderPlaced) -> str",
    "Receipt": "def (order: OrderPlaced) -> Receipt",
    "of_a_topic": "def (order_id: str, *, total: int =) -> int",
    "of_mixed": "def (*args: Any) -> Coroutine[Any, Any, None]",
    "of_an_interface": "def (order: IOrder) -> str",
    "of_one_implementation": "def (order: OrderPlaced) -> str",
    "of_a_pair": "def (order: OrderPlaced, other: IOrder)",
    "of_everything": "def (*args: object)",
    "in_untyped_block": "def (order_id: str) -> int",
    "succeeded": "def (result: str) -> bool",
    "failed": "def (exc: Exception) -> Coroutine[Any, Any, None]",
    "marked": "def (order: OrderPlaced) -> str",
    "linker.on(OrderPlaced)": "TypedLinkage[OrderPlaced]",
    "linker.on(OrderPlaced, once=True)": "TypedLinkage[OrderPlaced]",
    "linker.on(IOrder)": "Linkage",
    "linker.on(OrderPlaced, Paid)": "Linkage",
    "linker.on((OrderPlaced, Paid))": "Linkage",
    "linker.on('topic')": "Linkage",
    "linker.on(...)": "Linkage",
    "linker.on(OrderPlaced).__enter__()": "TypedLinkage[OrderPlaced]",
}


Findings = dict[str, list[tuple[int, str, str]]]


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> Findings:
    """What mypy says, by module: line, severity and message."""
    for module in ("mypy", "mypy_zope"):
        if find_spec(module) is None:
            pytest.skip(f"{module} is not installed")
    directory = tmp_path_factory.mktemp("typing")
    unmarked = directory / "typed_unmarked.py"
    unmarked.write_text(IGNORE.sub("", USAGE.read_text()))
    revealed = directory / "typed_revealed.py"
    names = "".join(f"reveal_type({name})\n" for name in REVEALED)
    revealed.write_text(f"from tests.typed_usage import *\n{names}")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--no-error-summary", "--no-pretty", "--hide-error-context"]
        + [str(path) for path in (USAGE, unmarked, revealed)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        # Not traced: it would take minutes.
        env={name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")},
        check=False,
    )
    assert done.stderr == ""
    found: Findings = {}
    for line in done.stdout.splitlines():
        finding = FINDING.fullmatch(line)
        assert finding is not None, done.stdout
        module, number, severity, message = finding.groups()
        found.setdefault(module, []).append((int(number), severity, message))
    return found


def test_what_is_right_is_accepted_and_what_is_wrong_is_found(findings: Findings) -> None:
    assert findings.get("typed_usage", []) == []


def test_what_is_wrong_is_found_in_the_line_where_it_stands(findings: Findings) -> None:
    expected = {
        (number, code)
        for number, line in enumerate(USAGE.read_text().splitlines(), 1)
        if (ignore := IGNORE.search(line)) is not None
        for code in ignore[1].split(",")
    }
    found = {
        (number, message.rpartition("[")[2].rstrip("]"))
        for number, severity, message in findings["typed_unmarked"]
        if severity == "error"
    }
    assert len(expected) > 30
    assert found == expected


def test_a_handler_that_takes_another_class_is_told_which_is_expected(findings: Findings) -> None:
    lines = USAGE.read_text().splitlines()
    number = lines.index("linker.on(OrderPlaced)(Shop().paid)  # type: ignore[arg-type]") + 1
    messages = [m for line, _, m in findings["typed_unmarked"] if line == number]

    assert messages[0].startswith('Argument 1 to "__call__" of "TypedLinkage" has incompatible')
    assert '"Callable[[Paid], None]"; expected "Callable[[OrderPlaced], None]"' in messages[0]


@pytest.mark.parametrize("name", REVEALED)
def test_the_type_of_what_was_decorated_is_kept(findings: Findings, name: str) -> None:
    line = list(REVEALED).index(name) + 2
    messages = [message for number, _, message in findings["typed_revealed"] if number == line]

    # Without the modules of the names.
    assert [re.sub(r"\b[a-z_]\w*\.(?=\w)", "", message) for message in messages] == [
        f'Revealed type is "{REVEALED[name]}"'
    ]
