"""Everything that a server refuses or cannot do, as OpenAI's error object with its status.

{"error": {"message": "...", "type": "invalid_request_error", "param": "messages", "code": "context_length_exceeded"}}

What OpenAI's SDK does with a status is part of the choice: it asks again after 408, 409, 429 and 5xx, and heeds
`Retry-After` and `x-should-retry`. So only what may go better the next time has a status that is tried again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from starlette.responses import JSONResponse

INVALID = "invalid_request_error"
BUSY, BUSY_MARK = "server_busy", "x-fireact-busy"  # the header tells proxies that it is no key's own limit
_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


class ErrorObject(BaseModel):
    message: str
    type: str
    param: str | None
    code: str | None


class ErrorReply(BaseModel):
    """What every refusal is, for the schema. `fireact`: what the agent did until then, where it had begun."""

    error: ErrorObject
    fireact: dict[str, Any] | None = None


class ApiError(Exception):
    """`message`: one sentence or two for the caller, without anything of ours in it. `retry_after_s`: when it may go
    better. `fireact`: what the agent did until then."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        retry_after_s: float | None = None,
        headers: Mapping[str, str] | None = None,
        fireact: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.param, self.code = status, message, param, code
        self.retry_after_s, self.headers, self.fireact = retry_after_s, dict(headers or {}), fireact

    @property
    def type(self) -> str:
        return _TYPES.get(self.status, INVALID if self.status < 500 else "server_error")

    def body(self) -> dict[str, Any]:
        error = ErrorObject(message=self.message, type=self.type, param=self.param, code=self.code)
        return ErrorReply(error=error, fireact=self.fireact).model_dump(exclude=None if self.fireact else {"fireact"})

    def response(self) -> JSONResponse:
        headers = dict(self.headers)
        if self.retry_after_s is not None:
            headers["retry-after"] = str(max(1, math.ceil(self.retry_after_s)))
        elif self.status >= 500 or self.status == 429:
            headers["x-should-retry"] = "false"
        return JSONResponse(self.body(), self.status, headers)


class ClientGone(Exception):
    """Nobody is there any more to be told anything."""


def server_busy(retry_after_s: float) -> ApiError:
    message = "The server has as many questions as it can take. Come again a little later."
    return ApiError(429, message, code=BUSY, retry_after_s=retry_after_s, headers={BUSY_MARK: "1"})


def no_key(was_sent: bool) -> ApiError:
    """`was_sent`: one that nobody has."""
    message = "The key is not known here." if was_sent else "A key is needed: send it as `Authorization: Bearer <key>`."
    headers = {"www-authenticate": 'Bearer realm="fireact_ray"'}
    return ApiError(401, message, code="invalid_api_key", headers=headers)


def unknown_model(model: str, known: list[str]) -> ApiError:
    message = f"The model '{model[:100]}' is not served here. Known: {', '.join(known)}."
    return ApiError(404, message, param="model", code="model_not_found")


def internal(trace_id: str) -> ApiError:
    """Nothing of the fault itself goes out: who runs the server finds it in the log by the id."""
    return ApiError(500, f"The server failed at this request; it is logged under {trace_id}.", code="internal_error")
