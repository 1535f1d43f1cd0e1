"""How an answer gets to its caller, whole or as a stream; and how its run ends where the caller goes away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from contextlib import aclosing
from typing import TypeVar

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from fireact_ray.serving.errors import ClientGone
from fireact_ray.serving.guard import Call

Reply = TypeVar("Reply")


def call_of(request: Request) -> Call:
    call: Call = request.scope["state"]["call"]
    return call


async def streamed(chunks: AsyncGenerator[str, None]) -> Response:
    """Raises the ApiError that comes before the first chunk, while there is a status to tell it by."""
    return _Stream(await anext(chunks), chunks)


class _Stream(StreamingResponse):
    """Its generator is closed with it, also where nothing of it could be sent: a run never outlives its caller."""

    def __init__(self, first: str, rest: AsyncGenerator[str, None]) -> None:
        self._rest = rest

        async def whole() -> AsyncIterator[str]:
            yield first
            async for chunk in rest:
                yield chunk

        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        super().__init__(whole(), media_type="text/event-stream", headers=headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with aclosing(self._rest):
            await super().__call__(scope, receive, send)


async def until_gone(receive: Receive, work: Awaitable[Reply]) -> Reply:
    """What `work` returns; it is cancelled where the caller disconnects. Raises ClientGone then."""
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_disconnect(receive))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientGone
        return task.result()
    finally:
        for waiting in (task, gone):
            waiting.cancel()
        await asyncio.wait({task, gone})


async def _disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        """Nothing else comes behind a body."""
