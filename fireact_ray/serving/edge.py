"""What stands in Ray Serve's HTTP proxies, before any replica: every request is answered, in OpenAI's shape.

Serve answers in bare text where a request reaches no replica (too many wait, none is ready, none is left), and not at
all where its replica dies. Here that becomes an error object with Retry-After; a question whose replica died before its
first byte is asked again, as it has no side effect; a stream that was cut ends with an event. A body is read here, up
to its limit and in time, so that a slow client holds no place at a replica. Headers by which clients could switch off
Serve's time limit or its heed of disconnects are not passed on.

Serve builds it in where RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH names `edge` when its proxies start.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from starlette.middleware import Middleware

VARIABLE = "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH"
IMPORT_PATH = "fireact_ray.serving.edge:edge"

MARK = "x-fireact-edge"  # a header of every reply that came by here

MAX_BODY_BYTES = 1 << 20
BODY_S = 15.0
RETRY_AFTER_S = 2
_TRIES = 3
_SERVE_S_OWN = "/-/"  # its health and routes
_STEERING = {b"x-request-timeout-seconds", b"x-request-disconnect-disabled", b"serve_multiplexed_model_id"}

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

logger = logging.getLogger(__name__)


def edge() -> list[Middleware]:
    """As Serve's callback wants it."""
    from starlette.middleware import Middleware

    return [Middleware(Edge)]


class _TooMuch(Exception):
    pass


class _Gone(Exception):
    pass


class Edge:
    """ASGI middleware."""

    def __init__(self, app: App, max_body_bytes: int = MAX_BODY_BYTES, body_s: float = BODY_S) -> None:
        self._app = app
        self._max_body_bytes, self._body_s = max_body_bytes, body_s

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(_SERVE_S_OWN):
            await self._app(scope, receive, send)
            return
        scope = {**scope, "headers": [pair for pair in scope["headers"] if pair[0].lower() not in _STEERING]}
        try:
            body = await self._body(scope, receive)
        except _Gone:
            return
        except _TooMuch:
            await _refuse(send, 413, f"The body may have at most {self._max_body_bytes} bytes.", close=True)
            return
        except TimeoutError:
            await _refuse(send, 408, f"The body did not come within {self._body_s:g} s.", close=True)
            return
        await self._answer(scope, body, receive, send)

    async def _answer(self, scope: MutableMapping[str, Any], body: bytes, receive: Receive, send: Send) -> None:
        for attempt in range(_TRIES):
            reply = _Reply(scope["path"], send)
            feed = _Feed(body, receive)
            await self._app(scope, feed.receive, reply.send)
            if reply.started or feed.gone:
                break
            logger.warning("a replica ended before it answered; try %d of %d", attempt + 1, _TRIES)
            await asyncio.sleep(0.2 * (attempt + 1))
        if not feed.gone:
            await reply.end()

    async def _body(self, scope: MutableMapping[str, Any], receive: Receive) -> bytes:
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > self._max_body_bytes:
            raise _TooMuch
        parts, size = [], 0
        async with asyncio.timeout(self._body_s):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise _Gone
                parts.append(message.get("body", b""))
                size += len(parts[-1])
                if size > self._max_body_bytes:
                    raise _TooMuch
                if not message.get("more_body", False):
                    return b"".join(parts)


class Door:
    """ASGI middleware of a replica: once `is_open` says no, it takes no more questions and lets those inside end."""

    def __init__(self, app: App, is_open: Callable[[], bool]) -> None:
        self._app, self._is_open = app, is_open

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST" and not self._is_open():
            await _refuse(send, 503, "The server is ending: it takes no more questions.")
            return
        await self._app(scope, receive, send)


class _Feed:
    """The body that was read, then what else the client does."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self.gone = False
        self._body: bytes | None = body
        self._receive = receive

    async def receive(self) -> Message:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        message = await self._receive()
        self.gone = self.gone or message["type"] == "http.disconnect"
        return message


class _Reply:
    """What goes to the client: a replica's reply as it is, a bare text of Serve's as an error object."""

    def __init__(self, path: str, send: Send) -> None:
        self.started = False
        self._path, self._send = path, send
        self._bare: Message | None = None  # the start of a bare text, which is kept back
        self._text: list[bytes] = []
        self._is_stream = self._is_whole = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            kind = dict(message.get("headers", ())).get(b"content-type", b"")
            if message["status"] >= 400 and kind.startswith(b"text/plain"):
                self._bare = message
                return
            self._is_stream = kind.startswith(b"text/event-stream")
            message = {**message, "headers": [*message.get("headers", ()), (MARK.encode(), b"1")]}
        elif message["type"] == "http.response.body":
            self._is_whole = not message.get("more_body", False)
            if self._bare is not None:
                self._text.append(message.get("body", b""))
                if self._is_whole:
                    await self._send_error(self._bare, b"".join(self._text).decode("utf-8", "replace"))
                return
        await self._send(message)

    async def end(self) -> None:
        """Where Serve stopped without a word, say so."""
        if not self.started:
            await _refuse(self._send, 503, "The replica that worked on it has ended; ask again.")
        elif self._is_stream and not self._is_whole:
            event = _cut_event(self._path, "The replica that worked on it has ended; ask again.")
            await self._send({"type": "http.response.body", "body": event, "more_body": False})

    async def _send_error(self, start: Message, text: str) -> None:
        status, message = _in_words(start["status"], text)
        given = dict(start.get("headers", ())).get(b"retry-after")
        await _refuse(self._send, status, message, retry_after=given.decode() if given else None)


def _in_words(status: int, text: str) -> tuple[int, str]:
    """A status of Serve's and its text -> a status and a sentence for clients."""
    if status == 404:  # the agent is at every path: Serve has none yet, or none any more
        return 503, "The agent is not ready: it is starting or ending."
    if status == 408:  # which means a slow client elsewhere; this one waited for us
        return 504, "The question was not answered in time."
    if status in (429, 503):
        return status, "Too many questions wait here." if status == 429 else "The agent is not available."
    return status, "The server failed on this request." if status >= 500 else text


_KINDS = {408: "invalid_request_error", 413: "invalid_request_error", 429: "rate_limit_error"}
_CODES = {408: "slow_body", 413: "body_too_large", 429: "overloaded", 503: "unavailable", 504: "timeout"}


def _error(status: int, message: str) -> dict[str, Any]:
    kind = _KINDS.get(status, "server_error" if status >= 500 else "invalid_request_error")
    return {"message": message, "type": kind, "param": None, "code": _CODES.get(status)}


async def _refuse(
    send: Send, status: int, message: str, *, retry_after: str | None = None, close: bool = False
) -> None:
    body = json.dumps({"error": _error(status, message)}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (MARK.encode(), b"1"),
    ]
    if status in (429, 503):
        headers.append((b"retry-after", (retry_after or str(RETRY_AFTER_S)).encode()))
    if close:  # what is left of the body is not read
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def _cut_event(path: str, message: str) -> bytes:
    """The last event of a stream that was cut, behind an end of the one within which it was: as its path's protocol has
    it."""
    error = _error(503, message)
    if path.endswith("/responses"):
        data = json.dumps({"type": "error", "code": error["code"], "message": message, "param": None})
        return f"\n\nevent: error\ndata: {data}\n\n".encode()
    head = "" if path.endswith("/chat/completions") else "event: error\n"
    return f"\n\n{head}data: {json.dumps({'error': error})}\n\n".encode()
