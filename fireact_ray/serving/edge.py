"""What stands in Ray Serve's HTTP proxies, before any replica: every request is answered, in OpenAI's shape.

Serve answers in bare text where a request reaches no replica (too many wait, none is ready, none is left), and not at
all where its replica dies. Here that becomes an error object with Retry-After; a question whose replica died before its
first byte is asked again, as it has no side effect; a stream that was cut ends with an event. A body is read here, up
to its limit and in time, so that a slow client holds no place at a replica. Where the replicas take no more questions,
the next ones are refused here. Headers by which clients could switch off Serve's time limit or its heed of disconnects
are not passed on, and Serve's list of routes, which wants no key, is told nobody.

Questions go to a replica directly (`hop`), once a reply that came by Serve has told whose path it is; what else there
is goes by Serve, as do questions while no replica is known.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
import time
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

import aiohttp
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fireact_ray.serving.delivery import until_gone
from fireact_ray.serving.edge_reply import RETRY_AFTER_S, Refusals, Reply, lost
from fireact_ray.serving.errors import ApiError, ClientGone, server_busy
from fireact_ray.serving.hop import Place, ReplicaLost, at, forward, new_session
from fireact_ray.serving.room import Room

MAX_BODY_BYTES = 1 << 20
BODY_S = 15.0

_TRIES = 3
_PAUSE_S = 0.2  # before the second try, and twice as long before the third
_LEARNT_S = 30.0  # for which a path is taken to be the same application's
_HEALTH, _ROUTES = "/-/healthz", "/-/routes"  # that Serve's proxies answer themselves
_STEERING = {"x_request_timeout_seconds", "x_request_disconnect_disabled", "serve_multiplexed_model_id"}

logger = logging.getLogger(__name__)


class Agents(Protocol):
    """Where the replicas of applications are."""

    async def places(self, app: str) -> Collection[Place]:
        """Those of an application; none where none is known, at once."""

    def forget(self, app: str, place: Place) -> None:
        """It is gone, or about to go."""


class Edge:
    """ASGI middleware. `agents` None: everything goes by Serve. `counted`: entered for as long as a request goes
    directly, which Serve knows nothing of. `refused`: told the status of what no replica has answered."""

    def __init__(
        self,
        app: ASGIApp,
        agents: Agents | None = None,
        max_body_bytes: int = MAX_BODY_BYTES,
        body_s: float = BODY_S,
        *,
        counted: Callable[[], AbstractContextManager[None]] = nullcontext,
        refused: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._app, self._agents, self._counted = app, agents, counted
        self._max_body_bytes, self._body_s, self._refusals = max_body_bytes, body_s, Refusals(refused)
        self._room = Room()
        self._learnt: dict[str, tuple[str, float]] = {}  # path -> whose it is, and when that was seen
        self._session: aiohttp.ClientSession | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or _path(scope) == _HEALTH:
            await self._app(scope, receive, send)
            return
        scope = {**scope, "headers": [(name, value) for name, value in scope["headers"] if not _steers(name)]}
        reply = Reply(scope, receive, send, self._refusals)
        try:
            if _path(scope) == _ROUTES:  # it would tell anybody, and wants no key
                raise ApiError(404, f"There is nothing at {_ROUTES}.")
            body = await self._body(scope, receive)
            if _is_question(scope):
                await self._ask(scope, body, receive, reply)
            else:
                await self._by_serve(scope, body, receive, reply)
        except ApiError as error:
            await reply.refuse(error)
        except ClientGone:
            return

    async def _ask(self, scope: Scope, body: bytes, receive: Receive, reply: Reply) -> None:
        """Raises ApiError also where the replicas have just said that they take no more."""
        if not await self._room.admits():
            raise server_busy(RETRY_AFTER_S)
        with self._room.one():
            if not await self._directly(scope, body, receive, reply):
                await self._by_serve(scope, body, receive, reply)
            if reply.is_busy:
                self._room.refused()

    async def _directly(self, scope: Scope, body: bytes, receive: Receive, reply: Reply) -> bool:
        """Whether that is all: the reply, or what came of it, has gone out, or the client has gone away."""
        app, seen_at = self._learnt.get(scope["path"], ("", -math.inf))
        if self._agents is None or time.monotonic() - seen_at > _LEARNT_S:
            return False
        for _ in range(_TRIES):
            if not (places := await self._agents.places(app)):
                return False
            place = min(places, key=lambda one: (one.n, random.random()))
            try:
                with at(place), self._counted():
                    await until_gone(receive, self._forwarded(place, scope, body, reply))
            except ReplicaLost as error:
                logger.warning("the agent replica at %s:%d %s", place.address.host, place.address.port, error)
                self._agents.forget(app, place)
            except ClientGone:
                return True
            if reply.started:
                await reply.end()
                return True
        return False

    async def _forwarded(self, place: Place, scope: Scope, body: bytes, reply: Reply) -> None:
        if self._session is None:
            self._session = new_session()
        try:
            async with asyncio.timeout(place.longest_s):
                await forward(self._session, place, scope, body, reply.send)
        except TimeoutError:
            if reply.started:
                raise ReplicaLost(f"did not end its reply within {place.longest_s:g} s") from None
            raise ApiError(504, "The question was not answered in time.", code="timeout") from None

    async def _by_serve(self, scope: Scope, body: bytes, receive: Receive, reply: Reply) -> None:
        """Raises ApiError where no replica says anything."""
        for attempt in range(_TRIES):
            client = _Client(body, receive)
            await self._app(scope, client.receive, reply.send)
            if reply.app is not None and reply.status == 200 and _is_question(scope):
                self._learnt[scope["path"]] = reply.app, time.monotonic()
            if client.is_gone:
                return
            if reply.started:
                await reply.end()
                return
            logger.warning("a replica ended before it answered, try %d of %d", attempt + 1, _TRIES)
            await asyncio.sleep(_PAUSE_S * (attempt + 1))
        raise lost()

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        """Raises ApiError (408, 413), and ClientGone."""
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if declared.isdigit() and int(declared[:20]) > self._max_body_bytes:
            raise self._too_large()
        body, more = bytearray(), True
        try:
            async with asyncio.timeout(self._body_s):
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise ClientGone
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


class _Client:
    """Its body, and what it does then. Hears whether it goes away."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self.is_gone = False
        self._first: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
        self._receive = receive

    async def receive(self) -> Message:
        message = self._first.pop() if self._first else await self._receive()
        self.is_gone = self.is_gone or message["type"] == "http.disconnect"
        return message


def _is_question(scope: Scope) -> bool:
    path: str = scope["path"]
    return scope["method"] == "POST" and path.endswith(("/chat/completions", "/responses"))


def _path(scope: Scope) -> str:
    """As Serve's proxies look at it."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


def _steers(name: bytes) -> bool:
    return name.decode("latin-1").lower().replace("-", "_") in _STEERING
