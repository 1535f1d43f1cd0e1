"""POST /v1/responses: the route, and a run as a stream of typed events."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from fastapi import FastAPI, Request
from starlette.responses import JSONResponse, Response

from fireact_ray.core.types import Step
from fireact_ray.serving.delivery import call_of, streamed, until_gone
from fireact_ray.serving.responses_reply import Event, ResponseWriter
from fireact_ray.serving.responses_request import ResponsesRequest
from fireact_ray.serving.runs import Ended, Replied, Silence
from fireact_ray.serving.service import Ask, Failed, Service
from fireact_ray.serving.sse import DONE, SILENT, event

ROUTE = "/v1/responses"


def add_responses(app: FastAPI, service: Service) -> None:
    @app.post(ROUTE, response_model=None)
    async def responses(body: ResponsesRequest, request: Request) -> Response:
        ask = service.ask(body, call_of(request), ROUTE, "input")
        writer = ResponseWriter(body.model, echo(body, ask), ask.granted.agent.price)
        events = _events(service, ask, writer)
        if body.stream:
            return await streamed(_told(events))
        return JSONResponse(await until_gone(request.receive, _last(events)))


async def _events(service: Service, ask: Ask, writer: ResponseWriter) -> AsyncGenerator[Event | Failed | Silence, None]:
    """A Failed behind the event that tells of it."""
    async with aclosing(service.events(ask)) as happened:
        await anext(happened)
        for told in writer.start():
            yield told
        async for what in happened:
            match what:
                case Silence():
                    yield what
                case _:
                    for told in _written(what, ask, writer):
                        yield told
            if isinstance(what, Failed):
                yield what


def _written(what: Replied | Step | Ended | Failed, ask: Ask, writer: ResponseWriter) -> list[Event]:
    match what:
        case Replied():
            return writer.replied(what)
        case Step():
            return writer.step(what)
        case Ended():
            return writer.end(what, ask.extension(what))
        case Failed(error, ended):
            return writer.fail(error, ended, ask.extension(ended) if ended is not None else {})


async def _told(events: AsyncGenerator[Event | Failed | Silence, None]) -> AsyncGenerator[str, None]:
    async with aclosing(events):
        async for told in events:
            match told:
                case Silence():
                    yield SILENT
                case dict():
                    yield event(told, told["type"])
    yield DONE


async def _last(events: AsyncGenerator[Event | Failed | Silence, None]) -> dict[str, Any]:
    """The response at its end. Raises ApiError: where nothing is streamed yet, a fault has a status of its own."""
    response: dict[str, Any] = {}
    async with aclosing(events):
        async for told in events:
            if isinstance(told, Failed):
                raise told.error
            if isinstance(told, dict):
                response = told.get("response", response)
    return response


def echo(request: ResponsesRequest, ask: Ask) -> dict[str, Any]:
    """What a response repeats of its request, with the values that hold: the agent has its tools, clients none."""
    sampling = ask.granted.agent.sampling
    return {
        "instructions": request.instructions,
        "max_output_tokens": request.max_output_tokens,
        "max_tool_calls": request.max_tool_calls,
        "metadata": request.metadata or {},
        "parallel_tool_calls": bool(request.parallel_tool_calls),
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "temperature": sampling.temperature,
        "top_p": 1.0,
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
        "top_logprobs": 0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "truncation": request.truncation or "disabled",
        "store": False,
        "background": False,
        "service_tier": "default",
        "user": request.user,
        "safety_identifier": request.safety_identifier,
        "prompt_cache_key": request.prompt_cache_key,
    }
