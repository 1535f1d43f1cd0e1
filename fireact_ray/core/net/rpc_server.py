"""The answering end: each call is a task of its own, and its answer leaves as soon as it is there.

When a connection breaks, its unanswered calls are cancelled: who waited there is dead, or will ask again.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from fireact_ray.core.json_text import parse
from fireact_ray.core.net.rpc_wire import MAX_LINE_BYTES, Address, Outbox, keep_alive
from fireact_ray.core.secrets import redact


class RpcServer:
    """`answer` turns a JSON value into a JSON value; what it raises reaches the caller as an error of that class."""

    def __init__(self, answer: Callable[[Any], Coroutine[Any, Any, Any]]) -> None:
        self._answer = answer
        self._token = secrets.token_hex(16)
        self._listening: asyncio.Task[asyncio.Server] | None = None
        self._connections: dict[asyncio.StreamWriter, asyncio.Task[None]] = {}

    async def address(self, host: str) -> Address:
        """Listens on a free port of `host` from the first time on."""
        if self._listening is None:
            listen = asyncio.start_server(self._serve, host, 0, limit=MAX_LINE_BYTES)
            self._listening = asyncio.create_task(listen)
        server = await self._listening
        return Address(host, server.sockets[0].getsockname()[1], self._token)

    async def close(self) -> None:
        """Listen no more, and break what is connected."""
        if self._listening is not None:
            (await self._listening).close()
        for writer in self._connections:
            writer.transport.abort()
        if self._connections:
            await asyncio.wait(self._connections.values())

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        keep_alive(writer)
        if (connection := asyncio.current_task()) is not None:
            self._connections[writer] = connection
        tasks: dict[int, asyncio.Task[Any]] = {}  # by the ticket of the call
        try:
            with suppress(OSError, asyncio.IncompleteReadError):  # the caller went in the middle of a line
                if hmac.compare_digest(await reader.readexactly(len(self._token)), self._token.encode()):
                    writer.write(b"\n")
                    await self._take_calls(reader, Outbox(writer), tasks)
        finally:
            self._connections.pop(writer)
            for task in tasks.values():
                task.cancel()
            writer.close()

    async def _take_calls(
        self, reader: asyncio.StreamReader, outbox: Outbox, tasks: dict[int, asyncio.Task[Any]]
    ) -> None:
        loop = asyncio.get_running_loop()
        while (line := await reader.readline()).endswith(b"\n"):
            for ticket, *item in parse(line):
                if item:
                    tasks[ticket] = task = asyncio.create_task(self._answer(item[0]))
                    task.add_done_callback(_answering(outbox, ticket, tasks))
                elif ticket in tasks:
                    loop.call_soon(tasks[ticket].cancel)  # behind its beginning, where both came together


def _answering(outbox: Outbox, ticket: int, tasks: dict[int, asyncio.Task[Any]]) -> Callable[[asyncio.Task[Any]], None]:
    def put(task: asyncio.Task[Any]) -> None:
        tasks.pop(ticket, None)
        if task.cancelled():
            return
        if (error := task.exception()) is None:
            outbox.put([ticket, task.result()])
        else:
            outbox.put([ticket, None, type(error).__name__, redact(str(error))])

    return put
