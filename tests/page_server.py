"""Scripted agents behind a real server on loopback, for tests of the page; what they wait for is let go by a test."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import uvicorn
from fakes import DictBackend

from fireact_ray.agent.agent import Agent
from fireact_ray.agent.methods import make_method
from fireact_ray.agent.models.base import Completion, Sampling
from fireact_ray.agent.quota.budget import Price
from fireact_ray.agent.rollout import Limits
from fireact_ray.agent.tools.search import SearchTool
from fireact_ray.core.errors import ModelError
from fireact_ray.core.types import Hit, Turn, Usage

HELD = "(held) "  # before a reply or in a query: it comes once the gate is open

Replies = dict[str, Sequence[str | ModelError]]  # by a part of what is asked, in the order of steps


class Gate:
    """Opened by a test. `n_waiting`, `n_gone`: who waits, and who was cancelled while waiting."""

    def __init__(self) -> None:
        self.is_open = threading.Event()
        self.n_waiting = self.n_gone = 0

    async def passed(self) -> None:
        self.n_waiting += 1
        try:
            await asyncio.to_thread(self.is_open.wait)
        except asyncio.CancelledError:
            self.n_gone += 1
            raise
        finally:
            self.n_waiting -= 1


class Script:
    """A model that replies by what is asked, in the order of steps."""

    name = "scripted"

    def __init__(self, gate: Gate, replies: Replies, seen: list[str]) -> None:
        self.gate, self.replies, self.seen = gate, replies, seen

    async def complete(self, turns: Sequence[Turn], sampling: Sampling) -> Completion:
        self.seen.append(turns[-1].content)
        asked = next(text for text in self.replies if any(text in turn.content for turn in turns))
        reply = self.replies[asked][sum(turn.role == "assistant" for turn in turns)]
        if isinstance(reply, ModelError):
            raise reply
        if reply.startswith(HELD):
            await self.gate.passed()
        return Completion(reply.removeprefix(HELD), "stop", Usage(400, 25), latency_s=1.25)

    async def close(self) -> None: ...


class HeldBackend(DictBackend):
    def __init__(self, gate: Gate, texts: dict[str, str]) -> None:
        super().__init__(texts)
        self.gate = gate

    async def search(self, query: str, k: int) -> list[Hit]:
        if query.startswith(HELD.strip()):
            await self.gate.passed()
        return await super().search(query, k)


def paged_agent(gate: Gate, replies: Replies, texts: dict[str, str], seen: list[str] | None = None) -> Agent:
    """`seen` grows by the last turn of each call of its model."""
    return Agent(
        method=make_method("react", "jsonl", few_shot=False, reflect_every=2),
        model=Script(gate, replies, seen if seen is not None else []),
        tools={"search": SearchTool(HeldBackend(gate, texts))},
        limits=Limits(max_steps=8),
        price=Price(0.5, 1.5),
    )


@contextmanager
def running(app: Any) -> Iterator[str]:
    """Its address, while a server of its own runs it in another thread."""
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="critical", lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until(lambda: server.started)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/"
    finally:
        server.should_exit = True
        server.force_exit = True
        thread.join(10)


def until(holds: Callable[[], bool], within_s: float = 60.0) -> None:
    """Raises AssertionError where it does not hold in time."""
    end = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < end, "it did not come about in time"
        time.sleep(0.01)
