"""A real HTTP server on loopback whose answers a test decides; it records what it was asked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

# Longer than names may be: it is not found at once, also where no network and no resolver is.
NO_HOST = ".".join(["no-such-host" * 4] * 6)

Answer = web.Response | str | Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Loopback:
    """`url`, and per request: method, path, query parameters, headers, JSON body."""

    url: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)


@asynccontextmanager
async def loopback(answer: Callable[[int], Answer]) -> AsyncIterator[Loopback]:
    """`answer(n)` gives the n-th answer, from 0: a response, a handler, or "reset" for a connection cut off."""
    served = Loopback()

    async def handle(request: web.Request) -> web.StreamResponse:
        body = await request.json() if request.can_read_body else None
        served.asked.append(
            {
                "method": request.method,
                "path": request.path,
                "query": dict(request.query),
                "headers": dict(request.headers),
                "body": body,
            }
        )
        given = answer(len(served.asked) - 1)
        if isinstance(given, str):
            assert request.transport is not None
            request.transport.close()
            return web.Response()
        return given if isinstance(given, web.Response) else await given(request)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    served.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield served
    finally:
        await runner.cleanup()
