"""The service: it listens, and it stops in order and within its time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
import pytest_twisted
from twisted.internet import reactor as installed_reactor
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IStreamServerEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import LogEvent, LogLevel, globalLogPublisher
from zope.interface import implementer

from tests.inbound.support import Client, fired, get, request, structured
from txevents import EventLinker, ReactorEmitter, config
from txevents.config import ConfigError, Settings
from txevents.inbound.http import HTTPSource
from txevents.inbound.intake import Intake
from txevents.inbound.tcp import TCPSource
from txevents.service import DRAIN_TIMEOUT, EventsService, Source, make_service

reactor: Any = installed_reactor
LINE = structured() + b"\n"


@pytest.fixture
def logged() -> Iterator[list[LogEvent]]:
    events: list[LogEvent] = []
    globalLogPublisher.addObserver(events.append)  # type: ignore[arg-type]
    yield events
    globalLogPublisher.removeObserver(events.append)  # type: ignore[arg-type]


class Port:
    """A listening port that takes its time to stop, until `stopped` is fired."""

    def __init__(self) -> None:
        self.stopped: Deferred[None] = Deferred()
        self.stopping = False

    def getHost(self) -> IPv4Address:
        return IPv4Address("TCP", "127.0.0.1", 1)

    def stopListening(self) -> Deferred[None]:
        self.stopping = True
        return self.stopped


@implementer(IStreamServerEndpoint)
@attrs.define
class Endpoint:
    """An endpoint that answers with what it was given."""

    answer: Any = None
    listened: int = 0

    def listen(self, factory: object) -> Any:
        self.listened += 1
        return succeed(Port()) if self.answer is None else self.answer


class House:
    """A service with an HTTP and a TCP source and a handler that waits, on a clock."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.linker = EventLinker()
        self.intake = Intake([ReactorEmitter(self.linker, self.clock)])
        self.http = HTTPSource(self.intake, self.clock)
        self.tcp = TCPSource(self.intake, self.clock)
        self.ports = [Port(), Port()]
        self.service = EventsService(
            self.clock,
            [
                Source("--http a", Endpoint(succeed(self.ports[0])), self.http),
                Source("--tcp b", Endpoint(succeed(self.ports[1])), self.tcp),
            ],
            self.intake,
        )
        self.open: list[Deferred[None]] = []
        self.cancelled = 0
        self.linker.subscribe(self.wait, "com.example.tested")

    def wait(self, _: object) -> Deferred[None]:
        self.open.append(Deferred())
        return self.open[-1]

    def stop(self) -> Deferred[None]:
        stopped = self.service.stopService()
        for port in self.ports:
            port.stopped.callback(None)
        return stopped

    def advance(self, seconds: int) -> None:
        for _ in range(seconds):
            self.clock.advance(1)


def start() -> House:
    house = House()
    house.service.startService()
    return house


class TestListening:
    def test_it_listens_when_it_starts_and_says_where(self, logged: list[LogEvent]) -> None:
        house = start()

        listening: list[object] = [source.port for source in house.service._sources]
        assert listening == house.ports
        assert [event["source"] for event in logged] == ["--http a", "--tcp b"]
        assert all(event["log_level"] is LogLevel.info for event in logged)

    def test_it_listens_once_although_twistd_starts_it_in_two_steps(self) -> None:
        endpoint = Endpoint()
        house = House()
        service = EventsService(
            house.clock,
            [Source("x", endpoint, house.http)],
            house.intake,
        )

        service.privilegedStartService()
        assert endpoint.listened == 1
        service.startService()

        assert endpoint.listened == 1
        assert service.running

    def test_a_port_in_use_is_a_mistake_and_leaves_no_other_port_open(self) -> None:
        house = House()
        port = Port()
        busy = CannotListenError("127.0.0.1", 80, OSError(98, "Address\nalready in use"))
        service = EventsService(
            house.clock,
            [
                Source("--http a", Endpoint(succeed(port)), house.http),
                Source("--tcp b", Endpoint(fail(busy)), house.tcp),
            ],
            house.intake,
        )

        with pytest.raises(ConfigError) as caught:
            service.startService()

        assert str(caught.value).startswith("--tcp b: CannotListenError: ")
        assert len(str(caught.value).splitlines()) == 1
        assert port.stopping

    def test_an_endpoint_that_fails_later_is_logged(self, logged: list[LogEvent]) -> None:
        house = House()
        later: Deferred[Any] = Deferred()
        service = EventsService(
            house.clock, [Source("--http a", Endpoint(later), house.http)], house.intake
        )

        service.startService()
        later.errback(OSError("no"))

        assert logged[-1]["source"] == "--http a"
        assert logged[-1]["log_failure"].check(OSError)


