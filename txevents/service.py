"""The service: sources, intake and emitters put together; start, drain, stop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import attrs
from twisted.application.service import Service
from twisted.internet import defer
from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.interfaces import IListeningPort, IReactorTime, IStreamServerEndpoint
from twisted.logger import Logger
from twisted.python.failure import Failure

from txevents.config import ConfigError, Settings, load_linkers, one_line, parse_endpoint
from txevents.emitters.reactor import ReactorEmitter
from txevents.inbound.base import SourceFactory
from txevents.inbound.http import HTTPSource
from txevents.inbound.intake import Intake
from txevents.inbound.tcp import TCPSource

DRAIN_TIMEOUT = 10

_log = Logger()


@attrs.define
class Source:
    """One place that messages come in: a factory on an endpoint; `name` is for people."""

    name: str
    endpoint: IStreamServerEndpoint
    factory: SourceFactory
    port: IListeningPort | None = None


class EventsService(Service):
    """Listens on the sources while it runs; stops in order, within `drain_timeout` seconds.

    Stopping means: no new connections; what has been read is answered; the handlers at work finish;
    what is left at the deadline is closed and counted in the log.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: IReactorTime,
        sources: Sequence[Source],
        intake: Intake,
        drain_timeout: float = DRAIN_TIMEOUT,
    ) -> None:
        self._reactor = reactor
        self._sources = list(sources)
        self._intake = intake
        self._drain_timeout = drain_timeout

    def privilegedStartService(self) -> None:
        """Listen, before `twistd --uid` gives up its privileges."""
        self._listen()
        super().privilegedStartService()

    def startService(self) -> None:
        """Listen, unless that has been done already."""
        self._listen()
        super().startService()

    def _listen(self) -> None:
        """Raise `ConfigError` that names the first source which cannot listen."""
        for source in self._sources:
            if source.port is None:
                source.factory.stopping = False
                listening = source.endpoint.listen(source.factory)
                failure = getattr(listening, "result", None)
                if isinstance(failure, Failure):
                    listening.addErrback(lambda _: None)
                    self._stop_listening()
                    reason = one_line(cast(BaseException, failure.value))
                    raise ConfigError(f"{source.name}: {reason}")
                listening.addCallback(self._listening, source)
                listening.addErrback(self._not_listening, source)

    def _listening(self, port: IListeningPort, source: Source) -> None:
        source.port = port
        self._log.info("{source} listens on {address}", source=source.name, address=port.getHost())

    def _not_listening(self, failure: Failure, source: Source) -> None:
        self._log.failure("{source} cannot listen", failure, source=source.name)

    def stopService(self) -> Deferred[None]:
        """Stop; the Deferred fires with `None` when nothing is left, or the deadline is over."""
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        await self._stop_listening()
        draining = Deferred.fromCoroutine(self._drain())
        draining.addTimeout(self._drain_timeout, self._reactor)
        try:
            await draining
        except defer.TimeoutError:
            connections = sum(source.factory.abort() for source in self._sources)
            self._log.warn(
                "stopped after {seconds} s with {events} unfinished events and {connections} "
                "connections",
                seconds=self._drain_timeout,
                events=self._intake.in_flight,
                connections=connections,
            )

    def _stop_listening(self) -> Deferred[Any]:
        ports = [source.port for source in self._sources if source.port is not None]
        for source in self._sources:
            source.port = None
        return DeferredList([maybeDeferred(port.stopListening) for port in ports])

    async def _drain(self) -> None:
        for finished in [source.factory.finish() for source in self._sources]:
            await finished
        await self._intake.when_idle()


def make_service(settings: Settings, reactor: Any) -> EventsService:
    """Put the service of `settings` together. Raises `ConfigError`; nothing listens yet."""
    settings.check()
    linkers = load_linkers(settings.handlers)
    if not any(linker.subscriptions() for linker in linkers):
        _log.warn(
            "no handler is registered, so events will be accepted and dropped; a linker of your "
            "own is given as --handlers MODULE:LINKER"
        )
    intake = Intake([ReactorEmitter(linker, reactor) for linker in linkers])
    kinds: list[tuple[str, tuple[str, ...], Callable[[], SourceFactory]]] = [
        ("--http", settings.http, lambda: HTTPSource(intake, reactor)),
        ("--tcp", settings.tcp, lambda: TCPSource(intake, reactor)),
    ]
    sources = [
        Source(f"{option} {text}", parse_endpoint(option, text, reactor), make_factory())
        for option, descriptions, make_factory in kinds
        for text in descriptions
    ]
    return EventsService(reactor, sources, intake)
