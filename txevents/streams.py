"""Waiting for events in a coroutine: one of them (`wait_for`), or all as they come (a stream)."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Literal, NoReturn, Self, cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from txevents.errors import HandlerTimeout, InvalidHandler, QueueFull
from txevents.policy import check_count, check_positive

if TYPE_CHECKING:
    from txevents.linker import EventLinker

StreamOverflow = Literal["drop_oldest", "drop_newest", "error", "block"]


def event_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Return in one piece what a handler is called with."""
    if kwargs:
        return (*args, kwargs)
    if not args:
        return None
    return args[0] if len(args) == 1 else args


def wait_for(
    linker: EventLinker,
    keys: tuple[Any, ...],
    where: Any,
    timeout: float | None,
    reactor: IReactorTime | None,
) -> Deferred[Any]:
    """Do the work of `EventLinker.wait_for`."""
    if timeout is not None:
        check_positive("timeout", timeout)

    def arrived(*args: Any, **kwargs: Any) -> None:
        deferred.callback(event_of(args, kwargs))

    subscription = linker.subscribe(arrived, *keys, name="wait_for", once=True, where=where)

    def stop(_: Deferred[Any]) -> None:
        subscription.cancel()

    deferred: Deferred[Any] = Deferred(stop)
    if timeout is not None:
        if reactor is None:
            from twisted.internet import reactor as installed

            reactor = cast(IReactorTime, installed)
        deferred.addTimeout(timeout, reactor, _timed_out)
    return deferred


def _timed_out(cancelled: object, timeout: float) -> NoReturn:
    raise HandlerTimeout(f"nothing came for {timeout} s")


class EventStream:
    """The events that reach some keys, in order, for `async for`; made by `EventLinker.stream`.

    It listens from when it is made until it is closed, which leaving its `with` or `async with`
    block does. At most `maxsize` events wait to be taken. `overflow` says what happens to one more:

    * `"drop_oldest"`, `"drop_newest"`: one is dropped, and counted in `dropped`;
    * `"error"`: the handler fails with `QueueFull`, as the `Outcome` says;
    * `"block"`: the handler does not finish before there is room, so that who waits for the
      `Outcome` goes no faster than who takes the events.

    After closing, what waits can still be taken; then the iteration ends.
    """

    def __init__(
        self,
        linker: EventLinker,
        keys: tuple[Any, ...],
        maxsize: int,
        overflow: StreamOverflow,
        where: Any,
    ) -> None:
        if overflow not in ("drop_oldest", "drop_newest", "error", "block"):
            raise InvalidHandler(
                'overflow must be "drop_oldest", "drop_newest", "error" or "block", '
                f"not {overflow!r}"
            )
        check_count("maxsize", maxsize)
        self._maxsize = maxsize
        self._overflow = overflow
        self._events: deque[Any] = deque()
        self._takers: deque[Deferred[Any]] = deque()
        self._blocked: deque[tuple[Any, Deferred[None]]] = deque()
        self.dropped = 0
        self.closed = False
        self._subscription = linker.subscribe(self._arrived, *keys, name="stream", where=where)

    def _arrived(self, *args: Any, **kwargs: Any) -> Deferred[None] | None:
        event = event_of(args, kwargs)
        if self._takers:
            self._takers.popleft().callback(event)
        elif len(self._events) < self._maxsize:
            self._events.append(event)
        elif self._overflow == "error":
            raise QueueFull(f"{self._maxsize} events wait in the stream already")
        elif self._overflow == "block":
            room: Deferred[None] = Deferred(self._withdraw)
            self._blocked.append((event, room))
            return room
        else:
            self.dropped += 1
            if self._overflow == "drop_oldest":
                self._events.popleft()
                self._events.append(event)
        return None

    def _withdraw(self, room: Deferred[None]) -> None:
        self._blocked = deque(item for item in self._blocked if item[1] is not room)

    def __aiter__(self) -> Self:
        return self

    def __anext__(self) -> Deferred[Any]:
        """Return a Deferred that fires with the next event, or fails with `StopAsyncIteration`."""
        taken: Deferred[Any] = Deferred(self._stop_taking)
        if self._events:
            event = self._events.popleft()
            if self._blocked:
                waiting, room = self._blocked.popleft()
                self._events.append(waiting)
                room.callback(None)
            taken.callback(event)
        elif self.closed:
            taken.errback(StopAsyncIteration())
        else:
            self._takers.append(taken)
        return taken

    def _stop_taking(self, taken: Deferred[Any]) -> None:
        self._takers.remove(taken)

    def close(self) -> None:
        """Stop listening; who waits for an event hears that there will be none."""
        self._subscription.cancel()
        self.closed = True
        while self._blocked:
            event, room = self._blocked.popleft()
            self._events.append(event)
            room.callback(None)
        while self._takers:
            self._takers.popleft().errback(StopAsyncIteration())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self.close()
