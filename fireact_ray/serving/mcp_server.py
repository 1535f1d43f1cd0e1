"""The agents and their search as tools of an MCP server, by the official SDK (the extra `mcp`), at /mcp.

    search(query, n)         what the agents' search finds
    ask(question, model)     the answer of an agent, with how it came to it

It is served over streamable HTTP without sessions, behind the same guard, keys and rates as all else. Imported only
where a server has it: the SDK is no dependency.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import FastAPI
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError as McpError
from mcp.server.transport_security import TransportSecuritySettings
from pydantic import Field
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from fireact_ray.agent.tools.base import SearchBackend
from fireact_ray.serving.conversation import Said
from fireact_ray.serving.guard import Call
from fireact_ray.serving.outcome import failure
from fireact_ray.serving.retrieve_api import MOST_QUERY_CHARS, RetrieveRequest, found
from fireact_ray.serving.service import Service
from fireact_ray.serving.usage import extension
from fireact_ray.serving.wishes import Wishes

PATH = "/mcp"
Query = Annotated[str, Field(max_length=MOST_QUERY_CHARS)]
NHits = Annotated[int, Field(ge=1, le=20)]


@dataclass(frozen=True)
class _Asked:
    """A question, as a request of this protocol."""

    model: str
    question: str

    def said(self) -> list[Said]:
        return [Said("User", self.question)]

    def wishes(self) -> Wishes:
        return Wishes()

    def ignored(self) -> dict[str, str]:
        return {}


def mcp_server(service: Service, search: SearchBackend | None) -> MCPServer:
    server = MCPServer("fireact_ray", instructions="Ask agents that search, or search what they search.")
    known = ", ".join(service.agents)

    async def ask(question: str, context: Context, model: str = next(iter(service.agents))) -> dict[str, Any]:
        request = _Asked(model, question)
        call = _call(context)
        with _told(call):
            ended = await service.whole(service.ask(request, call, PATH, "question"))
        return {"answer": ended.trajectory.answer, **extension(ended)}

    async def find(query: Query, context: Context, n: NHits = 3) -> dict[str, Any]:
        assert search is not None
        call = _call(context)
        with _told(call):
            service.admission.count(call.key)
            with service.admission.running(call.key):
                [hits] = await found(search, RetrieveRequest(queries=[query], topk=n), service.settings)
        return {"hits": [{"title": hit.title, "text": hit.text, "score": hit.score} for hit in hits]}

    server.add_tool(ask, name="ask", description=f"The answer of an agent that searches for it. Agents: {known}.")
    if search is not None:
        server.add_tool(find, name="search", description="What the agents' search finds for a query, best first.")
    return server


def add_mcp(app: FastAPI, server: MCPServer, max_body_bytes: int) -> None:
    """Its route, within the application. `lifespan_of` must run around it."""
    mounted = server.streamable_http_app(
        streamable_http_path=PATH,
        stateless_http=True,
        json_response=True,
        max_request_body_size=max_body_bytes,
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),  # the guard does it
    )
    for route in mounted.routes:
        assert isinstance(route, Route)
        route.app = _named(route)
    app.router.routes.extend(mounted.routes)


def lifespan_of(server: MCPServer) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with server.session_manager.run():
            yield

    return lifespan


def _named(route: Route) -> ASGIApp:
    """What is there, whose requests bear the route, as those of FastAPI's routes do: the access log names it."""
    app = route.app

    async def named(scope: Scope, receive: Receive, send: Send) -> None:
        scope["route"] = route
        await app(scope, receive, send)

    return named


@contextmanager
def _told(call: Call) -> Iterator[None]:
    """What goes wrong within it, in the words that any caller is told."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 (whatever it is, its own words stay here)
        raise McpError(failure(error, call.trace_id).message) from None


def _call(context: Context) -> Call:
    call: Call = context.request_context.request.scope["state"]["call"]
    return call
