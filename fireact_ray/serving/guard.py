"""What stands before every route: who calls, and from where, before anything is done for them.

In this order: URL and headers of bounded size, a caller from where one may be, a known Host, no page of another Origin,
a key. What comes with it is the route's matter (`body`). Every reply bears `x-request-id` and the headers that keep a
browser from doing more with it than showing it.
"""

from __future__ import annotations

import asyncio
import re
import time
import uuid
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fireact_ray.serving.errors import ApiError, ClientGone, no_key
from fireact_ray.serving.keys import Keys
from fireact_ray.serving.outcome import failure
from fireact_ray.serving.page.routes import PAGE
from fireact_ray.serving.reply_headers import let_read, secure
from fireact_ray.serving.settings import Access, Hooks, ServingSettings

HEALTH = "/healthz"
# As W3C Trace Context has it: neither id is zero, and no version is ff.
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_GONE = 499  # nginx's word for a client that went away


@dataclass
class Call:
    """What is known of one request on its way; its route adds `model` and `trajectory_id`. In the scope's state.
    `trace_id`: the caller's own, where it sends one as W3C Trace Context spells it."""

    trace_id: str
    traceparent: str = ""
    key: str = ""
    model: str = ""
    trajectory_id: str = ""
    status: int = _GONE
    started: float = field(default_factory=time.monotonic)


class Guard:
    """An ASGI middleware. Without `keys` nobody is asked for one, and all callers are the key ""."""

    def __init__(self, app: ASGIApp, settings: ServingSettings, keys: Keys | None, hooks: Hooks) -> None:
        self._app, self._settings, self._keys, self._hooks = app, settings, keys, hooks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = _TRACEPARENT.fullmatch(headers.get("traceparent", ""))
        call = Call(given[1], given[0]) if given else Call(uuid.uuid4().hex)
        scope.setdefault("state", {})["call"] = call

        async def tell(message: Message) -> None:
            if message["type"] == "http.response.start":
                call.status = message["status"]
                self._mark(MutableHeaders(scope=message), headers, call)
            try:
                async with asyncio.timeout(self._settings.send_timeout_s):
                    await send(message)
            except TimeoutError:
                raise ClientGone from None

        try:
            await self._guarded(scope, headers, receive, tell, call)
        finally:
            self._hooks.on_access(_access(scope, call))

    async def _guarded(self, scope: Scope, headers: Headers, receive: Receive, send: Send, call: Call) -> None:
        try:
            if _is_preflight(scope, headers) and self._is_allowed_elsewhere(headers):
                await _preflight(headers)(scope, receive, send)
                return
            self._check(scope, headers, call)
            await self._app(scope, receive, send)
        except (ClientGone, ClientDisconnect):
            return
        except Exception as error:
            if call.status != _GONE:  # a reply has begun; only its end can say that it is not whole
                raise
            await failure(error, call.trace_id).response()(scope, receive, send)

    def _check(self, scope: Scope, headers: Headers, call: Call) -> None:
        """Raises ApiError."""
        size = sum(len(name) + len(value) + 4 for name, value in scope["headers"])
        size += len(scope.get("raw_path") or b"") + len(scope["query_string"])
        if size > self._settings.max_header_bytes:
            raise ApiError(431, f"URL and headers may have {self._settings.max_header_bytes} bytes together.")
        if _path(scope) != HEALTH:  # whoever checks health does so by address
            self._check_caller(scope)
            self._check_host(headers)
            self._check_origin(headers)
        if self._keys is None or _is_open(scope):
            return
        scheme, _, given = headers.get("authorization", "").partition(" ")
        key = given.strip() if scheme.lower() == "bearer" else ""
        name = self._keys.name_of(key) if key else None  # whatever a file of keys holds: no key is nobody's
        if name is None:
            raise no_key(was_sent=bool(key))
        call.key = name

    def _check_caller(self, scope: Scope) -> None:
        """`client` is the other end of the connection, or whom a proxy of this machine says that it asks for."""
        client = scope.get("client")
        if self._settings.only_this_machine and client is not None and not _is_loopback(client[0]):
            message = "Without keys (serve.api_key_env, serve.keys_file) this server answers its own machine only."
            raise ApiError(403, message, code="not_local")

    def _check_host(self, headers: Headers) -> None:
        allowed = self._settings.allowed_hosts
        if "*" not in allowed and _without_port(headers.get("host", "")) not in allowed:
            raise ApiError(400, "This server is not known by that name (Host).", code="host_not_allowed")

    def _check_origin(self, headers: Headers) -> None:
        """A page in somebody's browser may call where it came from here, or where the server's owner allows it."""
        origin = headers.get("origin")
        if origin is None or self._is_allowed_elsewhere(headers):
            return
        if _netloc(origin) != headers.get("host", ""):
            raise ApiError(403, "Pages of that origin may not call this server.", code="origin_not_allowed")

    def _is_allowed_elsewhere(self, headers: Headers) -> bool:
        return headers.get("origin", "") in self._settings.allowed_origins

    def _mark(self, reply: MutableHeaders, asked: Headers, call: Call) -> None:
        reply["x-request-id"] = call.trace_id
        secure(reply)
        if self._is_allowed_elsewhere(asked):
            let_read(reply, asked["origin"])


def _preflight(asked: Headers) -> Response:
    """Any header may be sent: SDKs have several of their own (x-stainless-os), and those not known here do nothing."""
    headers = {
        "access-control-allow-methods": "GET, POST",
        "access-control-allow-headers": asked.get("access-control-request-headers", "authorization, content-type"),
        "access-control-max-age": "600",
    }
    return Response(status_code=204, headers=headers)


def _is_open(scope: Scope) -> bool:
    """Health, and the page, which holds nothing of anybody and asks its reader for the key."""
    path = _path(scope)
    return path == HEALTH or (scope["method"] in ("GET", "HEAD") and path == PAGE)


def _path(scope: Scope) -> str:
    """As routes spell it, wherever the application is mounted."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


def _is_loopback(address: str) -> bool:
    return address == "::1" or address.removeprefix("::ffff:").startswith("127.")


def _netloc(origin: str) -> str | None:
    """None for what is no address."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None


def _is_preflight(scope: Scope, headers: Headers) -> bool:
    return scope["method"] == "OPTIONS" and "access-control-request-method" in headers


def _without_port(host: str) -> str:
    return re.sub(r":\d*$", "", host).lower()


def _access(scope: Scope, call: Call) -> Access:
    route = scope.get("route")
    return Access(
        trace_id=call.trace_id,
        method=scope["method"],
        path=getattr(route, "path", ""),
        status=call.status,
        seconds=time.monotonic() - call.started,
        key=call.key,
        model=call.model,
        trajectory_id=call.trajectory_id,
    )
