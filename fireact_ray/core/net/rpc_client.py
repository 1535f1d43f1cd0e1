"""The asking end: many callers of a process share one connection, and a message carries what several of them ask.

Calls leave in the order in which they were made, and no call waits for another's answer. When the connection breaks,
all that is unanswered is asked again over a new one, so a call may be served twice: servers must bear that.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable
from copy import copy
from typing import Any

from fireact_ray.core import errors
from fireact_ray.core.net.rpc_wire import Address, Lines, Outbox, keep_alive

_TRY_EVERY_S = 0.05
_CONNECT_TIMEOUT_S = 10.0


class RpcUnavailable(Exception):
    """The server could not be reached for longer than the client has patience."""


class RpcFailed(Exception):
    """The server's `answer` raised what is no error of this package: a bug."""


class RpcClient:
    """`find` looks the server up, anew for every connection: an OSError is tried again, any other error ends the wait.

    Connects on the event loop that first asks. `patience_s`: how long the server may be away while somebody waits.
    `calls_off`: where a caller is cancelled, so is what it asked for.
    """

    def __init__(
        self, find: Callable[[], Awaitable[Address]], patience_s: float = 120.0, *, calls_off: bool = False
    ) -> None:
        self._find = find
        self._patience_s = patience_s
        self._calls_off = calls_off
        self._tickets = itertools.count()
        self._unanswered: dict[int, tuple[Any, asyncio.Future[Any]]] = {}
        self._outbox: Outbox | None = None  # None while there is no connection
        self._keeper: asyncio.Task[None] | None = None

    def ask(self, item: Any) -> asyncio.Future[Any]:
        """The answer to `item`, a JSON value. Raises what the server raised, or RpcUnavailable."""
        future = asyncio.get_running_loop().create_future()
        ticket = next(self._tickets)
        self._unanswered[ticket] = item, future
        if self._calls_off:
            future.add_done_callback(lambda done: self._call_off(ticket) if done.cancelled() else None)
        if self._outbox is not None:
            self._outbox.put([ticket, item])
        elif self._keeper is None:
            self._keeper = asyncio.create_task(self._keep_connected())
            self._keeper.add_done_callback(self._kept)
        return future

    async def close(self) -> None:
        """Hang up; who still waits is cancelled."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])

    def _call_off(self, ticket: int) -> None:
        if self._unanswered.pop(ticket, None) is not None and self._outbox is not None:
            self._outbox.put([ticket])

    async def _keep_connected(self) -> None:
        """Until a connection breaks that nobody needs."""
        away_since = time.monotonic()
        while True:
            problem = await self._converse()
            if problem is None:
                away_since = time.monotonic()
            elif time.monotonic() - away_since > self._patience_s:
                raise RpcUnavailable(f"not reached for {self._patience_s:g} s ({problem})")
            if not self._unanswered:
                return
            await asyncio.sleep(_TRY_EVERY_S)

    def _kept(self, keeper: asyncio.Task[None]) -> None:
        """Nobody connects any more: whoever still waits learns why."""
        self._keeper = None
        waiting = [future for _, future in self._unanswered.values() if not future.done()]
        self._unanswered.clear()
        error = None if keeper.cancelled() else keeper.exception()
        for future in waiting:
            if error is None:
                future.cancel()
            else:
                future.set_exception(copy(error))

    async def _converse(self) -> str | None:
        """Connect and hear answers until the connection breaks. Returns what went wrong if there never was one."""
        try:
            address = await self._find()
            connection = _Connection(self._hear)
            async with asyncio.timeout(_CONNECT_TIMEOUT_S):
                transport, _ = await asyncio.get_running_loop().create_connection(
                    lambda: connection, address.host, address.port
                )
                try:
                    transport.write(address.token.encode())
                    await connection.greeted
                except BaseException:
                    transport.abort()
                    raise
        except OSError as error:  # a wrong token is met by hanging up
            return type(error).__name__
        try:
            self._outbox = Outbox(transport)
            for ticket, (item, _) in self._unanswered.items():
                self._outbox.put([ticket, item])
            await connection.ended
        finally:
            self._outbox = None
            transport.close()
        return None

    def _hear(self, answer: list[Any]) -> None:
        ticket, result, *error = answer
        _, future = self._unanswered.pop(ticket, (None, None))
        if future is None or future.done():  # its caller has gone
            return
        if error:
            future.set_exception(_typed(*error))
        else:
            future.set_result(result)


class _Connection(asyncio.Protocol):
    """`greeted`: once the server takes the token; a ConnectionError where it hangs up instead. `ended`: with the
    connection; with what was wrong, where an answer could not be read."""

    def __init__(self, hear: Callable[[list[Any]], None]) -> None:
        loop = asyncio.get_running_loop()
        self.greeted: asyncio.Future[None] = loop.create_future()
        self.ended: asyncio.Future[None] = loop.create_future()
        self._hear = hear
        self._lines = Lines()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        keep_alive(transport)

    def data_received(self, data: bytes) -> None:
        if not self.greeted.done():
            self.greeted.set_result(None)
            data = data[1:]
        try:
            for answer in self._lines.entries(data):
                self._hear(answer)
        except Exception as error:  # noqa: BLE001 (a bug, told to all who wait)
            if not self.ended.done():
                self.ended.set_exception(error)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.greeted.done():
            self.greeted.set_exception(error if isinstance(error, OSError) else ConnectionResetError())
        if not self.ended.done():
            self.ended.set_result(None)


def _typed(name: str, text: str) -> Exception:
    """The error that the server raised, made again on this side."""
    error_class = getattr(errors, name, None)
    return error_class(text) if error_class is not None else RpcFailed(f"{name}: {text}")
