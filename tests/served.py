"""Agents behind the HTTP layer, over ASGI or a real loopback server; no Ray."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import httpx
import uvicorn
from fakes import FINISH, SEARCH, agent

from fireact_ray.agent.agent import Agent
from fireact_ray.agent.models.base import Completion, Sampling
from fireact_ray.core.types import Turn, Usage
from fireact_ray.serving.app import build_app
from fireact_ray.serving.settings import ServingSettings

MODEL = "fireact/x"
ASKED = "Who wrote The Road to Zem?"
JSON = {"content-type": "application/json"}
CHAT_URL = "/v1/chat/completions"
USER = {"role": "user", "content": ASKED}
CHAT = {"model": MODEL, "messages": [USER]}
RESPONSES = {"model": MODEL, "input": ASKED}
REASONING = (
    "Thought: I need the author.\nAction: search[The Road to Zem author]\n"
    "Observation: The Road to Zem is a novel by Ila Dun.\n"
    "Thought: Ila Dun wrote it.\nAction: finish[Ila Dun]\n"
)


@dataclass
class EndlessModel:
    """Searches once and finishes, whatever it is asked and as often as it is."""

    name: str = "endless"
    asked: list[tuple[Turn, ...]] = field(default_factory=list)
    samplings: list[Sampling] = field(default_factory=list)

    async def complete(self, turns: Sequence[Turn], sampling: Sampling) -> Completion:
        self.asked.append(tuple(turns))
        self.samplings.append(sampling)
        return Completion(FINISH if len(turns) > 1 else SEARCH, "stop", Usage(10, 5))

    async def close(self) -> None: ...


@dataclass
class StuckModel:
    """Never replies; `asked` is set once it is asked, `left` once nobody waits for it any more."""

    name: str = "stuck"
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)

    async def complete(self, turns: Sequence[Turn], sampling: Sampling) -> Completion:
        self.asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.left.set()
        raise AssertionError("nothing sets it")

    async def close(self) -> None: ...


def by(model: object, **changes: object) -> Agent:
    return replace(agent(), model=model, **changes)


def settings(**limits: object) -> ServingSettings:
    return ServingSettings(**{"allowed_hosts": ("test",), **limits})


def client(*replies: object, of: Agent | None = None, limits: dict | None = None, **app: object) -> httpx.AsyncClient:
    """Of an application that serves `of`, or an agent whose model replies so; with neither, it always answers."""
    served = of or (agent(*replies) if replies else by(EndlessModel()))
    built = build_app({MODEL: served}, settings(**(limits or {})), **app)
    return httpx.AsyncClient(transport=httpx.ASGITransport(built), base_url="http://test")


async def posted(
    *replies: object, of: Agent | None = None, limits: dict | None = None, **body: object
) -> httpx.Response:
    """To a chat with these fields beside a question."""
    async with client(*replies, of=of, limits=limits) as http:
        return await http.post(CHAT_URL, json={**CHAT, **body})


async def respond(
    *replies: object, of: Agent | None = None, limits: dict | None = None, **body: object
) -> httpx.Response:
    """To a request of the Responses protocol with these fields beside a question."""
    async with client(*replies, of=of, limits=limits) as http:
        return await http.post("/v1/responses", json={**RESPONSES, **body})


async def shown(messages: list[dict], **limits: object) -> tuple[str, dict]:
    """The question that the model was given for these messages, and what the reply says of it."""
    model = EndlessModel()
    reply = await posted(of=by(model), limits=limits, messages=messages)
    assert reply.status_code == 200, reply.text
    return model.asked[0][-1].content, reply.json()["fireact"]["ignored"]


def chunks(text: str) -> list[dict]:
    """The JSON events of a stream, its end mark left out."""
    lines = [line for line in text.split("\n") if line.startswith("data: ")]
    return [json.loads(line.removeprefix("data: ")) for line in lines if line != "data: [DONE]"]


async def called(app: object, path: str, headers: dict[str, str], receive: Callable, send: Callable) -> None:
    """A bare POST, for what a client library would not do."""
    raw = [(name.encode(), value.encode("latin-1")) for name, value in {"host": "test", **headers}.items()]
    scope = {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1", "method": "POST",
        "path": path, "raw_path": path.encode(), "query_string": b"", "headers": raw, "scheme": "http",
        "server": ("test", 80), "client": ("c", 1), "root_path": "",
    }  # fmt: skip
    await app(scope, receive, send)


def sending(body: dict, left: asyncio.Event) -> Callable:
    """A client that sends this body, and goes away once `left` is set."""
    given = [{"type": "http.request", "body": json.dumps(body).encode()}]

    async def receive() -> dict:
        if given:
            return given.pop()
        await left.wait()
        return {"type": "http.disconnect"}

    return receive


@contextmanager
def listening(app: object, lifespan: str = "off") -> Iterator[str]:
    """The application's base URL, on a real server in a thread of its own."""
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning", lifespan=lifespan))
    ready = threading.Event()
    started = server.startup

    async def startup(sockets: object = None) -> None:
        await started(sockets)
        ready.set()

    server.startup = startup
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    assert ready.wait(120), "the server did not start"
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(20)
