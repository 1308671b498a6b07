"""What `make run` prints works when it is typed."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.scenarios.support import PATIENCE, ROOT, Twistd, free_port


class Plan:
    """What `make run` would print and start, without the environment that it makes first."""

    def __init__(self, *variables: str) -> None:
        make = shutil.which("make")
        if make is None:
            pytest.skip("make is not installed")
        environ = {n: v for n, v in os.environ.items() if not n.startswith(("MAKE", "MFLAGS"))}
        script = subprocess.run(
            [make, "--dry-run", "run", *variables],
            cwd=ROOT,
            env=environ,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        _, found, command = script.partition("exec .venv/bin/twistd ")
        assert found, script
        echoes = "\n".join(line for line in script.splitlines() if line.startswith("echo"))
        self.options = shlex.split(command.replace("\\\n", ""))
        self.printed = _run_in_shell(echoes)
        # What is to be typed is indented.
        self.commands = [line[2:] for line in self.printed.splitlines() if line.startswith("  ")]


def _run_in_shell(script: str) -> str:
    result = subprocess.run(
        ["bash", "-c", script],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    return result.stdout


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_printed_commands_make_the_demo_handlers_speak(tmp_path: Path) -> None:
    http, tcp = free_port(), free_port()
    plan = Plan(f"HTTP_PORT={http}", f"TCP_PORT={tcp}")
    assert f"http://127.0.0.1:{http} and on TCP port {tcp}" in plan.printed

    service = Twistd(plan.options, tmp_path)
    try:
        assert service.ports == {"http": http, "tcp": tcp}
        cloudevent, webhook, line = map(_run_in_shell, plan.commands)
        assert cloudevent.startswith("HTTP/1.1 202 Accepted\n")
        assert cloudevent.endswith('\n\n{"accepted":1}')
        assert webhook.startswith("HTTP/1.1 202 Accepted\n")
        assert re.search(r'\n\n\{"accepted":1,"id":"[0-9a-f-]{36}"\}\Z', webhook)
        assert line == '{"accepted":1}\n'
        service.stop()
    finally:
        service.kill()

    said = re.findall(r"\[demo#info\] (.*)", service.log)
    assert said[:3] == [
        "receipt for o-1: 9.50 EUR",
        "com.example.order.placed 1 from /shop",
        "GitHub says something: opened",
    ]
    assert re.fullmatch(r"hook\.github [0-9a-f-]{36} from /hooks/github", said[3])
    assert said[4:] == ["receipt for o-2: 9.50 EUR", "com.example.order.placed 2 from /shop"]


def test_the_ports_can_be_left_out() -> None:
    plan = Plan()
    assert "http://127.0.0.1:8080 and on TCP port 9000" in plan.printed
    assert plan.options == shlex.split(
        "--nodaemon --pidfile= events --http tcp:8080:interface=127.0.0.1 "
        "--tcp tcp:9000:interface=127.0.0.1 --handlers examples.demo"
    )
