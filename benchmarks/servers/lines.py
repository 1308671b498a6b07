"""Our work behind Twisted's own line protocols: the same reading of CloudEvents, the same intake.

The first argument is `LineReceiver` or `LineOnlyReceiver`. The second is `line`, to answer after
each line, or `chunk`, to answer once for what came together, as our TCP source does.
"""

from __future__ import annotations

import json
import sys

from twisted.internet.protocol import Factory
from twisted.protocols.basic import LineOnlyReceiver, LineReceiver

import benchmarks.servers.handlers  # noqa: F401 - registers the handlers
from benchmarks.servers.twisted_reactor import serve
from txevents import ReactorEmitter
from txevents.inbound.intake import Intake
from txevents.wire.cloudevents import read_structured
from txevents.wire.problems import Refusal

intake = Intake([ReactorEmitter()])


class Lines:
    """What the protocols have in common: a mixin."""

    delimiter = b"\n"
    MAX_LENGTH = 256 * 1024
    accepted = 0
    index = 0

    def lineReceived(self, line: bytes) -> None:
        """Take an event."""
        try:
            intake.accept(read_structured(line, "the line"))
            self.accepted += 1
        except Refusal as refusal:
            refused = {"refused": {"index": self.index, **refusal.members()}}
            self.sendLine(json.dumps(refused).encode())  # type: ignore[attr-defined]
        self.index += 1

    def answer(self) -> None:
        """Say how many events have been taken."""
        self.sendLine(b'{"accepted":%d}' % self.accepted)  # type: ignore[attr-defined]


class AnsweringLines(Lines):
    """Answers after each line."""

    def lineReceived(self, line: bytes) -> None:
        """Take an event, and answer."""
        super().lineReceived(line)
        self.answer()


class AnsweringChunks(Lines):
    """Answers once for what came together."""

    def dataReceived(self, data: bytes) -> None:
        """Take what came, and answer."""
        accepted = self.accepted
        super().dataReceived(data)  # type: ignore[misc]
        if self.accepted > accepted:
            self.answer()


def main(receiver: str, answers: str) -> None:
    """Serve on a free port."""
    base = {"LineReceiver": LineReceiver, "LineOnlyReceiver": LineOnlyReceiver}[receiver]
    mixin = {"line": AnsweringLines, "chunk": AnsweringChunks}[answers]
    factory = Factory.forProtocol(type("Protocol", (mixin, base), {}))
    serve(factory)


if __name__ == "__main__":
    main(*sys.argv[1:])
