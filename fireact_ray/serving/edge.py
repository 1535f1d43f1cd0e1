"""What stands in Ray Serve's HTTP proxies, before any replica: every request is answered, in OpenAI's shape.

Serve answers in bare text where a request reaches no replica (too many wait, none is ready, none is left), and not at
all where its replica dies. Here that becomes an error object with Retry-After; a question whose replica died before its
first byte is asked again, as it has no side effect; a stream that was cut ends with an event. A body is read here, up
to its limit and in time, so that a slow client holds no place at a replica. Where the replicas take no more questions,
the next ones are refused here. Headers by which clients could switch off Serve's time limit or its heed of disconnects
are not passed on.

Serve builds it in where RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH names `edge` when its proxies start.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any

from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fireact_ray.serving.errors import BUSY_MARK, ApiError, server_busy
from fireact_ray.serving.room import Room
from fireact_ray.serving.sse import event

MARK = "x-fireact-edge"  # a header of every reply that came by here
BODY = "fireact.body"  # of a scope: a body goes with it, where the replica would have to call the proxy for it
MAX_BODY_BYTES = 1 << 20
BODY_S = 15.0
RETRY_AFTER_S = 2.0

_ID = b"x-request-id"
_TRIES = 3
_PAUSE_S = 0.2  # before the second try, and twice as long before the third
_OF_SERVE = "/-/"  # its health and routes
_STEERING = {"x_request_timeout_seconds", "x_request_disconnect_disabled", "serve_multiplexed_model_id"}
# How Serve's `receive` asks its proxy (Ray 2.60), by a call of Ray for each request: for a body that is there already,
# and whether the client went away, where the proxy calls the request off anyway.
_ASKS_THE_PROXY = "_receive_asgi_messages"

logger = logging.getLogger(__name__)


def edge() -> list[Middleware]:
    """As Serve's callback wants it."""
    return [Middleware(Edge)]


class _Gone(Exception):
    """The client went away."""


class Edge:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, max_body_bytes: int = MAX_BODY_BYTES, body_s: float = BODY_S) -> None:
        self._app = app
        self._max_body_bytes, self._body_s = max_body_bytes, body_s
        self._room = Room()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(_OF_SERVE):
            await self._app(scope, receive, send)
            return
        scope = {**scope, "headers": [(name, value) for name, value in scope["headers"] if not _steers(name)]}
        reply = _Reply(scope, receive, send)
        try:
            body = await self._body(scope, receive)
            if _is_question(scope):
                await self._ask(scope, body, receive, reply)
            else:
                await self._answer(scope, body, receive, reply)
        except ApiError as error:
            await reply.refuse(error)
        except _Gone:
            return

    async def _ask(self, scope: Scope, body: bytes, receive: Receive, reply: _Reply) -> None:
        """Raises ApiError also where the replicas have just said that they take no more."""
        if not await self._room.admits():
            raise server_busy(RETRY_AFTER_S)
        with self._room.one():
            await self._answer(scope, body, receive, reply)
            if reply.is_busy:
                self._room.refused()

    async def _answer(self, scope: Scope, body: bytes, receive: Receive, reply: _Reply) -> None:
        """Raises ApiError where no replica says anything."""
        for attempt in range(_TRIES):
            client = _Client(receive)
            await self._app({**scope, BODY: body}, client.receive, reply.send)
            if client.is_gone:
                return
            if reply.started:
                await reply.end()
                return
            logger.warning("a replica ended before it answered, try %d of %d", attempt + 1, _TRIES)
            await asyncio.sleep(_PAUSE_S * (attempt + 1))
        raise _lost()

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        """Raises ApiError (408, 413), and _Gone."""
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if declared.isdigit() and int(declared[:20]) > self._max_body_bytes:
            raise self._too_large()
        body, more = bytearray(), True
        try:
            async with asyncio.timeout(self._body_s):
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise _Gone
                    body += message.get("body", b"")
                    more = message.get("more_body", False)
                    if len(body) > self._max_body_bytes:
                        raise self._too_large()
        except TimeoutError:
            late = f"The body was not there within {self._body_s:g} s."
            raise ApiError(408, late, headers={"connection": "close"}) from None
        return bytes(body)

    def _too_large(self) -> ApiError:
        return ApiError(413, f"A body may have {self._max_body_bytes} bytes.", headers={"connection": "close"})


