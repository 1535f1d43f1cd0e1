"""Clients of a server, and what its processes take meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import aiohttp
import psutil

_PARTS = {
    "ProxyActor": "proxy",
    "ServeReplica:fireact:agent": "agent",
    "ServeReplica:fireact:engine": "engine",
    "ServeReplica:fireact:search": "search",
    "ServeController": "controller",
}


@dataclass(frozen=True)
class Answer:
    """`status` 0: no reply came. `steps`: as the reply tells."""

    status: int
    seconds: float
    steps: int = 0


class Clients:
    """`n` of them, each asks its next question when the last one is answered, or refused after `pause_s`."""

    def __init__(self, url: str, model: str, questions: Sequence[str], pause_s: float = 0.1) -> None:
        self._url, self._model, self._questions, self._pause_s = url, model, questions, pause_s

    async def ask(self, n_questions: int, n_clients: int) -> list[Answer]:
        """So many questions in all."""
        numbers = iter(range(n_questions))
        return await self._run(n_clients, lambda: next(numbers, None) is not None)

    async def ask_for(self, seconds: float, n_clients: int) -> list[Answer]:
        until = time.monotonic() + seconds
        return await self._run(n_clients, lambda: time.monotonic() < until)

    async def _run(self, n_clients: int, goes_on: object) -> list[Answer]:
        assert callable(goes_on)
        answers: list[Answer] = []
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

            async def client(number: int) -> None:
                while goes_on():
                    text = self._questions[(number + len(answers)) % len(self._questions)]
                    answers.append(answer := await self._one(session, text))
                    if answer.status != 200:
                        await asyncio.sleep(self._pause_s)

            await asyncio.gather(*(client(number) for number in range(n_clients)))
        return answers

    async def _one(self, session: aiohttp.ClientSession, text: str) -> Answer:
        body = {"model": self._model, "messages": [{"role": "user", "content": text}]}
        began = time.monotonic()
        try:
            async with session.post(f"{self._url}/v1/chat/completions", json=body) as reply:
                said = await reply.json()
                steps = said["fireact"]["n_steps"] if reply.status == 200 else 0
                return Answer(reply.status, time.monotonic() - began, steps)
        except (aiohttp.ClientError, ValueError):
            return Answer(0, time.monotonic() - began)


@dataclass(frozen=True)
class Taken:
    """`cpu_s`: by part of the server; `rss`: bytes of all parts together."""

    cpu_s: dict[str, float]
    rss: int

    def since(self, before: Taken) -> dict[str, float]:
        return {part: seconds - before.cpu_s.get(part, 0.0) for part, seconds in self.cpu_s.items()}


def processes(part: str) -> list[psutil.Process]:
    return [process for process, name in _of_server() if name == part]


def taken() -> Taken:
    cpu_s: dict[str, float] = defaultdict(float)
    rss = 0
    for process, part in _of_server():
        times = process.cpu_times()
        cpu_s[part] += times.user + times.system
        rss += process.memory_info().rss
    return Taken(dict(cpu_s), rss)


def quantile(values: Sequence[float], share: float) -> float:
    """nan of nothing."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def statuses(answers: Sequence[Answer]) -> str:
    return ", ".join(f"{status}: {n}" for status, n in sorted(Counter(answer.status for answer in answers).items()))


def _of_server() -> list[tuple[psutil.Process, str]]:
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            title = " ".join(process.cmdline())
        except psutil.Error:  # it has just ended
            continue
        found += [(process, part) for sign, part in _PARTS.items() if title.startswith(f"ray::{sign}")]
    return found
