"""``twistd events``, most of it as users run it: in a process of its own."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
from twisted.application.service import IService, IServiceMaker
from twisted.plugin import getPlugins
from twisted.python import usage
from twisted.scripts.twistd import ServerOptions  # type: ignore[attr-defined]

from tests.inbound.support import read_replies, request, structured
from txevents.config import ConfigError, Settings
from txevents.service import EventsService
from txevents.tap import ForegroundService, Options, makeService

ROOT = Path(__file__).parents[1]
TIMEOUT = 60

HANDLERS = """
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.task import deferLater

from txevents import EventLinker, default_linker

linker = EventLinker()

@linker.on(...)
def note(event):
    with Path("heard").open("a") as file:
        file.write(f"{event.id}\\n")

@linker.on("com.example.slow")
async def wait(event):
    Path("started").touch()
    await deferLater(reactor, 1)
    Path("finished").touch()

@default_linker.on("com.example.failing")
def fail(event):
    raise RuntimeError("as it should")
"""


def environment() -> dict[str, str]:
    # The plugin and the package of this source tree, whatever else is installed.
    return os.environ | {"PYTHONPATH": str(ROOT)}


def command(*arguments: str) -> list[str]:
    return [str(Path(sys.executable).with_name("twistd")), *arguments]


def run(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run twistd in ``directory`` until it ends by itself."""
    return subprocess.run(
        command(*arguments),
        cwd=directory,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text(HANDLERS)
    (tmp_path / "raises.py").write_text("\nraise RuntimeError('one\\ntwo')\n")
    (tmp_path / "syntax.py").write_text("def f(:\n")
    (tmp_path / "exits.py").write_text("raise SystemExit(0)\n")
    return tmp_path


@pytest.fixture
def taken() -> Iterator[str]:
    """The description of an endpoint whose port is in use."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield f"tcp:{other.getsockname()[1]}:interface=127.0.0.1"


HTTP = ("--http", "tcp:0:interface=127.0.0.1")

MISTAKES = [
    ((*HTTP, "--handlers", "missing"), r"--handlers missing: .*No module named 'missing'"),
    ((*HTTP, "--handlers", "raises"), r"--handlers raises: .*raises.py, line 2: .*one two"),
    ((*HTTP, "--handlers", "syntax"), r"--handlers syntax: .*SyntaxError: .*line 1"),
    ((*HTTP, "--handlers", "exits"), r"--handlers exits: .*SystemExit"),
    ((*HTTP, "--handlers", "app:nothing"), r"--handlers app:nothing: .*has no 'nothing'"),
    ((*HTTP, "--handlers", "app:note"), r"--handlers app:note: .*EventLinker, not function"),
    ((*HTTP, "--handlers", ":linker"), r"--handlers :linker: must be MODULE"),
    (("--handlers", "app:linker"), r"nothing to listen on: give --http or --tcp"),
    ((), r"nothing to listen on: give --http or --tcp"),
    (("--http", "8080"), r"--http 8080: bad endpoint"),
    (("--tcp", "nonsense:1"), r"--tcp nonsense:1: bad endpoint"),
    (("--tcp", "tcp:99999"), r"--tcp tcp:99999: OverflowError"),
    (("--http", "unix:/does/not/exist"), r"--http unix:/does/not/exist: .*No such file"),
]


@pytest.mark.parametrize(("arguments", "reason"), MISTAKES)
def test_a_mistake_is_one_line_on_stderr_and_status_1(
    directory: Path, arguments: tuple[str, ...], reason: str
) -> None:
    result = run(directory, "-n", "--pidfile=", "events", *arguments)

    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith("twistd events: ")
    assert re.search(reason, line), line
    assert "Traceback" not in result.stdout


@pytest.mark.parametrize("option", ["--http", "--tcp"])
def test_a_port_in_use_is_one_line_and_leaves_no_pidfile(
    directory: Path, taken: str, option: str
) -> None:
    result = run(directory, "-n", "events", option, taken)

    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"twistd events: {option} {taken}: ")
    assert "in use" in line
    assert "Traceback" not in result.stdout
    assert not list(directory.glob("*.pid"))


def test_a_port_in_use_without_a_pidfile_is_one_line(directory: Path, taken: str) -> None:
    result = run(directory, "-n", "--pidfile=", "events", *HTTP, "--http", taken)

    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1


def test_a_daemon_tells_it_too_and_leaves_no_pidfile(directory: Path, taken: str) -> None:
    result = run(directory, "events", "--http", taken)

    assert result.returncode == 1
    assert f"--http {taken}: " in result.stderr
    assert "Traceback" not in result.stderr
    # The daemon takes its pidfile away just after its parent, which we ran, has ended.
    deadline = monotonic() + TIMEOUT
    while list(directory.glob("*.pid")):
        assert monotonic() < deadline
        sleep(0.02)


def test_an_unknown_option_is_told_by_twistd(directory: Path) -> None:
    result = run(directory, "-n", "--pidfile=", "events", "--htpt", "tcp:0")

    assert result.returncode == 1
    assert "--htpt not recognized" in result.stdout + result.stderr


class Running:
    """A ``twistd -n events`` with a handlers module, a log, and a port for HTTP and for TCP."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.log = directory / "log"
        options = ["-n", "--logfile", str(self.log), "events", "--handlers", "app:linker"]
        options += ["--handlers", "app"]
        endpoints = [*HTTP, "--tcp", HTTP[1]]
        self.process = subprocess.Popen(
            command(*options, *endpoints),
            cwd=directory,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    @property
    def ports(self) -> list[int]:
        text = self.log.read_text() if self.log.exists() else ""
        return [int(port) for port in re.findall(r"listens on IPv4Address\(.* port=(\d+)\)", text)]

    def until(self, condition: Any) -> None:
        deadline = monotonic() + TIMEOUT
        while not condition():
            assert self.process.poll() is None, self.process.communicate()
            assert monotonic() < deadline, self.log.read_text()
            sleep(0.02)

    def connect(self, index: int) -> socket.socket:
        client = socket.create_connection(("127.0.0.1", self.ports[index]))
        client.settimeout(TIMEOUT)
        return client

    def ask(self, index: int, data: bytes) -> bytes:
        """Send, and read until the server closes."""
        with self.connect(index) as client:
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
            return read_all(client)

    def kill(self) -> None:
        """End it, unless it has ended."""
        with self.process:
            self.process.kill()

    def terminate(self) -> tuple[bytes, bytes]:
        self.process.send_signal(signal.SIGTERM)
        return self.process.communicate(timeout=TIMEOUT)

    def heard(self) -> list[str]:
        return (self.directory / "heard").read_text().split()


def read_all(client: socket.socket) -> bytes:
    received = b""
    while data := client.recv(65536):
        received += data
    return received


@pytest.fixture
def running(directory: Path) -> Iterator[Running]:
    running = Running(directory)
    try:
        running.until(lambda: len(running.ports) == 2)
        yield running
    finally:
        running.kill()


def test_events_reach_the_handlers_of_a_module_in_the_working_directory(running: Running) -> None:
    received = running.ask(0, request(body=structured(id="by-http")))
    lines = running.ask(1, structured(id="by-tcp") + b"\n")
    out, err = running.terminate()

    (reply,) = read_replies(received)
    assert (reply.status, reply.json) == (202, {"accepted": 1})
    assert lines == b'{"accepted":1}\n'
    assert running.heard() == ["by-http", "by-tcp"]
    assert (out, err) == (b"", b"")
    assert running.process.returncode == -signal.SIGTERM
    assert not list(running.directory.glob("*.pid"))


def test_sigterm_answers_what_was_read_and_lets_the_handlers_finish(running: Running) -> None:
    whole = request(body=structured(id="late"))
    slow = running.connect(1)
    slow.sendall(structured(id="slow", type="com.example.slow") + b"\n")
    assert slow.recv(100) == b'{"accepted":1}\n'
    begun = running.connect(0)
    begun.sendall(request() + whole[:50])
    assert b"202 Accepted" in begun.recv(1000)
    running.until((running.directory / "started").exists)
    assert not (running.directory / "finished").exists()

    running.process.send_signal(signal.SIGTERM)
    with slow:
        # Its end shows that the service is stopping.
        assert read_all(slow) == b""
    with pytest.raises(ConnectionRefusedError):
        running.connect(0)
    with begun:
        begun.sendall(whole[50:])
        (reply,) = read_replies(read_all(begun))
    running.process.communicate(timeout=TIMEOUT)

    assert reply.status == 202
    assert reply.headers["connection"] == "close"
    assert running.heard() == ["slow", "e-1", "late"]
    assert (running.directory / "finished").exists()


def test_a_handler_that_fails_is_logged_and_the_service_goes_on(running: Running) -> None:
    failing = structured(id="1", type="com.example.failing")

    first = running.ask(0, request(body=failing))
    second = running.ask(0, request(body=failing))
    running.terminate()

    statuses = [reply.status for data in (first, second) for reply in read_replies(data)]
    assert statuses == [202, 202]
    assert running.log.read_text().count("RuntimeError: as it should") == 2
    assert running.heard() == ["1", "1"]


class TestOptions:
    def parse(self, *arguments: str) -> Options:
        options = Options()
        options.parseOptions(list(arguments))
        return options

    def test_each_may_be_repeated(self) -> None:
        options = self.parse(
            *("--http", "a", "--tcp", "b", "--handlers", "c"),
            *("--handlers=d", "--tcp=e", "--http=f"),
        )

        assert options.settings() == Settings(("a", "f"), ("b", "e"), ("c", "d"))

    def test_none_is_needed_to_parse(self) -> None:
        assert self.parse().settings() == Settings()

    @pytest.mark.parametrize("arguments", [["--http"], ["--nonsense"], ["argument"]])
    def test_anything_else_is_an_error(self, arguments: list[str]) -> None:
        with pytest.raises(usage.UsageError):
            self.parse(*arguments)

    def test_the_help_tells_each(self) -> None:
        text = str(Options())

        for word in ("--http", "--tcp", "--handlers", "ENDPOINT", "MODULE", "LINKER"):
            assert word in text


class TestMakeService:
    def make(self, *arguments: str) -> IService:
        options = ServerOptions()
        options.parseOptions([*arguments, "events", *HTTP])
        service: IService = makeService(options.subOptions)
        return service

    def test_the_plugin_names_it(self) -> None:
        (maker,) = [each for each in getPlugins(IServiceMaker) if each.tapname == "events"]

        assert maker.makeService is makeService
        assert maker.options is Options

    def test_a_daemon_gets_the_service_itself(self) -> None:
        assert isinstance(self.make(), EventsService)

    def test_in_the_foreground_there_is_one_around_it(self) -> None:
        service = self.make("-n")

        assert isinstance(service, ForegroundService)
        assert [type(child) for child in service.services] == [EventsService]

    def test_options_without_a_parent_are_taken(self) -> None:
        options = Options()
        options.parseOptions(list(HTTP))

        assert isinstance(makeService(options), EventsService)

    def test_a_mistake_ends_the_process(self) -> None:
        with pytest.raises(SystemExit, match="twistd events: there is nothing to listen on"):
            makeService(Options())


class TestForegroundService:
    @pytest.mark.parametrize("pidfile", [None, "", "there.pid", "missing.pid"])
    def test_a_mistake_at_the_start_ends_the_process_without_a_pidfile(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pidfile: str | None
    ) -> None:
        class Mistaken(EventsService):
            def privilegedStartService(self) -> None:
                raise ConfigError("--http x: no")

        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "stderr", None)
        (tmp_path / "there.pid").touch()
        service = ForegroundService(pidfile)
        Mistaken.__new__(Mistaken).setServiceParent(service)

        with pytest.raises(SystemExit, match="twistd events: --http x: no"):
            service.privilegedStartService()

        assert (tmp_path / "there.pid").exists() == (pidfile != "there.pid")

    def test_without_one_it_starts(self) -> None:
        ForegroundService(None).privilegedStartService()
