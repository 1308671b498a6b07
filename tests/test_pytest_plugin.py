from __future__ import annotations

import sys
from importlib.metadata import entry_points
from subprocess import run

import pytest

SHOP = """
    from txevents.testing import assert_emitted, captured

    def test_the_fixtures_belong_together(event_linker, event_emitter, recording_emitter):
        assert event_emitter.linker is recording_emitter.linker is event_linker
        assert event_linker.subscriptions() == []

        @event_linker.on("order.placed")
        def bill(order_id):
            recording_emitter.notify("billed", order_id)

        with captured(event_linker) as events:
            event_emitter.notify("order.placed", "o-1")
            event_emitter.flush()
        assert events == ["o-1"]
        assert assert_emitted(recording_emitter, "billed") == ["o-1"]

    def test_each_test_has_its_own(event_linker):
        assert event_linker.subscriptions() == []

    def test_clean(event_leak_check):
        pass

    def test_forgiven(event_leak_check):
        defer.fail(RuntimeError())
        assert len(event_leak_check.flush()) == 1

    def test_forgets_an_event(event_linker, event_emitter):
        event_linker.subscribe(print, "order.placed")
        event_emitter.notify("order.placed", "o-1")

    def test_fails_to_assert(recording_emitter):
        assert_emitted(recording_emitter, "order.*", 2, total=9)

    def test_leaves_a_call(event_leak_check):
        reactor.callLater(60, print)

    def test_leaves_a_port(event_leak_check):
        reactor.listenTCP(0, protocol.Factory(), interface="127.0.0.1")

    def test_leaves_an_error(event_leak_check):
        defer.fail(RuntimeError("nobody sees me"))

    def test_opted_out():
        reactor.callLater(60, repr)
"""

IMPORTS = """
    from twisted.internet import defer, protocol, reactor
"""

ASYNCHRONOUS = """
    import pytest_twisted
    from twisted.internet import reactor, task

    @pytest_twisted.ensureDeferred
    async def test_waits(event_linker, event_leak_check):
        from txevents import ReactorEmitter
        event_linker.subscribe(lambda: task.deferLater(reactor, 0, int), "topic")
        assert (await ReactorEmitter(event_linker).emit("topic")).values == [0]

    @pytest_twisted.ensureDeferred
    async def test_leaves_a_call_in_a_coroutine(event_leak_check):
        reactor.callLater(60, print)
        await task.deferLater(reactor, 0)
"""


@pytest.mark.parametrize("option", ["--reactor=default", "--reactor=asyncio", "-pno:twisted"])
def test_the_fixtures(pytester: pytest.Pytester, option: str) -> None:
    twisted = option != "-pno:twisted"
    pytester.makepyfile(IMPORTS + SHOP + (ASYNCHRONOUS if twisted else ""))

    result = pytester.runpytest_subprocess(option, "-Werror")

    result.assert_outcomes(passed=9 + 2 * twisted, failed=1, errors=4 + twisted)
    result.stdout.fnmatch_lines(
        [
            "*ERROR at teardown of test_forgets_an_event *",
            "1 event is not handled:",
            "    'order.placed', 'o-1' waits for its turn: call flush()",
            "*ERROR at teardown of test_leaves_a_call *",
            "left behind:",
            "a delayed call: <DelayedCall * print()>",
            "*ERROR at teardown of test_leaves_a_port *",
            "an open port or connection: <*Factory*",
            "*ERROR at teardown of test_leaves_an_error *",
            "an unhandled error: Traceback *",
            "*RuntimeError: nobody sees me",
            *(["*ERROR at teardown of test_leaves_a_call_in_a_coroutine *"] * twisted),
            "*_ test_fails_to_assert _*",
            '>*assert_emitted(recording_emitter, "order.[*]", 2, total=9)',
            "E * expected 2 of 'order.[*]' with total=9, but nothing was emitted",
        ]
    )
    # What is in txevents stays out of the traceback.
    result.stdout.no_fnmatch_line("*txevents/testing/assertions.py*")


def test_the_entry_point() -> None:
    found = {point.value for point in entry_points(group="pytest11", name="txevents")}
    assert found == {"pytest_txevents"}


def test_little_is_imported_before_a_fixture_is_used() -> None:
    program = (
        "import pytest, sys; before = set(sys.modules); import pytest_txevents;"
        "print(*sorted(set(sys.modules) - before))"
    )
    done = run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "pytest_txevents\n"
