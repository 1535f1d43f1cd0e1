"""From a proxy to the replica that answers, over a connection of its own: by Ray Serve a request takes several times as
long.

A replica listens beside Serve (`OwnServer`) and answers whoever knows its token.
"""

from __future__ import annotations

import hmac
import secrets
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import aiohttp
import uvicorn
from multidict import CIMultiDict
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from yarl import URL

from fireact_ray.core.net.rpc_wire import Address

LEAVING = "x-fireact-leaving"  # of a refusal: ask another replica, this one is about to stop

_TOKEN, _CLIENT = b"x-fireact-token", b"x-fireact-client"
_CONNECT_S = 5.0
# After which a connection is closed: by the end that asks, long before the other one would.
_IDLE_S, _KEPT_S = 30.0, 3600
_OF_A_CONNECTION = {
    b"connection", b"keep-alive", b"transfer-encoding", b"content-length", b"te", b"trailer", b"upgrade", b"expect",
    b"proxy-connection", _TOKEN, _CLIENT,
}  # fmt: skip
_NOT_ADDED = ("accept", "accept-encoding", "user-agent", "content-type")


class ReplicaLost(Exception):
    """It is gone, or takes nothing more. The text goes on from its name: "is gone"."""


@dataclass(eq=False)
class Place:
    """A replica as one proxy knows it. `longest_s`: that an answer may take. `n`: requests of this proxy there."""

    address: Address
    longest_s: float
    n: int = 0

    async def close(self) -> None:
        """Connections are the session's."""


def new_session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_IDLE_S),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        skip_auto_headers=_NOT_ADDED,
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S),
    )


async def forward(session: aiohttp.ClientSession, place: Place, scope: Scope, body: bytes, send: Send) -> None:
    """The replica's reply, as it comes. Raises ReplicaLost, also in the middle."""
    address = place.address
    query = scope["query_string"].decode("latin-1")
    path = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1")
    url = URL(f"http://{_authority(address)}{path}{'?' if query else ''}{query}", encoded=True)
    headers = CIMultiDict((name.decode("latin-1"), _text(value)) for name, value in _passed(scope["headers"]))
    headers[_TOKEN.decode()] = address.token
    headers[_CLIENT.decode()] = " ".join(map(str, scope.get("client") or ()))
    try:
        async with session.request(
            scope["method"], url, headers=headers, data=body or None, allow_redirects=False
        ) as reply:
            if LEAVING in reply.headers:
                raise ReplicaLost("is about to stop")
            told = [(name.lower(), value) for name, value in reply.raw_headers]
            kept = [one for one in told if one[0] == b"content-length" or one[0] not in _OF_A_CONNECTION]
            await send({"type": "http.response.start", "status": reply.status, "headers": kept})
            async for part in reply.content.iter_any():
                await send(_part(part, more=True))
    except aiohttp.ClientError as error:
        raise ReplicaLost(f"is gone ({type(error).__name__})") from None
    await send(_part(b"", more=False))


class OwnServer:
    """A replica's own HTTP server, beside the one that Serve has for the same application.

    `is_leaving`: then it refuses, so that another replica is asked. `work`: entered for as long as a request is here.
    """

    def __init__(
        self, app: ASGIApp, is_leaving: Callable[[], bool], work: Callable[[], AbstractContextManager[None]]
    ) -> None:
        self._app, self._is_leaving, self._work = app, is_leaving, work
        self._token = secrets.token_hex(16)
        self._address: Address | None = None

    async def address(self, host: str) -> Address:
        """Listens on a free port of `host` from the first time on."""
        if self._address is None:
            listening = socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
            self._address = Address(host, listening.getsockname()[1], self._token)
            config = uvicorn.Config(
                self._entered,
                interface="asgi3",  # which uvicorn does not see of a method
                lifespan="off",  # Serve has begun it
                log_config=None,
                log_level="critical",
                access_log=False,
                proxy_headers=False,
                server_header=False,
                date_header=False,
                timeout_keep_alive=_KEPT_S,
            )
            config.load()
            server = uvicorn.Server(config)
            server.lifespan = config.lifespan_class(config)
            await server.startup([listening])
        return self._address

    async def _entered(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A request of `forward` becomes the one that the proxy has; all others are refused."""
        given = dict(scope["headers"])
        if scope["type"] != "http" or not hmac.compare_digest(given.get(_TOKEN, b""), self._token.encode()):
            await Response(status_code=403)(scope, receive, send)
            return
        if self._is_leaving():
            await Response(status_code=503, headers={LEAVING: "1"})(scope, receive, send)
            return
        headers = [one for one in scope["headers"] if one[0] not in (_TOKEN, _CLIENT)]
        host, _, port = given.get(_CLIENT, b"").decode("latin-1").rpartition(" ")
        client = (host, int(port)) if port.isdigit() else None
        with self._work():
            await self._app({**scope, "headers": headers, "client": client}, receive, send)


@contextmanager
def at(place: Place) -> Iterator[None]:
    place.n += 1
    try:
        yield
    finally:
        place.n -= 1


def _passed(headers: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
    return (one for one in headers if one[0].lower() not in _OF_A_CONNECTION)


def _text(value: bytes) -> str:
    """What aiohttp writes as the same bytes, for whatever is UTF-8."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _authority(address: Address) -> str:
    return f"[{address.host}]:{address.port}" if ":" in address.host else f"{address.host}:{address.port}"


def _part(body: bytes, more: bool) -> Message:
    return {"type": "http.response.body", "body": body, "more_body": more}
