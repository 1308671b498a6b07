"""How the peers on Twisted serve."""

from __future__ import annotations

from typing import Any, cast


def serve(factory: object) -> None:
    """Serve on a free port of 127.0.0.1."""
    from twisted.internet import reactor as installed

    reactor = cast(Any, installed)
    port = reactor.listenTCP(0, factory, interface="127.0.0.1")
    print(f"port={port.getHost().port}", flush=True)
    reactor.run()
