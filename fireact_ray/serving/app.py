"""The HTTP face of an agent, as a FastAPI application; it runs under Ray Serve or any ASGI server.

POST /v1/chat/completions   OpenAI's protocol, streaming or not; the last user message is the question
POST /v1/agent/run          {"question": ...} -> server-sent events: one `step` each, then the `trajectory`
GET  /v1/models, GET /health
"""

from __future__ import annotations

import hmac
from collections.abc import AsyncIterator, Awaitable, Callable

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.responses import Response

from fireact_ray.agent.agent import Agent
from fireact_ray.core.hashing import content_hash
from fireact_ray.core.types import Question, StopReason, Trajectory
from fireact_ray.serving.chat_api import (
    MAX_QUESTION_CHARS,
    ChatRequest,
    ChunkWriter,
    RunRequest,
    completion_body,
    error_body,
    sse,
)

MAX_BODY_BYTES = 1 << 20
_OPEN_PATHS = {"/health"}
_NO_REPLY = "The model gave no usable reply."


def build_app(agent: Agent, model_name: str, api_key: str | None = None) -> FastAPI:
    """Serve `agent` under the model id `model_name`. With `api_key`, all but /health want it as bearer token."""
    app = FastAPI(title="fireact_ray agent", docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/v1/models")
    async def models() -> dict[str, object]:
        return {"object": "list", "data": [{"id": model_name, "object": "model", "owned_by": "fireact_ray"}]}

    @app.post("/v1/chat/completions", response_model=None)
    async def chat(request: ChatRequest) -> Response:
        if request.model != model_name:
            return _error(404, f"Model '{request.model}' is not served here. Known: {model_name}.", "model")
        text = request.question
        if not text or len(text) > MAX_QUESTION_CHARS:
            wanted = f"a question of 1 to {MAX_QUESTION_CHARS} characters"
            return _error(400, f"The last user message must hold {wanted}.", "messages")
        if request.stream:
            include_usage = request.stream_options is not None and request.stream_options.include_usage
            return _event_stream(_chat_events(agent, _question(text), ChunkWriter(model_name, include_usage)))
        trajectory = await agent.run(_question(text))
        if trajectory.stop_reason is StopReason.MODEL_ERROR:
            return _error(502, _NO_REPLY, None, "server_error")
        return JSONResponse(completion_body(trajectory, model_name))

    @app.post("/v1/agent/run", response_model=None)
    async def run(request: RunRequest) -> Response:
        return _event_stream(_run_events(agent, _question(request.question)))

    @app.middleware("http")
    async def guard(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        """Nothing is read before the caller is known and the body's size bounded."""
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        if api_key is not None and request.url.path not in _OPEN_PATHS and not _same(given, api_key):
            return _error(401, "Send the API key as a bearer token.", None, "authentication_error")
        length = request.headers.get("content-length", "")
        if request.method == "POST" and not (length.isdigit() and int(length) <= MAX_BODY_BYTES):
            return _error(413, f"The body must have a length of at most {MAX_BODY_BYTES} bytes.", None)
        return await call_next(request)

    app.exception_handler(RequestValidationError)(_invalid)
    return app


async def _chat_events(agent: Agent, question: Question, chunks: ChunkWriter) -> AsyncIterator[str]:
    async for event in agent.stream(question):
        if not isinstance(event, Trajectory):
            yield chunks.step(event)
        elif event.stop_reason is StopReason.MODEL_ERROR:
            yield sse(error_body(_NO_REPLY, "server_error"))  # an event, never a silent end
        else:
            yield chunks.end(event)


async def _run_events(agent: Agent, question: Question) -> AsyncIterator[str]:
    async for event in agent.stream(question):
        yield sse(event.to_dict(), "trajectory" if isinstance(event, Trajectory) else "step")


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    problem = error.errors()[0] if isinstance(error, RequestValidationError) else {"loc": (), "msg": "invalid"}
    where = ".".join(str(part) for part in problem["loc"][1:])
    return _error(400, f"{where or 'body'}: {problem['msg']}", where or None)


def _error(status: int, message: str, param: str | None, kind: str = "invalid_request_error") -> JSONResponse:
    return JSONResponse(error_body(message, kind, param), status_code=status)


def _event_stream(events: AsyncIterator[str]) -> StreamingResponse:
    return StreamingResponse(events, media_type="text/event-stream", headers={"Cache-Control": "no-store"})


def _same(given: str, key: str) -> bool:
    return hmac.compare_digest(given.encode(), key.encode())


def _question(text: str) -> Question:
    return Question(task="served", id=content_hash(text), text=text, answers=())
