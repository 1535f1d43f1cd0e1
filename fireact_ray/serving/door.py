"""What stands in a replica, before its application."""

from __future__ import annotations

from collections.abc import Callable

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fireact_ray.serving.edge_reply import APP, RETRY_AFTER_S
from fireact_ray.serving.errors import ApiError


class Door:
    """ASGI middleware. Once `is_open` says no, it takes no more questions and lets those inside end. `name`: of the
    application in Serve, which proxies learn from replies."""

    def __init__(self, app: ASGIApp, is_open: Callable[[], bool], name: str) -> None:
        self._app, self._is_open, self._name = app, is_open, name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def tell(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[APP] = self._name
            await send(message)

        if scope["method"] == "POST" and not self._is_open():
            error = ApiError(503, "The server is ending: it takes no more questions.", retry_after_s=RETRY_AFTER_S)
            await error.response()(scope, receive, tell)
            return
        await self._app(scope, receive, tell)
