"""A real `twistd` process, and clients that are not ours to talk to it."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from base64 import b64decode
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from threading import Thread
from time import monotonic, sleep
from typing import Any, NamedTuple, TypeVar, cast

import msgspec
import pytest
from treq.client import HTTPClient
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.web.http_headers import Headers

from tests.scenarios.handlers import RECORDS, Record

T = TypeVar("T")

ROOT = Path(__file__).parents[2]
TWISTD = str(Path(sys.executable).with_name("twistd"))
STRUCTURED = {"Content-Type": "application/cloudevents+json"}
PATIENCE = 30
"""Seconds that anything may take on a busy machine."""

_LISTENS = re.compile(r"--(http|tcp) \S+ listens on IPv4Address\(.*port=(\d+)\)").findall

both_reactors = pytest.mark.parametrize("service", ["default", "asyncio"], indirect=True)

Event = dict[str, Any]


def wait_until(condition: Callable[[], T], what: str) -> T:
    """Return the result of `condition` as soon as it is true; fail if that takes too long."""
    deadline = monotonic() + PATIENCE
    while not (result := condition()):
        assert monotonic() < deadline, f"{what} did not happen within {PATIENCE} s"
        sleep(0.005)
    return result


class Twistd:
    """A process of `twistd events`; `command` is what follows `twistd`."""

    def __init__(self, command: Sequence[str], directory: Path) -> None:
        self._log = directory / "log"
        self._records = directory / "records"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [TWISTD, *command],
                cwd=ROOT,
                env={**os.environ, RECORDS: str(self._records)},
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        expected = sum(word in ("--http", "--tcp") for word in command)
        self.ports: dict[str, int] = {}
        try:
            wait_until(lambda: self._has_started(expected), "the start of twistd")
        except BaseException:
            self.kill()
            raise

    def _has_started(self, expected: int) -> bool:
        self.ports = {option: int(port) for option, port in _LISTENS(self.log)}
        assert self.process.poll() is None, self.log
        return len(self.ports) == expected

    @property
    def log(self) -> str:
        """What the process has printed so far."""
        return self._log.read_text()

    @property
    def records(self) -> list[Record]:
        """What the handlers have seen so far."""
        if not self._records.exists():
            return []
        whole, _, _ = self._records.read_bytes().rpartition(b"\n")
        return [msgspec.json.decode(line, type=Record) for line in whole.splitlines()]

    def say_enough(self) -> None:
        """Let the slow handler finish."""
        Path(f"{self._records}.enough").touch()

    def url(self, path: str) -> str:
        """The address of `path` at the HTTP source."""
        return f"http://127.0.0.1:{self.ports['http']}{path}"

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.process.terminate()

    def stop(self, errors: bool = False) -> list[Record]:
        """Send SIGTERM and return what the handlers have seen, which nothing can change any more.

        The process must end in order, and must have logged no error unless the test wants `errors`.
        """
        self.terminate()
        return self.end(errors)

    async def stopped(self) -> list[Record]:
        """As `stop`, while the reactor of the tests runs, so that treq's connections can end."""
        from twisted.internet import reactor

        self.terminate()
        deadline = monotonic() + PATIENCE
        while self.process.poll() is None and monotonic() < deadline:
            await deferLater(cast(IReactorTime, reactor), 0.005)
        return self.end()

    def end(self, errors: bool = False) -> list[Record]:
        """Wait for the end; see `stop`."""
        # twistd shuts down, then sends itself the signal again, for its exit status to tell.
        assert self.process.wait(PATIENCE) == -signal.SIGTERM, self.log
        for sign in ("Traceback", "Unhandled", "#error", "#critical", "#warn"):
            assert errors or sign not in self.log, self.log
        assert "Server Shut Down" in self.log
        return self.records

    def kill(self) -> None:
        """End it, whatever it does, unless it has ended."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def seen_by(handler: str, records: Sequence[Record]) -> list[Event]:
    """Return the events that one handler has seen, in order."""
    return [record.envelope for record in records if record.handler == handler]


def as_it_arrives(event: Event) -> Event:
    """Return what must arrive of a CloudEvent in the JSON format.

    An attribute that is null is absent; bytes that are declared as JSON are a JSON value.
    """
    event = {name: value for name, value in event.items() if value is not None or name == "data"}
    if "data_base64" in event and "json" in event.get("datacontenttype", "").lower():
        event["data"] = json.loads(b64decode(event.pop("data_base64")))
    return event


def canonical(events: Sequence[Event]) -> list[str]:
    """Return texts that are equal for equal events; for Python, 1 and 1.0 and true are equal."""
    return [json.dumps(event, sort_keys=True) for event in events]


class Answer(NamedTuple):
    """The status, the content type and the JSON value of an answer."""

    status: int
    content_type: str
    value: Any


ACCEPTED = Answer(202, "application/json", {"accepted": 1})


async def post(client: HTTPClient, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
    """POST by treq."""
    fields = Headers({name: [value] for name, value in headers.items()})
    response = await client.post(url, data=body, headers=fields)
    content_types = response.headers.getRawHeaders("Content-Type", [])
    return Answer(response.code, ", ".join(content_types), await response.json())


def curl(url: str, body: bytes, headers: Mapping[str, str], tmp_path: Path) -> Answer:
    """POST by curl."""
    (tmp_path / "body").write_bytes(body)
    fields = [word for name, value in headers.items() for word in ("--header", f"{name}: {value}")]
    command = ["curl", "--silent", "--show-error", "--max-time", str(PATIENCE)]
    command += ["--data-binary", f"@{tmp_path / 'body'}", *fields]
    command += ["--write-out", "\n%{http_code} %{content_type}", url]
    try:
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    except FileNotFoundError:
        pytest.skip("curl is not installed")
    answer, _, last = output.rpartition("\n")
    status, _, content_type = last.partition(" ")
    return Answer(int(status), content_type, json.loads(answer))


def converse(port: int, data: bytes, complete: Callable[[bytes], bool]) -> bytes:
    """Send `data` and read at the same time, until the answer is `complete`; return it."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as connection:
        sender = Thread(target=connection.sendall, args=(data,))
        sender.start()
        answer = b""
        try:
            while not complete(answer):
                chunk = connection.recv(1 << 16)
                assert chunk, f"the connection was closed after {answer!r}"
                answer += chunk
        finally:
            if sender.is_alive() and sys.exc_info()[0]:
                connection.shutdown(socket.SHUT_RDWR)
            sender.join(PATIENCE)
    return answer


def send_lines(port: int, lines: Sequence[bytes]) -> list[dict[str, Any]]:
    """Send lines to a TCP source; return its answers, when all lines have been answered."""

    def complete(answer: bytes) -> bool:
        return answer.endswith(b"\n") and _answered(answer) == len(lines)

    data = b"".join(line + b"\n" for line in lines)
    return [json.loads(line) for line in converse(port, data, complete).splitlines()]


def _answered(answer: bytes) -> int:
    lines = [json.loads(line) for line in answer.splitlines()]
    accepted = [line["accepted"] for line in lines if "accepted" in line]
    return max(accepted, default=0) + sum("refused" in line for line in lines)


def is_refused(port: int) -> bool:
    """Tell whether nobody listens at `port` any more."""
    try:
        socket.create_connection(("127.0.0.1", port), PATIENCE).close()
    except ConnectionRefusedError:
        return True
    return False


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
