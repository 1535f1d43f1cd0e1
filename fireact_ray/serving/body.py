"""A request's body -> a checked model, or the 400 that says what is wrong with it and where."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.responses import Response

from fireact_ray.core.json_text import NotJson, parse
from fireact_ray.serving.errors import ApiError


class JsonRequest(Request):
    """A request whose JSON is read by the one reader of JSON that there is."""

    async def json(self) -> Any:
        """Raises ApiError (400)."""
        halves: list[None] = []
        try:
            value = parse(await self.body(), on_half=lambda: halves.append(None))
        except NotJson as error:
            raise ApiError(400, f"The body is not JSON: {error}.") from None
        if halves:
            raise ApiError(400, "The body holds half a character (a lone surrogate), which is no text.")
        return value


class JsonRoute(APIRoute):
    """Its handler is given a JsonRequest."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_json(request: Request) -> Response:
            return await handle(JsonRequest(request.scope, request.receive))

        return handle_json


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
