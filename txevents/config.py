"""The settings of `twistd events`, and how they are checked."""

from __future__ import annotations

import os
import sys
import traceback
from importlib import import_module
from typing import Any

import attrs
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IStreamServerEndpoint

from txevents.errors import TxEventsError
from txevents.linker import EventLinker, default_linker

_PACKAGE = os.path.dirname(__file__)


class ConfigError(TxEventsError, ValueError):
    """A setting is wrong; the message is one line that names the option and the reason."""


@attrs.frozen
class Settings:
    """What to listen on, as Twisted endpoint descriptions, and where the handlers are."""

    http: tuple[str, ...] = ()
    tcp: tuple[str, ...] = ()
    handlers: tuple[str, ...] = ()

    def check(self) -> None:
        """Raise `ConfigError` if these settings make no service."""
        if not (self.http or self.tcp):
            raise ConfigError("there is nothing to listen on: give --http or --tcp, or both")


def parse_endpoint(option: str, description: str, reactor: Any) -> IStreamServerEndpoint:
    """Return the server endpoint of a description such as `tcp:8080:interface=127.0.0.1`.

    Raises `ConfigError` that names `option`.
    """
    try:
        endpoint: IStreamServerEndpoint = serverFromString(reactor, description)
    except Exception as exc:  # the parsers of endpoints, plugins too, raise what they like
        raise ConfigError(
            f"{option} {description}: bad endpoint ({one_line(exc)}); "
            "an example of a good one is tcp:8080:interface=127.0.0.1"
        ) from exc
    return endpoint


def load_linkers(handlers: tuple[str, ...]) -> list[EventLinker]:
    """Import each `MODULE[:LINKER]` and return the linkers, each once, the default one if none.

    The working directory can be imported from, as with `python -m`. Raises `ConfigError`.
    """
    directory = os.getcwd()
    if directory not in sys.path:
        sys.path.insert(0, directory)
    linkers = [_load_linker(name) for name in handlers] or [default_linker]
    return list(dict.fromkeys(linkers))


def _load_linker(name: str) -> EventLinker:
    option = f"--handlers {name}"
    module_name, colon, attribute = name.partition(":")
    if not module_name or module_name.startswith(".") or (colon and not attribute):
        raise ConfigError(f"{option}: must be MODULE or MODULE:LINKER, such as app or app:linker")
    try:
        module = import_module(module_name)
    except (Exception, SystemExit) as exc:  # whatever the module does when it is imported
        raise ConfigError(f"{option}: cannot be imported: {_where(exc)}{one_line(exc)}") from exc
    if not colon:
        return default_linker
    try:
        linker = getattr(module, attribute)
    except AttributeError:
        raise ConfigError(f"{option}: module {module_name} has no {attribute!r}") from None
    if not isinstance(linker, EventLinker):
        raise ConfigError(
            f"{option}: {attribute} must be an EventLinker, not {type(linker).__name__}"
        )
    return linker


def one_line(exc: BaseException) -> str:
    """Return the type and the message of an exception, in one line."""
    return " ".join(f"{type(exc).__name__}: {exc}".split())


def _where(exc: BaseException) -> str:
    """Return the line of the user's code that raised `exc`, if it was one."""
    frames = [
        frame
        for frame in traceback.extract_tb(exc.__traceback__)
        if not frame.filename.startswith(_PACKAGE) and "importlib" not in frame.filename
    ]
    return f"{frames[-1].filename}, line {frames[-1].lineno}: " if frames else ""
