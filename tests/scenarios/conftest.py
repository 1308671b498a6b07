from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from treq.client import HTTPClient
from twisted.web.client import Agent, HTTPConnectionPool

from tests.scenarios.support import Twistd

ANY_PORT = "tcp:0:interface=127.0.0.1"


@pytest.fixture
def service(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Twistd]:
    """`twistd events` with the handlers of the scenarios; a parameter names its reactor."""
    command = ["--nodaemon", "--pidfile=", "events", "--http", ANY_PORT, "--tcp", ANY_PORT]
    command += ["--handlers", "tests.scenarios.handlers:linker"]
    name = getattr(request, "param", None)
    twistd = Twistd([f"--reactor={name}", *command] if name else command, tmp_path)
    try:
        if name == "asyncio":
            assert "AsyncioSelectorReactor" in twistd.log
        yield twistd
    finally:
        twistd.kill()


@pytest.fixture
def treq_client() -> Iterator[HTTPClient]:
    """treq, with connections that are kept and used again."""
    from twisted.internet import reactor

    pool = HTTPConnectionPool(reactor)
    yield HTTPClient(Agent(reactor, pool=pool))
    closing: Any = pool.closeCachedConnections()
    pytest_twisted.blockon(closing)
