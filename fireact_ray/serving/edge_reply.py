"""What goes from Serve's proxies to clients: a replica's reply as it is, an error object for a bare text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope, Send

from fireact_ray.serving.errors import BUSY_MARK, ApiError, server_busy
from fireact_ray.serving.reply_headers import ALLOWED, let_read, secure
from fireact_ray.serving.sse import event

MARK = "x-fireact-edge"  # a header of every reply that came by here
APP = "x-fireact-app"  # of a replica's reply: the application of Serve that it belongs to
RETRY_AFTER_S = 2.0

_ID = b"x-request-id"


@dataclass(frozen=True)
class Refusals:
    """What a proxy refuses by itself. `told`: the status of each; `origins`: of pages that may read them, as the
    replicas' replies taught it."""

    told: Callable[[int], None] = lambda _: None
    origins: set[str] = field(default_factory=set)


class Reply:
    """To one request. `app`: of the replica that answered, where it said so."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, refusals: Refusals) -> None:
        self.started = self.is_busy = False
        self.app: str | None = None
        self.status = 0
        self._scope, self._receive, self._send, self._refusals = scope, receive, send, refusals
        self._bare: Message | None = None  # the start of a bare text, which is kept back
        self._is_stream = self._is_whole = False
        self._n_events = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started, self.status = True, message["status"]
            headers = dict(message["headers"])
            kind = headers.get(b"content-type", b"")
            self.is_busy = message["status"] == 429 and (
                BUSY_MARK.encode() in headers or kind.startswith(b"text/plain")
            )
            if message["status"] >= 400 and kind.startswith(b"text/plain"):
                self._bare = message
                return
            self.app = headers.get(APP.encode(), b"").decode() or None
            if self.app is not None and ALLOWED.encode() in headers:
                self._refusals.origins.add(headers[ALLOWED.encode()].decode("latin-1"))
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
        response, origin = error.response(), Headers(scope=self._scope).get("origin", "")
        response.headers[MARK] = "1"
        secure(response.headers)
        if origin in self._refusals.origins:
            let_read(response.headers, origin)
        self._refusals.told(error.status)
        await response(self._scope, self._receive, self._send)


def _with_one_id(headers: Sequence[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The replica's own, which is in its access log: Serve adds another behind it, and clients would join the two."""
    ids = [one for one in headers if one[0].lower() == _ID]
    return [one for one in headers if one[0].lower() not in (_ID, APP.encode())] + ids[:1]


def lost() -> ApiError:
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
    error: dict[str, Any] = lost().body()
    if path.endswith("/responses"):
        said = event({**error["error"], "type": "error", "sequence_number": n_events}, "error")
    else:
        said = event(error)
    return f"\n\n{said}".encode()
