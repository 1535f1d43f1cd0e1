"""Clients of a server, and what its processes take meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
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
NOTHING, CUT = "no reply", "cut with a word"  # beside HTTP statuses: how a question may end


@dataclass(frozen=True)
class Answer:
    """`said`: its HTTP status, or how else it ended; a stream is a 200 only where it came to its end. `at`: when it
    was over, by the monotonic clock. `steps`: as the reply tells; 0 of a stream."""

    said: str
    seconds: float
    at: float
    steps: int = 0

    @property
    def is_answered(self) -> bool:
        return self.said == "200"


class Clients:
    """`n` of them, each asks its next question when the last one is answered; where it is refused, it waits as long as
    it is told to. `streams`: every second question is streamed."""

    def __init__(self, url: str, model: str, questions: Sequence[str], *, streams: bool = False) -> None:
        self._url, self._model, self._questions, self._streams = url, model, questions, streams
        self._n_asked = 0

    async def ask(self, n_questions: int, n_clients: int, begin_within_s: float = 0.0) -> list[Answer]:
        """So many questions in all. The clients begin one after the other, the last one after `begin_within_s`."""
        numbers = iter(range(n_questions))
        return await self._run(n_clients, lambda: next(numbers, None) is not None, [], begin_within_s)

    async def ask_for(self, seconds: float, n_clients: int) -> list[Answer]:
        until = time.monotonic() + seconds
        return await self._run(n_clients, lambda: time.monotonic() < until, [])

    @asynccontextmanager
    async def asking(self, n_clients: int) -> AsyncIterator[list[Answer]]:
        """Meanwhile, and until the last one is answered. The list fills."""
        answers: list[Answer] = []
        over = asyncio.Event()
        running = asyncio.create_task(self._run(n_clients, lambda: not over.is_set(), answers))
        try:
            yield answers
        finally:
            over.set()
            await running

    async def bad_request(self) -> None:
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{self._url}/v1/chat/completions", json={}) as reply,
        ):
            assert reply.status == 400, reply.status

    async def _run(
        self, n_clients: int, goes_on: Callable[[], bool], answers: list[Answer], begin_within_s: float = 0.0
    ) -> list[Answer]:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

            async def client(number: int) -> None:
                await asyncio.sleep(begin_within_s * number / n_clients)
                while goes_on():
                    answer, pause_s = await self._one(session)
                    answers.append(answer)
                    await asyncio.sleep(pause_s)

            await asyncio.gather(*map(client, range(n_clients)))
        return answers

    async def _one(self, session: aiohttp.ClientSession) -> tuple[Answer, float]:
        """And how long its client is to wait."""
        self._n_asked += 1
        text = self._questions[self._n_asked % len(self._questions)]
        is_stream = self._streams and self._n_asked % 2 == 0
        body = {"model": self._model, "messages": [{"role": "user", "content": text}], "stream": is_stream}
        began = time.monotonic()
        steps, pause_s = 0, 0.0
        try:
            async with session.post(f"{self._url}/v1/chat/completions", json=body) as reply:
                said, whole = str(reply.status), await reply.read()
                if reply.status != 200:
                    pause_s = float(reply.headers.get("retry-after", 0.1))
                elif is_stream:
                    said = _end_of(whole)
                else:
                    steps = (await reply.json())["fireact"]["n_steps"]
        except (aiohttp.ClientError, ValueError):
            said, pause_s = NOTHING, 0.1
        now = time.monotonic()
        return Answer(said, now - began, now, steps), pause_s


def _end_of(stream: bytes) -> str:
    last = stream.rstrip().rsplit(b"data: ", 1)[-1]
    if last == b"[DONE]":
        return CUT if b'"error"' in stream else "200"
    return CUT if b'"error"' in last else NOTHING


@dataclass(frozen=True)
class Taken:
    """`cpu_s`: by part of the server; `rss`: bytes of all parts together; `fds`: open files and connections."""

    cpu_s: dict[str, float]
    rss: int
    fds: int

    def since(self, before: Taken) -> dict[str, float]:
        return {part: seconds - before.cpu_s.get(part, 0.0) for part, seconds in self.cpu_s.items()}


def processes(part: str) -> list[psutil.Process]:
    return [process for process, name in _of_server() if name == part]


def taken() -> Taken:
    cpu_s: dict[str, float] = defaultdict(float)
    rss = fds = 0
    for process, part in _of_server():
        try:
            times, memory, n_open = process.cpu_times(), process.memory_info().rss, process.num_fds()
        except psutil.Error:  # it has just ended
            continue
        cpu_s[part] += times.user + times.system
        rss += memory
        fds += n_open
    return Taken(dict(cpu_s), rss, fds)


def quantile(values: Sequence[float], share: float) -> float:
    """nan of nothing."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def counted(answers: Sequence[Answer]) -> str:
    return ", ".join(f"{said}: {n}" for said, n in sorted(Counter(answer.said for answer in answers).items()))


def _of_server() -> list[tuple[psutil.Process, str]]:
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            title = " ".join(process.cmdline())
        except psutil.Error:  # it has just ended
            continue
        found += [(process, part) for sign, part in _PARTS.items() if title.startswith(f"ray::{sign}")]
    return found
