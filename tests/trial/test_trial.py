from twisted.trial.unittest import TestCase

from txevents import EventLinker, ReactorEmitter


class Ping:
    pass


class EmitTests(TestCase):
    async def test_a_coroutine_handler_hears_the_event(self) -> None:
        linker = EventLinker()
        heard: list[Ping] = []

        @linker.on(Ping)
        async def hear(event: Ping) -> None:
            heard.append(event)

        ping = Ping()
        outcome = await ReactorEmitter(linker).emit(ping)

        outcome.raise_for_failures()
        assert heard == [ping]
