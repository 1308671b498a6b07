"""The snippets of README.md and docs/ are run and do what stands there: see CONTRIBUTING.md."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import attrs
import pytest

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
TUTORIAL = ROOT / "docs" / "tutorial.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]

PORTS = ("8080", "9000")
PATIENCE = 30
"""Seconds that a command may take on a busy machine."""

FENCED = re.compile(r"^(?P<fence>```+)(?P<kind>.*)\n(?P<text>(?s:.*?))^(?P=fence)$", re.MULTILINE)
FILE_NAME = re.compile(r"# (\w+\.py)")
# What differs from run to run.
VARYING = {
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4}": "<time>",
    r"(?m)^Date: .*": "<date>",
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}": "<uuid>",
    r"\d+\.\d+s\b": "<seconds>",
}


@attrs.frozen
class Block:
    """One fenced block; `kind` is what stands behind the fence."""

    kind: str
    text: str
    line: int

    @property
    def file_name(self) -> str | None:
        """The name that a program gives itself in its first line."""
        match = FILE_NAME.fullmatch(self.text.partition("\n")[0])
        return match[1] if match else None


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(match["kind"], match["text"], text.count("\n", 0, match.start()) + 1)
        for match in FENCED.finditer(text)
    ]


def commands(console: str) -> Iterator[tuple[str, str]]:
    """Each command of a console block, which may go over several lines, and its output."""
    for part in re.split(r"^\$ ", console, flags=re.MULTILINE)[1:]:
        lines = part.splitlines(keepends=True)
        length = next(n for n in range(1, len(lines) + 1) if _is_whole("".join(lines[:n])))
        yield "".join(lines[:length]), "".join(lines[length:])


def _is_whole(command: str) -> bool:
    try:
        shlex.split(command)
    except ValueError:
        return False
    return not command.endswith("\\\n")


def masked(text: str) -> str:
    for varying, mask in VARYING.items():
        text = re.sub(varying, mask, text)
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


class Reader:
    """Does what a page says, in a directory of its own, on free ports."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._twistd: subprocess.Popen[bytes] | None = None
        self._log = directory / ".twistd.log"
        self._ports = dict(zip(PORTS, map(str, free_ports(len(PORTS))), strict=True))
        (directory / ".curlrc").write_text("silent\nshow-error\n")
        bin = Path(sys.executable).parent
        self._env = {
            **os.environ,
            "PATH": f"{bin}{os.pathsep}{os.environ['PATH']}",
            "CURL_HOME": str(directory),
            "PYTHONUNBUFFERED": "1",
        }

    def read(self, blocks: list[Block]) -> None:
        awaits_output = False
        for block, following in zip(blocks, [*blocks, None][1:], strict=True):
            if block.kind == "python" and block.file_name:
                (self._directory / block.file_name).write_text(self._with_free_ports(block.text))
            elif block.kind == "python":
                (self._directory / "program.py").write_text(self._with_free_ports(block.text))
                printed = following.text if following and following.kind == "text" else ""
                awaits_output = bool(printed)
                self._run("python program.py", printed)
                continue
            elif block.kind == "console":
                for command, output in commands(block.text):
                    if command.startswith("twistd "):
                        self.stop()
                    if command.startswith("twistd -n "):
                        self._start_twistd(command, output)
                    else:
                        self._run(command, output)
            elif block.kind == "text" and not awaits_output:
                self._expect_in_log(block.text)
            awaits_output = False

    def _with_free_ports(self, text: str) -> str:
        return re.sub(r"\b(8080|9000)\b", lambda match: self._ports[match[0]], text)

    def _as_printed(self, text: str) -> str:
        for port, free in self._ports.items():
            text = text.replace(free, port)
        return text

    def _run(self, command: str, expected: str) -> None:
        if command.startswith("curl ") and not shutil.which("curl"):
            pytest.skip("curl is not installed")
        done = subprocess.run(
            ["bash", "-c", self._with_free_ports(command)],
            cwd=self._directory,
            env=self._env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        # A traceback in the log of a program is not what its page shows.
        program = command.startswith("python program.py")
        output = done.stdout if program else done.stdout + done.stderr
        assert masked(self._as_printed(output)) == masked(expected), (command, done.stderr)
        assert not (program and done.returncode), done.stderr

    def _start_twistd(self, command: str, expected: str) -> None:
        self._read = 0
        with self._log.open("wb") as log:
            self._twistd = subprocess.Popen(
                ["bash", "-c", f"exec {self._with_free_ports(command)}"],
                cwd=self._directory,
                env=self._env,
                stdout=log,
                stderr=log,
            )
        endpoints = len(re.findall(r"--(?:http|tcp)\b", command))
        while (
            self._twistd.poll() is None
            and self._log.read_bytes().count(b" listens on ") < endpoints
        ):
            time.sleep(0.02)
        self._expect_in_log(expected)

    def _expect_in_log(self, lines: str) -> None:
        """Wait until each of the lines stands in the log, after the ones before."""
        assert self._twistd, f"nothing runs that could print {lines}"
        for line in masked(lines).splitlines():
            self._wait_for(line)

    def _wait_for(self, line: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while line not in (log := self._masked_log())[self._read :]:
            assert time.monotonic() < deadline, (line, log)
            time.sleep(0.02)
        self._read = log.index(line, self._read) + 1

    def _masked_log(self) -> list[str]:
        return masked(self._as_printed(self._log.read_text(encoding="utf-8"))).splitlines()

    def stop(self) -> None:
        """End what a page has started."""
        if self._twistd is not None:
            self._twistd.terminate()
            self._twistd.wait(PATIENCE)
            self._twistd = None
        for pidfile in self._directory.glob("*.pid"):
            with suppress(ProcessLookupError, FileNotFoundError):
                os.kill(int(pidfile.read_text(encoding="utf-8")), signal.SIGKILL)


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports: list[int] = [listening.getsockname()[1] for listening in sockets]
    for listening in sockets:
        listening.close()
    return ports


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_snippets_do_what_the_page_says(
    page: Path, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    if pytestconfig.getoption("reactor") not in (None, "default"):
        pytest.skip("the pages are read once, on the default reactor")
    reader = Reader(tmp_path)
    try:
        reader.read(blocks_of(page))
    finally:
        reader.stop()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_is_of_a_kind_that_is_known(page: Path) -> None:
    kinds = {block.kind for block in blocks_of(page)}
    unknown = {kind for kind in kinds if not kind.startswith("{")}
    assert unknown <= {"python", "console", "text", "sh", ""}
    # A fence which is indented, or not closed, would be overlooked.
    assert page.read_text(encoding="utf-8").count("```") == 2 * len(blocks_of(page))


def test_the_readme_begins_with_the_two_commands() -> None:
    first = blocks_of(README)[0]
    assert first.line < 5
    assert [line.partition("#")[0].strip() for line in first.text.splitlines()] == [
        "make run",
        "make test",
    ]


def test_the_tutorial_ends_with_the_program_of_the_readme() -> None:
    def shops(page: Path) -> list[str]:
        return [block.text for block in blocks_of(page) if block.file_name == "shop.py"]

    assert shops(README) == shops(TUTORIAL)[-1:]


@pytest.mark.parametrize("page", [README, ROOT / "CONTRIBUTING.md"], ids=lambda page: page.name)
def test_the_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#:]+)[^):]*\)", page.read_text(encoding="utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []
