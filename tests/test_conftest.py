from pathlib import Path

import pytest

CONFTEST = Path(__file__).with_name("conftest.py")

DIRTY = """
    import pytest_twisted
    from twisted.internet import defer, protocol, reactor, task
    from twisted.internet.endpoints import TCP4ClientEndpoint

    kept = []

    def fail():
        raise RuntimeError("nobody sees me")

    def test_delayed_call():
        reactor.callLater(60, print)

    def test_short_delayed_call():
        reactor.callLater(0.05, print)

    def test_looping_call():
        task.LoopingCall(print).start(0.01)

    def test_port():
        reactor.listenTCP(0, protocol.Factory.forProtocol(protocol.Protocol), interface="127.0.0.1")

    @pytest_twisted.ensureDeferred
    async def test_connection():
        factory = protocol.Factory.forProtocol(protocol.Protocol)
        port = reactor.listenTCP(0, factory, interface="127.0.0.1")
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port)
        kept.append(await endpoint.connect(factory))
        await port.stopListening()

    def test_deferred():
        defer.fail(RuntimeError("nobody sees me"))

    def test_deferred_in_a_cycle():
        deferred = defer.maybeDeferred(fail)
        deferred.itself = deferred

    @pytest_twisted.ensureDeferred
    async def test_coroutine():
        async def run():
            await task.deferLater(reactor, 0)
            fail()

        defer.ensureDeferred(run())

    def test_call():
        reactor.callLater(0, fail)
"""

CLEAN = """
    import pytest
    import pytest_twisted
    from hypothesis import given, strategies as st
    from twisted.internet import defer, protocol, reactor, task
    from twisted.internet.endpoints import TCP4ClientEndpoint
    from twisted.internet.utils import getProcessOutput
    from twisted.logger import Logger

    @pytest.fixture(scope="module")
    def ticking():
        loop = task.LoopingCall(lambda: None)
        loop.start(0.001)
        yield
        loop.stop()

    @pytest.fixture(scope="module")
    def port():
        factory = protocol.Factory.forProtocol(protocol.Protocol)
        port = reactor.listenTCP(0, factory, interface="127.0.0.1")
        yield port
        pytest_twisted.blockon(port.stopListening())

    def test_nothing():
        pass

    @given(st.integers())
    def test_given(number):
        pass

    @pytest_twisted.ensureDeferred
    async def test_wider_fixtures(ticking, port):
        await task.deferLater(reactor, 0.01)

    @pytest_twisted.ensureDeferred
    async def test_closing_connection(port):
        factory = protocol.Factory.forProtocol(protocol.Protocol)
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port)
        (await endpoint.connect(factory)).transport.loseConnection()

    @pytest_twisted.ensureDeferred
    async def test_process():
        assert await getProcessOutput("/bin/echo", [b"hello"]) == b"hello\\n"

    def test_handled():
        defer.fail(RuntimeError()).addErrback(lambda failure: None)

    def test_flushed(hygiene):
        defer.fail(RuntimeError())
        defer.fail(ValueError())
        assert len(hygiene.flush(RuntimeError)) == 1
        assert len(hygiene.flush()) == 1

    def test_logged():
        try:
            1 / 0
        except ZeroDivisionError:
            Logger(namespace="txevents.anything").failure("as it should")
"""


@pytest.fixture(params=["default", "asyncio"])
def reactor(request: pytest.FixtureRequest, pytester: pytest.Pytester) -> str:
    pytester.makeconftest(CONFTEST.read_text())
    return str(request.param)


def test_each_leak_is_found(pytester: pytest.Pytester, reactor: str) -> None:
    pytester.makepyfile(DIRTY)

    result = pytester.runpytest_subprocess("--reactor", reactor)

    result.assert_outcomes(passed=9, errors=9)
    result.stdout.fnmatch_lines(
        [
            "*ERROR at teardown of test_delayed_call *",
            "a delayed call: <DelayedCall * print(*",
            "*ERROR at teardown of test_short_delayed_call *",
            "a delayed call: <DelayedCall * print(*",
            "*ERROR at teardown of test_looping_call *",
            "a delayed call: <DelayedCall * LoopingCall<*",
            "*ERROR at teardown of test_port *",
            "an open port or connection: <*tcp.Port*",
            "*ERROR at teardown of test_connection *",
            "an open port or connection: <*tcp.Client*",
            "*ERROR at teardown of test_deferred *",
            "an unhandled error: *",
            "*RuntimeError: nobody sees me",
            "*ERROR at teardown of test_deferred_in_a_cycle *",
            "an unhandled error: *",
            "*RuntimeError: nobody sees me",
            "*ERROR at teardown of test_coroutine *",
            "an unhandled error: *",
            "*RuntimeError: nobody sees me",
            "*ERROR at teardown of test_call *",
            "an unhandled error: *",
            "*RuntimeError: nobody sees me",
        ]
    )


def test_a_clean_test_passes(pytester: pytest.Pytester, reactor: str) -> None:
    pytester.makepyfile(CLEAN)

    result = pytester.runpytest_subprocess("--reactor", reactor)

    result.assert_outcomes(passed=8)
