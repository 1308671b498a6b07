"""What the connections of all sources share: the time, the set of them, and how they end."""

from __future__ import annotations

from email.utils import formatdate

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import IHalfCloseableProtocol, IPushProducer
from twisted.internet.task import Clock
from zope.interface.verify import verifyObject

from tests.inbound.support import Client, Recorder, fired, get, http_client, structured
from txevents.inbound.base import LINGER, SourceFactory
from txevents.inbound.http import HTTPSource
from txevents.inbound.tcp import TCPSource
from txevents.testing import LeakCheck


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=[HTTPSource, TCPSource])
def source(request: pytest.FixtureRequest, clock: Clock) -> SourceFactory:
    made: SourceFactory = request.param(Recorder(), clock)
    return made


def test_a_connection_keeps_what_it_promises(source: SourceFactory) -> None:
    connection = source.buildProtocol(IPv4Address("TCP", "127.0.0.1", 1))

    assert verifyObject(IPushProducer, connection)
    assert verifyObject(IHalfCloseableProtocol, connection)


def test_one_timer_runs_for_all_connections_and_only_while_there_are_any(
    source: SourceFactory, clock: Clock
) -> None:
    assert clock.getDelayedCalls() == []

    clients = [Client(source, clock) for _ in range(3)]
    assert len(clock.getDelayedCalls()) == 1
    for client in clients:
        client.close()
    assert clock.getDelayedCalls() == []
    Client(source, clock).close()

    assert clock.getDelayedCalls() == []


def test_a_deadline_counts_seconds_that_passed_and_not_what_a_clock_says(clock: Clock) -> None:
    client = http_client(clock=clock)

    clock.advance(3600)  # the clock is set, or the process was stopped

    assert client.state == "open"
    client.send(get())
    assert client.reply.status == 200


def test_the_date_is_up_to_date_for_the_first_request_after_a_pause(clock: Clock) -> None:
    source = HTTPSource(Recorder(), clock)
    Client(source, clock).close()
    clock.advance(100_000)

    client = Client(source, clock)
    client.send(get())

    assert client.reply.headers["date"] == formatdate(100_000, usegmt=True)


def test_it_is_finished_at_once_without_connections(source: SourceFactory, clock: Clock) -> None:
    Client(source, clock).close()

    assert fired(source.finish())


def test_it_is_finished_when_the_last_connection_is_lost(
    source: SourceFactory, clock: Clock
) -> None:
    clients = [Client(source, clock) for _ in range(3)]

    finished = [source.finish(), source.finish()]
    for client in clients:
        assert not any(fired(each) for each in finished)
        client.close()

    assert all(fired(each) for each in finished)


def test_a_client_that_does_not_close_is_cut_off(source: SourceFactory, clock: Clock) -> None:
    client = Client(source, clock)

    finished = source.finish()
    client.wait(LINGER)
    assert not fired(finished)
    client.wait(1)

    assert fired(finished)
    assert client.state == "aborted"


def test_what_is_left_can_be_aborted_and_is_counted(source: SourceFactory, clock: Clock) -> None:
    clients = [Client(source, clock) for _ in range(3)]
    clients[0].close()

    assert source.abort() == 2
    assert source.abort() == 0

    assert [client.state for client in clients] == ["lost", "aborted", "aborted"]


def test_time_goes_on_for_others_after_a_connection_that_failed(
    source: SourceFactory,
    clock: Clock,
    hygiene: LeakCheck,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = Client(source, clock)
    with monkeypatch.context() as patch:
        patch.setattr(client.connection, "tick", lambda now: 1 / 0)
        client.wait(1)
        client.close()
    assert len(hygiene.flush(ZeroDivisionError)) == 1

    other = Client(source, clock)
    source.finish()
    other.wait(LINGER + 1)

    assert other.state == "aborted"


def test_a_lost_producer_is_told_and_needs_nothing(source: SourceFactory, clock: Clock) -> None:
    client = Client(source, clock)

    client.connection.stopProducing()
    client.connection.writeConnectionLost()
    client.close()

    assert client.state == "lost"


def test_what_comes_late_is_dropped(clock: Clock) -> None:
    intake = Recorder()
    client = Client(TCPSource(intake, clock), clock)

    client.close()
    client.connection.dataReceived(structured() + b"\n")

    assert intake.accepted == []
