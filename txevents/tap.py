"""`twistd events`: the options of the plugin, and the service that they describe."""

from __future__ import annotations

import gc
import os
import sys
from contextlib import suppress
from typing import NoReturn

from twisted.application.service import IService, MultiService
from twisted.python import usage

from txevents.config import ConfigError, Settings
from txevents.service import make_service


class Options(usage.Options):
    """The command line of `twistd events`."""

    synopsis = "[--http ENDPOINT] [--tcp ENDPOINT] [--handlers MODULE[:LINKER]]"
    longdesc = (
        "Takes events from the network to Python handlers. ENDPOINT is a description of a Twisted "
        "server endpoint, such as tcp:8080:interface=127.0.0.1. Each option may be repeated."
    )

    def __init__(self) -> None:
        super().__init__()
        self["http"] = []
        self["tcp"] = []
        self["handlers"] = []

    def opt_http(self, endpoint: str) -> None:
        """Take CloudEvents (POST /events) and webhooks (POST /hooks/<name>) by HTTP on ENDPOINT."""
        self["http"].append(endpoint)

    def opt_tcp(self, endpoint: str) -> None:
        """Take CloudEvents as newline-delimited JSON on ENDPOINT."""
        self["tcp"].append(endpoint)

    def opt_handlers(self, module: str) -> None:
        """Import MODULE; its EventLinker LINKER, or txevents.default_linker, gets the events."""
        self["handlers"].append(module)

    def settings(self) -> Settings:
        """Return what was asked for."""
        return Settings(tuple(self["http"]), tuple(self["tcp"]), tuple(self["handlers"]))


class ForegroundService(MultiService):
    """Ends `twistd --nodaemon` with one line when its child cannot listen.

    The exception would be a traceback there; of a daemon, its parent process prints one line.
    """

    def __init__(self, pidfile: str | None) -> None:
        super().__init__()
        self._pidfile = pidfile

    def privilegedStartService(self) -> None:
        """Start, or exit."""
        try:
            super().privilegedStartService()
        except ConfigError as exc:
            if self._pidfile:
                # twistd takes it away for an Exception only.
                with suppress(OSError):
                    os.unlink(self._pidfile)
            # twistd has made it a part of its log, where nobody would see the line.
            sys.stderr = sys.__stderr__
            _exit(exc)


def makeService(options: Options) -> IService:
    """Return the service for twistd. A mistake ends the process: one line, exit status 1."""
    # twistd has installed the reactor that --reactor names by now.
    from twisted.internet import reactor

    try:
        service = make_service(options.settings(), reactor)
    except ConfigError as exc:
        _exit(exc)
    # What there is by then stays for good: garbage collection need not look at it ever again,
    # which saves a fifth of the CPU time of an event.
    reactor.callWhenRunning(gc.freeze)
    twistd_options = options.parent
    if twistd_options is None or not twistd_options.get("nodaemon"):
        return service
    foreground = ForegroundService(twistd_options.get("pidfile"))
    service.setServiceParent(foreground)
    return foreground


def _exit(exc: ConfigError) -> NoReturn:
    raise SystemExit(f"twistd events: {exc}") from None
