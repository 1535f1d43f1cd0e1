"""POST /v1/chat/completions: the route, and a run as a stream of chunks."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from fastapi import FastAPI, Request
from starlette.responses import JSONResponse, Response

from fireact_ray.core.types import Step
from fireact_ray.serving.chat_reply import ChunkWriter, completion_body
from fireact_ray.serving.chat_request import ChatRequest
from fireact_ray.serving.delivery import call_of, streamed, until_gone
from fireact_ray.serving.runs import Ended, Silence
from fireact_ray.serving.service import Ask, Failed, Service
from fireact_ray.serving.sse import DONE, SILENT, event

ROUTE = "/v1/chat/completions"


def add_chat(app: FastAPI, service: Service) -> None:
    @app.post(ROUTE, response_model=None)
    async def chat(body: ChatRequest, request: Request) -> Response:
        ask = service.ask(body, call_of(request), ROUTE, "messages")
        if body.stream:
            include_usage = bool(body.stream_options and body.stream_options.include_usage)
            return await streamed(_chunks(service, ask, ChunkWriter(body.model, include_usage)))
        ended = await until_gone(request.receive, service.whole(ask))
        return JSONResponse(completion_body(ended, body.model, ask.extension(ended)))


async def _chunks(service: Service, ask: Ask, chunks: ChunkWriter) -> AsyncGenerator[str, None]:
    async with aclosing(service.events(ask)) as happened:
        await anext(happened)
        yield chunks.start()
        async for what in happened:
            match what:
                case Step():
                    yield chunks.step(what)
                case Silence():
                    yield SILENT
                case Ended():
                    yield chunks.end(what, ask.extension(what))
                case Failed(error):
                    yield event(error.body())
    yield DONE
