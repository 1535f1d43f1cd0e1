"""A request's body -> a checked model, or the error that says what is wrong with it and where.

It is read whole before its route is called, within a size and a time: a client that sends it byte by byte is cut off
before it holds anything.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from fireact_ray.core.json_text import NotJson, parse
from fireact_ray.serving.errors import ApiError, ClientGone
from fireact_ray.serving.settings import ServingSettings


class JsonRequest(Request):
    """A request whose body is bounded, and whose JSON is read by the one reader of JSON that there is."""

    async def json(self) -> Any:
        """Raises ApiError (400)."""
        halves: list[None] = []
        try:
            value = parse(await self.body(), on_half=lambda: halves.append(None))
        except NotJson as error:
            raise ApiError(400, f"The body is not JSON: {error}.") from None
        if halves:
            raise ApiError(400, "The body holds half a character (a lone surrogate), which is no text.")
        _check_shape(value)
        return value

    async def read(self, settings: ServingSettings) -> None:
        """From here on the body is there. Raises ApiError (408, 411, 413, 415), ClientGone."""
        self._check_announced(settings.max_body_bytes)
        try:
            async with asyncio.timeout(settings.body_timeout_s):
                self._body = await self._whole(settings.max_body_bytes)
        except TimeoutError:
            message = f"The body was not there within {settings.body_timeout_s:g} s."
            raise ApiError(408, message, headers=_CLOSE) from None
        except ClientDisconnect:
            raise ClientGone from None

    def _check_announced(self, most: int) -> None:
        length = self.headers.get("content-length")
        if length is None and "transfer-encoding" not in self.headers:
            raise ApiError(411, "The body's length is missing (Content-Length).")
        if length is not None and (len(length) > _DIGITS or not length.isdecimal() or int(length) > most):
            raise _too_large(most)
        kind = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
            raise ApiError(415, "The body must be JSON: send `Content-Type: application/json`.")
        packed = self.headers.get("content-encoding", "identity").strip().lower()
        if packed != "identity":
            message = f"A body that is packed ('{packed[:40]}') is not read: send it without Content-Encoding."
            raise ApiError(415, message, headers={"accept-encoding": "identity"})

    async def _whole(self, most: int) -> bytes:
        body = bytearray()
        async for chunk in self.stream():
            body += chunk
            if len(body) > most:
                raise _too_large(most)
        return bytes(body)


class JsonRoute(APIRoute):
    """Its handler is given a JsonRequest that has been read. The application's `state.settings` bound it."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        has_body = "POST" in (self.methods or ())

        async def handle_json(request: Request) -> Response:
            asked = JsonRequest(request.scope, request.receive)
            if has_body:
                await asked.read(request.app.state.settings)
            return await handle(asked)

        return handle_json


def _check_shape(value: Any) -> None:
    """Raises ApiError (400) for a value whose checks would hold up everybody else, or that is nested too deeply to be
    written again."""
    level, n_values = [value], 1
    for _ in range(_MOST_DEEP):
        level = [inner for outer in level for inner in _inner(outer)]
        n_values += len(level)
        if n_values > _MOST_VALUES:
            raise ApiError(400, f"The body holds more than {_MOST_VALUES} values.")
        if not level:
            return
    raise ApiError(400, f"The body is nested more than {_MOST_DEEP} levels deep.")


def _inner(value: Any) -> Collection[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def invalid(error: RequestValidationError) -> ApiError:
    """The first problem; its place without the names of alternatives that pydantic tried."""
    problem = error.errors()[0]
    where = ".".join(str(part) for part in problem["loc"][1:] if not _is_alternative(part))[:200]
    unknown = problem["type"] == "extra_forbidden"
    said = "is not known here; it is refused, as it might steer the server" if unknown else _lower(problem["msg"])
    code = "unknown_parameter" if unknown else None
    return ApiError(400, f"{where or 'The body'}: {said}.", param=where or None, code=code)


def _is_alternative(part: int | str) -> bool:
    return isinstance(part, str) and ("[" in part or part in ("str", "int", "float", "bool"))


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def _too_large(most: int) -> ApiError:
    return ApiError(413, f"A body may have {most} bytes.", headers=_CLOSE)


_CLOSE = {"connection": "close"}
_DIGITS = 18  # of a number that any machine counts with
_MOST_VALUES, _MOST_DEEP = 50_000, 64  # of a body
