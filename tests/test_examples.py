"""Each example does what its docstring says: it is started by the command that stands there."""

from __future__ import annotations

import ast
import json
import shlex
from pathlib import Path

from tests.scenarios.support import ROOT, STRUCTURED, Twistd, curl

EXAMPLES = {path.stem: path for path in (ROOT / "examples").glob("[!_]*.py")}


def commands_of(name: str) -> list[list[str]]:
    """The lines of the docstring that are commands, split into words."""
    docstring = ast.get_docstring(ast.parse(EXAMPLES[name].read_text())) or ""
    lines = [line.strip() for line in docstring.splitlines()]
    return [shlex.split(line) for line in lines if line.startswith(("python ", "twistd "))]


def test_each_example_has_a_command_in_its_docstring_and_a_test_here() -> None:
    untested = [name for name in EXAMPLES if f"test_{name}" not in globals()]
    assert not untested, "write a test for each example: test_<its name>"
    assert all(commands_of(name) for name in EXAMPLES)


def test_demo(tmp_path: Path) -> None:
    ((program, *options),) = commands_of("demo")
    assert program == "twistd"
    service = Twistd([word.replace("tcp:8080:", "tcp:0:") for word in options], tmp_path)
    try:
        order = {
            "specversion": "1.0",
            "id": "A234-1234-1234",
            "source": "/shop",
            "type": "com.example.order.placed",
            "data": {"order_id": "o-7", "total": "12.30"},
        }
        curl(service.url("/events"), json.dumps(order).encode(), STRUCTURED, tmp_path)
        github = {"Content-Type": "application/json", "X-GitHub-Event": "star"}
        github["X-GitHub-Delivery"] = "d-1"
        curl(service.url("/hooks/github"), b'{"action":"created"}', github, tmp_path)
        curl(service.url("/hooks/other"), b"[]", github, tmp_path)
        service.stop()
    finally:
        service.kill()

    said = [line.partition("[demo#info] ")[2] for line in service.log.splitlines()]
    assert [line for line in said if line] == [
        "receipt for o-7: 12.30 EUR",
        "com.example.order.placed A234-1234-1234 from /shop",
        "GitHub says star: created",
        "hook.github d-1 from /hooks/github",
        "hook.other d-1 from /hooks/other",
    ]
