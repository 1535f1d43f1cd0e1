"""The answering end: each call is a task of its own, and its answer leaves as soon as it is there.

When a connection breaks, its unanswered calls are cancelled: who waited there is dead, or will ask again.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
from collections.abc import Callable, Coroutine
from typing import Any, cast

from fireact_ray.core.net.rpc_wire import Address, Lines, Outbox, keep_alive
from fireact_ray.core.secrets import redact


class RpcServer:
    """`answer` turns a JSON value into a JSON value; what it raises reaches the caller as an error of that class."""

    def __init__(self, answer: Callable[[Any], Coroutine[Any, Any, Any]]) -> None:
        self._answer = answer
        self._token = secrets.token_hex(16)
        self._listening: asyncio.Task[asyncio.Server] | None = None
        self._connections: set[_Connection] = set()

    async def address(self, host: str) -> Address:
        """Listens on a free port of `host` from the first time on."""
        if self._listening is None:
            self._listening = asyncio.create_task(self._listen(host))
        server = await self._listening
        return Address(host, server.sockets[0].getsockname()[1], self._token)

    async def close(self) -> None:
        """Listen no more, and break what is connected."""
        if self._listening is not None:
            (await self._listening).close()
        tasks = [task for connection in self._connections for task in connection.abort()]
        if tasks:
            await asyncio.wait(tasks)

    async def _listen(self, host: str) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        return await loop.create_server(lambda: _Connection(self._answer, self._token, self._connections), host, 0)


class _Connection(asyncio.Protocol):
    """One client. `among`: where it stands as long as it lasts."""

    def __init__(self, answer: Callable[[Any], Coroutine[Any, Any, Any]], token: str, among: set[_Connection]) -> None:
        self._answer, self._among = answer, among
        self._greeting: bytes | None = token.encode()  # None once it was heard
        self._heard = b""
        self._lines = Lines()
        self._tasks: dict[int, asyncio.Task[None]] = {}  # by the ticket of the call

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        keep_alive(transport)
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are no subclass
        self._outbox = Outbox(self._transport)
        self._among.add(self)

    def data_received(self, data: bytes) -> None:
        if self._greeting is not None:
            data = self._greeted(data, self._greeting)
        loop = asyncio.get_running_loop()
        for ticket, *item in self._lines.entries(data):
            if item:
                self._tasks[ticket] = loop.create_task(self._serve(ticket, item[0]))
            elif ticket in self._tasks:
                loop.call_soon(self._tasks[ticket].cancel)  # behind its beginning, where both came together

    def connection_lost(self, error: Exception | None) -> None:
        self._among.discard(self)
        for task in self._tasks.values():
            task.cancel()

    def abort(self) -> list[asyncio.Task[None]]:
        """Hang up, by which its calls are cancelled. Returns these."""
        self._transport.abort()
        return list(self._tasks.values())

    def _greeted(self, data: bytes, token: bytes) -> bytes:
        """What follows the token. Hangs up on whoever does not know it."""
        self._heard += data
        if len(self._heard) < len(token):
            return b""
        if not hmac.compare_digest(self._heard[: len(token)], token):
            self._transport.abort()
            return b""
        rest, self._greeting, self._heard = self._heard[len(token) :], None, b""
        self._transport.write(b"\n")
        return rest

    async def _serve(self, ticket: int, item: Any) -> None:
        try:
            self._outbox.put([ticket, await self._answer(item)])
        except Exception as error:  # noqa: BLE001 (the caller's matter, also where its answer is no JSON)
            self._outbox.put([ticket, None, type(error).__name__, redact(str(error))])
        finally:
            self._tasks.pop(ticket, None)