class TestStopping:
    def test_nothing_is_left_to_wait_for(self) -> None:
        house = start()

        stopped = house.service.stopService()
        assert not fired(stopped)
        for port in house.ports:
            assert port.stopping
            port.stopped.callback(None)

        assert fired(stopped)
        assert not house.service.running
        assert house.clock.getDelayedCalls() == []

    def test_connections_are_kept_until_no_new_one_can_come(self) -> None:
        house = start()
        client = Client(house.http, house.clock)

        house.service.stopService()
        client.send(get())
        assert client.state == "open"
        for port in house.ports:
            port.stopped.callback(None)

        assert client.state == "half-closed"
        assert client.reply.status == 200

    def test_a_request_that_was_begun_is_answered(self) -> None:
        house = start()
        client = Client(house.http, house.clock)

        client.send(request()[:50])
        stopped = house.stop()
        client.send(request()[50:])
        client.close()

        assert client.reply.status == 202
        assert client.reply.headers["connection"] == "close"
        house.clock.advance(0)
        assert not fired(stopped)
        house.open[0].callback(None)
        assert fired(stopped)

    def test_the_handlers_finish(self) -> None:
        house = start()
        client = Client(house.tcp, house.clock)
        client.send(LINE * 2)
        client.close()
        house.clock.advance(0)

        stopped = house.stop()
        house.advance(DRAIN_TIMEOUT - 1)
        house.open[0].callback(None)
        assert not fired(stopped)
        house.open[1].callback(None)

        assert fired(stopped)
        assert house.clock.getDelayedCalls() == []

    def test_events_that_have_not_had_their_turn_are_handled(self) -> None:
        house = start()
        client = Client(house.tcp, house.clock)
        client.send(LINE)
        client.close()

        stopped = house.stop()
        assert not fired(stopped)
        house.clock.advance(0)
        house.open[0].callback(None)

        assert fired(stopped)

    def test_handlers_have_ten_seconds_and_are_counted_in_the_log(
        self, logged: list[LogEvent]
    ) -> None:
        house = start()
        client = Client(house.tcp, house.clock)
        client.send(LINE * 3)
        client.close()
        house.clock.advance(0)

        stopped = house.stop()
        house.advance(DRAIN_TIMEOUT - 1)
        assert not fired(stopped)
        house.advance(1)

        assert fired(stopped)
        assert DRAIN_TIMEOUT == 10
        assert logged[-1]["log_level"] is LogLevel.warn
        assert (logged[-1]["events"], logged[-1]["connections"]) == (3, 0)

    def test_connections_have_ten_seconds_and_are_counted_in_the_log(
        self, logged: list[LogEvent]
    ) -> None:
        house = start()
        clients = [Client(source, house.clock) for source in (house.http, house.http, house.tcp)]
        for client in clients[:2]:
            client.send(request()[:-1])

        stopped = house.stop()
        house.advance(DRAIN_TIMEOUT - 1)
        assert [client.state for client in clients] == ["open", "open", "aborted"]
        house.advance(1)

        assert fired(stopped)
        assert {client.state for client in clients} == {"aborted"}
        assert (logged[-1]["events"], logged[-1]["connections"]) == (0, 2)

    def test_both_together_have_ten_seconds(self, logged: list[LogEvent]) -> None:
        house = start()
        client = Client(house.http, house.clock)
        client.send(request() + request()[:-1])
        house.clock.advance(0)

        stopped = house.stop()
        house.advance(DRAIN_TIMEOUT)

        assert fired(stopped)
        assert client.state == "aborted"
        assert (logged[-1]["events"], logged[-1]["connections"]) == (1, 1)

    def test_it_can_be_started_again(self) -> None:
        house = start()
        house.stop()
        house.ports[0].stopped = succeed(None)

        house.service.startService()
        client = Client(house.http, house.clock)
        client.send(get() + get())

        assert [reply.status for reply in client.replies] == [200, 200]
        assert client.state == "open"


class TestMakeService:
    def test_each_description_is_a_source_in_its_order(self) -> None:
        memory = MemoryReactorClock()
        settings = Settings(http=("tcp:1", "unix:/x"), tcp=("tcp:2",))

        service = make_service(settings, memory)

        assert [(source.name, type(source.factory)) for source in service._sources] == [
            ("--http tcp:1", HTTPSource),
            ("--http unix:/x", HTTPSource),
            ("--tcp tcp:2", TCPSource),
        ]
        assert memory.tcpServers == []
        service.startService()
        assert [server[0] for server in memory.tcpServers] == [1, 2]

    @pytest.mark.parametrize(
        ("settings", "reason"),
        [
            (Settings(), "nothing to listen on"),
            (Settings(http=("x",)), "--http x: bad endpoint"),
            (Settings(tcp=("x",)), "--tcp x: bad endpoint"),
            (Settings(http=("tcp:1",), handlers=("does_not.exist",)), "--handlers does_not.exist"),
        ],
    )
    def test_a_mistake_is_told(self, settings: Settings, reason: str) -> None:
        with pytest.raises(ConfigError, match=reason):
            make_service(settings, MemoryReactorClock())


@pytest_twisted.ensureDeferred
async def test_a_real_port_in_use_is_told(tmp_path: Path) -> None:
    taken = reactor.listenTCP(0, Factory(), interface="127.0.0.1")
    name = f"tcp:{taken.getHost().port}:interface=127.0.0.1"
    service = make_service(Settings(http=("tcp:0:interface=127.0.0.1", name)), reactor)

    with pytest.raises(ConfigError, match=f"--http {name}: CannotListenError: .*in use"):
        service.startService()

    await taken.stopListening()


def test_a_service_whose_events_nobody_hears_says_so(
    monkeypatch: pytest.MonkeyPatch, logged: list[LogEvent]
) -> None:
    monkeypatch.setattr(config, "default_linker", EventLinker())
    make_service(Settings(http=("tcp:0",)), MemoryReactorClock())

    [event] = [event for event in logged if event["log_level"] is LogLevel.warn]
    assert event["log_format"].startswith("no handler is registered")
