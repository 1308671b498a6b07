"""Servers and load, each in a process of its own, and the CPU time that the servers take."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile

import attrs

from benchmarks.runner import CPU, RATE, RATE_OF_CPU, Measured

ROOT = Path(__file__).resolve().parent.parent
START_TIMEOUT = 20
LOAD_TIMEOUT = 60

_PORT = re.compile(rb"\bport=(\d+)").search


@attrs.frozen
class Server:
    """A server at work on a port of 127.0.0.1."""

    pid: int
    port: int

    def cpu(self) -> float:
        """Return the seconds of CPU time, user and system, that the process has taken so far.

        From the clock that Linux keeps for each process (clock_getcpuclockid(3)): it counts in
        nanoseconds, where /proc/PID/stat counts in ticks.
        """
        return time.clock_gettime((~self.pid << 3) | 2)


def ours(*options: str) -> list[str]:
    """Return the command that starts our service as users do, with the limits as shipped."""
    twistd = Path(sys.executable).with_name("twistd")
    handlers = ("--handlers", "benchmarks.servers.handlers")
    return [str(twistd), "--nodaemon", "--pidfile=", "events", *options, *handlers]


def peer(module: str, *arguments: str) -> list[str]:
    """Return the command that starts a peer."""
    return [sys.executable, "-m", f"benchmarks.servers.{module}", *arguments]


@contextmanager
def serving(command: list[str]) -> Iterator[Server]:
    """Start a server, which prints `port=` and its port, and stop it in the end."""
    with TemporaryFile() as output:
        process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT)
        try:
            deadline = time.monotonic() + START_TIMEOUT
            while not (found := _PORT(text := _all(output.fileno()))):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{command} does not serve:\n{text.decode()}")
                time.sleep(0.02)
            yield Server(process.pid, int(found[1]))
            if process.poll() is not None:
                raise RuntimeError(f"{command} has ended:\n{_all(output.fileno()).decode()}")
        finally:
            process.terminate()
            try:
                process.wait(START_TIMEOUT)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _all(descriptor: int) -> bytes:
    # The position of the file is shared with the process that writes it, and must not move.
    return Path(f"/proc/self/fd/{descriptor}").read_bytes()


def load(server: Server, kind: str, connections: int, count: int, topic: str) -> Measured:
    """Send `count` messages to a server, and measure it."""
    arguments = [kind, str(server.port), str(connections), str(count), topic]
    before = server.cpu()
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.load", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        timeout=LOAD_TIMEOUT,
        check=True,
    )
    cpu = server.cpu() - before
    seconds = float(done.stdout)
    return {CPU: cpu / count * 1e6, RATE_OF_CPU: count / cpu, RATE: count / seconds}
