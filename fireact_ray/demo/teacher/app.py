"""The teacher's HTTP handlers: POST /v1/chat/completions, GET /v1/models, GET /stats."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import time
from collections import Counter
from typing import Any

from aiohttp import web

from fireact_ray.demo.teacher.brain import Brain
from fireact_ray.demo.teacher.calls import CallLog, SeenCall
from fireact_ray.demo.teacher.faults import Fault, FaultRates, Latency
from fireact_ray.demo.teacher.limiting import Limiter, RateLimit
from fireact_ray.demo.teacher.malformed import SHAPES, content_type
from fireact_ray.demo.teacher.protocol import MODEL_NAME, BadRequest, ChatRequest, Reply, error_body

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER of 0 s: closing sends RST, not FIN


class TeacherApp:
    """Handlers and their counts; lives in one event loop."""

    def __init__(
        self,
        brain: Brain,
        faults: FaultRates,
        latency: Latency,
        api_key: str | None = None,
        rate_limit: RateLimit | None = None,
        call_log: CallLog | None = None,
    ) -> None:
        self._brain = brain
        self._faults = faults
        self._latency = latency
        self._api_key = api_key
        self._limiter = Limiter(rate_limit or RateLimit())
        self._log = call_log or CallLog(None)
        self._seen: Counter[str] = Counter()  # request hash -> times
        self._calls: Counter[str] = Counter()  # see stats()
        self._tokens: Counter[str] = Counter()
        self._requests = 0
        self._in_flight = 0
        self._peak_in_flight = 0

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/v1/chat/completions", self._complete),
            web.get("/v1/models", self._models),
            web.get("/stats", self._show_stats),
        ]

    def stats(self) -> dict[str, Any]:
        """`requests`: all that came, also those whose client had gone before the reply. `calls` by HTTP status, or by
        fault where no status tells; tokens of all replies worked out."""
        return {
            "requests": self._requests,
            "calls": dict(self._calls),
            "in_flight": self._in_flight,
            "peak_in_flight": self._peak_in_flight,
            "prompt_tokens": self._tokens["prompt_tokens"],
            "completion_tokens": self._tokens["completion_tokens"],
        }

    async def _models(self, http: web.Request) -> web.Response:
        model = {"id": MODEL_NAME, "object": "model", "created": 0, "owned_by": "fireact_ray"}
        return web.json_response({"object": "list", "data": [model]})

    async def _show_stats(self, http: web.Request) -> web.Response:
        return web.json_response(self.stats())

    async def _complete(self, http: web.Request) -> web.StreamResponse:
        self._requests += 1
        self._in_flight += 1
        self._peak_in_flight = max(self._peak_in_flight, self._in_flight)
        call = SeenCall(came_at_s=time.monotonic())
        try:
            return await self._answer(http, call)
        finally:
            self._in_flight -= 1
            call.left_at_s = time.monotonic()
            self._log.write(call)

    async def _answer(self, http: web.Request, call: SeenCall) -> web.StreamResponse:
        if self._api_key is not None and http.headers.get("Authorization") != f"Bearer {self._api_key}":
            return self._refuse(call, 401, "Incorrect API key provided.", "invalid_api_key")
        try:
            request = ChatRequest.from_body(await http.read())
        except BadRequest as error:
            return self._refuse(call, 400, str(error))
        call.request = request.hash
        if request.model != MODEL_NAME:
            return self._refuse(call, 404, f"The model '{request.model}' does not exist.", "model_not_found")
        if (wait_s := self._limiter.refused_for_s(time.monotonic())) is not None:
            return self._refuse(call, 429, "Rate limit reached.", "rate_limit_exceeded", f"{wait_s:.3f}")
        nth = self._seen[request.hash]
        self._seen[request.hash] += 1
        fault = self._faults.draw(request.hash, nth)
        if fault is Fault.HANG:
            self._count(call, fault.value)
            await asyncio.Event().wait()  # until the client hangs up or the server closes: both cancel this
        call.drawn_s = self._latency.draw_s(request.hash)
        await asyncio.sleep(call.drawn_s)
        match fault:
            case Fault.RATE_LIMITED:
                retry_after = f"{self._faults.retry_after_s:g}"
                return self._refuse(call, 429, "Rate limit reached.", "rate_limit_exceeded", retry_after)
            case Fault.SERVER_ERROR:
                return self._refuse(call, 500, "The server had an error.")
            case Fault.RESET:
                self._count(call, fault.value)
                _reset(http)
                return web.Response()  # to nobody
        reply = request.finish(self._brain.reply(request.conversation, request.sampling))
        self._count(call, fault.value if fault else "200")
        self._tokens.update(reply.usage)
        shape = self._faults.draw_shape(request.hash, nth) if fault is Fault.MALFORMED else None
        parts, kind = _events(reply, shape) if request.stream else _whole(reply, shape)
        headers = {**self._limiter.headers(time.monotonic()), "Content-Type": kind}
        return await _send(http, parts, headers, torn=fault is Fault.TRUNCATED)

    def _count(self, call: SeenCall, outcome: str) -> None:
        call.outcome = outcome
        self._calls[outcome] += 1

    def _refuse(
        self, call: SeenCall, status: int, message: str, code: str | None = None, retry_after: str | None = None
    ) -> web.Response:
        self._count(call, str(status))
        headers = {"Retry-After": retry_after} if retry_after else None
        return web.json_response(error_body(status, message, code), status=status, headers=headers)


def _whole(reply: Reply, shape: str | None) -> tuple[list[bytes], str]:
    """One JSON body, spoilt into `shape`, and its content type."""
    if shape is None:
        return [json.dumps(reply.whole()).encode()], "application/json"
    return [SHAPES[shape](reply.whole())], content_type(shape)


def _events(reply: Reply, shape: str | None) -> tuple[list[bytes], str]:
    """A stream of events and its content type; a spoilt one, whatever the shape, ends within its first event."""
    events = [event.encode() for event in reply.events()]
    return events if shape is None else [events[0][: len(events[0]) // 2] + b"\n\n"], "text/event-stream"


async def _send(http: web.Request, parts: list[bytes], headers: dict[str, str], *, torn: bool) -> web.StreamResponse:
    """A single part goes with its length; `torn`: half of all bytes is sent and the connection cut."""
    response = web.StreamResponse(headers={**headers, "Cache-Control": "no-cache"})
    if len(parts) == 1:
        response.content_length = len(parts[0])
    await response.prepare(http)
    if torn:
        body = b"".join(parts)
        await response.write(body[: len(body) // 2])
        if http.transport is not None:
            http.transport.close()
        return response
    for part in parts:
        await response.write(part)
    return response


def _reset(http: web.Request) -> None:
    if http.transport is not None:
        connection: socket.socket = http.transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        http.transport.abort()
