"""The HTTP face of agents, as a FastAPI application; it runs under Ray Serve or any ASGI server.

    POST /v1/chat/completions   OpenAI's chat protocol, streaming or not
    POST /v1/responses          OpenAI's Responses protocol: an item per thought and search, then the message
    GET  /v1/models             the agents; each is a model id
    GET  /v1/models/{model}     one of them
    /mcp                        the agents and their search as tools of an MCP server (where `settings.mcp` says so)
    POST /retrieve              the agents' search, with Search-R1's interface (where `search` is given)
    GET  /healthz               200 once engine and search answer, 503 until then; wants no key
    GET  /                      the page; wants no key, as it holds nothing of anybody
    GET  /v1/page               what the page offers: a title, and questions to begin with
    GET  /openapi.json          all of this as a schema

With keys, everything else wants one as bearer token. Errors are OpenAI's error object, whatever goes wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from functools import partial

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from fireact_ray.agent.agent import Agent
from fireact_ray.agent.tools.base import SearchBackend
from fireact_ray.core.errors import InputError
from fireact_ray.serving.body import JsonRoute, invalid
from fireact_ray.serving.chat_api import add_chat
from fireact_ray.serving.errors import ApiError, ErrorReply
from fireact_ray.serving.guard import HEALTH, Guard
from fireact_ray.serving.health import Probe
from fireact_ray.serving.keys import Keys
from fireact_ray.serving.models_api import add_models
from fireact_ray.serving.page.routes import add_page
from fireact_ray.serving.responses_api import add_responses
from fireact_ray.serving.retrieve_api import add_retrieve
from fireact_ray.serving.service import Service
from fireact_ray.serving.settings import Hooks, ServingSettings
from fireact_ray.serving.spans import with_spans

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]

_DEFAULTS, _NO_HOOKS = ServingSettings(), Hooks()


def build_app(
    agents: Mapping[str, Agent],
    settings: ServingSettings = _DEFAULTS,
    keys: Keys | None = None,
    *,
    hooks: Hooks = _NO_HOOKS,
    search: SearchBackend | None = None,
) -> FastAPI:
    """Serve each agent under its model id. `keys` None: nobody is asked for one. `search`: what /retrieve searches.

    Raises InputError for `settings.mcp` without its SDK.
    """
    service = Service(agents, settings, with_spans(hooks))
    lifespan, add_tools = _mcp(service, search) if settings.mcp else (None, None)
    app = FastAPI(
        title="fireact_ray",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
        responses={status: {"model": ErrorReply} for status in ("4XX", "5XX")},
    )
    app.router.route_class = JsonRoute
    app.state.settings = settings
    add_chat(app, service)
    add_responses(app, service)
    add_models(app, service)
    if search is not None:
        add_retrieve(app, service, search)
    if add_tools is not None:
        add_tools(app)

    probe = Probe(hooks)

    @app.head(HEALTH, include_in_schema=False)
    @app.get(HEALTH)
    async def healthz() -> Response:
        return await probe.reply(settings.retry_after_s)

    add_page(app, settings.page)
    app.exception_handler(ApiError)(_refused)
    app.exception_handler(RequestValidationError)(_invalid)
    app.exception_handler(HTTPException)(_http)
    app.add_middleware(Guard, settings=settings, keys=keys, hooks=hooks)
    return app


def _mcp(service: Service, search: SearchBackend | None) -> tuple[Lifespan, Callable[[FastAPI], None]]:
    """What must run around the application, and what adds its route. Raises InputError where the SDK is missing."""
    try:
        from fireact_ray.serving.mcp_server import add_mcp, lifespan_of, mcp_server
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != "mcp":
            raise
        raise InputError("Serving MCP needs its SDK, which is not installed: pip install 'fireact-ray[mcp]'.") from None
    server = mcp_server(service, search)
    return lifespan_of(server), partial(add_mcp, server=server, max_body_bytes=service.settings.max_body_bytes)


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return error.response()


async def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return invalid(error).response()


async def _http(request: Request, error: Exception) -> Response:
    """No such route, no such method; and what was wrong with a body, which FastAPI hides in an error of its own."""
    assert isinstance(error, HTTPException)
    if isinstance(error.__cause__, ApiError):
        return error.__cause__.response()
    message, path = error.detail, request.url.path[:100]
    if error.status_code == 404:
        message = f"There is nothing at {path}. An SDK's base URL ends with /v1; /openapi.json says what there is."
    elif error.status_code == 405:
        message = f"{path} takes {(error.headers or {}).get('Allow', 'other methods')}, not {request.method[:20]}."
    return ApiError(error.status_code, message, headers=error.headers).response()