class Door:
    """ASGI middleware of a replica: hands on the body that came with the scope, if it came by an Edge, and then spares
    the proxy to be asked for it. Once `is_open` says no, it takes no more questions and lets those inside end."""

    def __init__(self, app: ASGIApp, is_open: Callable[[], bool]) -> None:
        self._app, self._is_open = app, is_open

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST" and not self._is_open():
            error = ApiError(503, "The server is ending: it takes no more questions.", retry_after_s=RETRY_AFTER_S)
            await error.response()(scope, receive, send)
            return
        body = scope.pop(BODY, None)
        await self._app(scope, receive if body is None else _after(body, receive), send)


def _after(body: bytes, receive: Receive) -> Receive:
    first: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
    if hasattr(receive, _ASKS_THE_PROXY):
        setattr(receive, _ASKS_THE_PROXY, _never)

    async def whole() -> Message:
        return first.pop() if first else await receive()

    return whole


async def _never(_: Any) -> bytes:
    never: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    return await never


class _Client:
    """What it does after its body. Hears whether it goes away."""

    def __init__(self, receive: Receive) -> None:
        self.is_gone = False
        self._receive = receive

    async def receive(self) -> Message:
        message = await self._receive()
        self.is_gone = self.is_gone or message["type"] == "http.disconnect"
        return message


class _Reply:
    """What goes to the client: a replica's reply as it is, a bare text of Serve's as an error object."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.started = self.is_busy = False
        self._scope, self._receive, self._send = scope, receive, send
        self._bare: Message | None = None  # the start of a bare text, which is kept back
        self._is_stream = self._is_whole = False
        self._n_events = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            headers = dict(message["headers"])
            kind = headers.get(b"content-type", b"")
            self.is_busy = message["status"] == 429 and (
                BUSY_MARK.encode() in headers or kind.startswith(b"text/plain")
            )
            if message["status"] >= 400 and kind.startswith(b"text/plain"):
                self._bare = message
                return
            self._is_stream = kind.startswith(b"text/event-stream")
            message = {**message, "headers": [*_with_one_id(message["headers"]), (MARK.encode(), b"1")]}
        else:
            self._is_whole = not message.get("more_body", False)
            self._n_events += message.get("body", b"").count(b"event: ")
            if self._bare is not None:
                if self._is_whole:
                    await self.refuse(_in_words(self._bare))
                return
        await self._send(message)

    async def end(self) -> None:
        """Where Serve stopped in the middle of a stream, say so."""
        if self._is_stream and not self._is_whole:
            last = _cut(self._scope["path"], self._n_events)
            await self._send({"type": "http.response.body", "body": last, "more_body": False})

    async def refuse(self, error: ApiError) -> None:
        response = error.response()
        response.headers[MARK] = "1"
        await response(self._scope, self._receive, self._send)


def _with_one_id(headers: Sequence[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The replica's own, which is in its access log: Serve adds another behind it, and clients would join the two."""
    ids = [one for one in headers if one[0].lower() == _ID]
    return [one for one in headers if one[0].lower() != _ID] + ids[:1]


def _is_question(scope: Scope) -> bool:
    path: str = scope["path"]
    return scope["method"] == "POST" and path.endswith(("/chat/completions", "/responses"))


def _steers(name: bytes) -> bool:
    return name.decode("latin-1").lower().replace("-", "_") in _STEERING


def _lost() -> ApiError:
    message = "The replica that worked on it has ended. Ask again."
    return ApiError(503, message, code="replica_lost", retry_after_s=RETRY_AFTER_S)


def _in_words(bare: Message) -> ApiError:
    """Of a reply of Serve's own."""
    status = bare["status"]
    after_s = float(dict(bare["headers"]).get(b"retry-after", RETRY_AFTER_S))
    if status == 404:  # the agents are at every path: Serve has none yet, or none any more
        return ApiError(503, "The server is starting or ending.", code="not_ready", retry_after_s=after_s)
    if status == 408:  # which means a slow body elsewhere; this one waited for us, and would wait as long again
        return ApiError(504, "The question was not answered in time.", code="timeout")
    if status == 429:
        return server_busy(after_s)
    if status == 503:
        return ApiError(503, "The agent is not available right now.", code="unavailable", retry_after_s=after_s)
    return ApiError(status, "The server failed at this request.", code="internal_error")


def _cut(path: str, n_events: int) -> bytes:
    """The last event of a stream that was cut, behind an end of the one within which it was: as its path's protocol has
    it. `n_events`: that came before."""
    error: dict[str, Any] = _lost().body()
    if path.endswith("/responses"):
        said = event({**error["error"], "type": "error", "sequence_number": n_events}, "error")
    else:
        said = event(error)
    return f"\n\n{said}".encode()
