"""Client CPU per chat request: OpenAI's client over httpx, the same over aiohttp, and ours. The teacher's client was
chosen by this.

    python benchmarks/clients.py --requests 2000 --concurrency 200 --latencies-s 0 0.2

One server, in a process of its own, sends the same canned reply to everyone. Bare aiohttp, which reads the body and
nothing else, is the floor. Clients take turns; the figures are medians over the rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime
import json
import multiprocessing
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from multiprocessing.connection import Connection
from typing import Any

import aiohttp
import openai
from aiohttp import web

from fireact_ray.agent.models.base import Sampling
from fireact_ray.agent.models.openai import OpenAIChat
from fireact_ray.core.types import Turn

_TURNS = (Turn("system", "x " * 2000), Turn("user", "Who is older, Fulwom Thesfer or Stouthfes Poulshail?"))
_REPLY = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Thought: I need both birth years.\nAction: search[Fulwom]"},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 2020, "completion_tokens": 14, "total_tokens": 2034},
}
_REQUEST: dict[str, Any] = {
    "model": "m",
    "messages": [{"role": turn.role, "content": turn.content} for turn in _TURNS],
    "temperature": 0.0,
    "max_tokens": 512,
    "stop": ["\nObservation:"],
}

Call = Callable[[], Awaitable[None]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--concurrency", type=int, default=200)
    parser.add_argument("--latencies-s", type=float, nargs="+", default=[0.0, 0.2])
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    print(
        f"{datetime.date.today()}, {os.cpu_count()} CPUs, Python {platform.python_version()}, commit {commit}, "
        f"openai {openai.__version__}, aiohttp {aiohttp.__version__}: {args.requests} requests, "
        f"{args.concurrency} in flight, median of {args.rounds} rounds\n"
    )
    print("| client | latency s | CPU ms/request | requests/s | CPU vs ours |")
    print("| --- | --: | --: | --: | --: |")
    for latency_s in args.latencies_s:
        figures = _measure(latency_s, args.requests, args.concurrency, args.rounds)
        ours_ms = figures["OpenAIChat (ours)"][0]
        for name, (cpu_ms, per_s) in figures.items():
            print(f"| {name} | {latency_s:g} | {cpu_ms:.2f} | {per_s:.0f} | {cpu_ms / ours_ms:.1f}x |")


def _measure(latency_s: float, n: int, concurrency: int, rounds: int) -> dict[str, tuple[float, float]]:
    """Per client: CPU ms per request, requests per second."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    server = context.Process(target=_serve, args=(theirs, latency_s), daemon=True)
    server.start()
    try:
        url = f"http://127.0.0.1:{ours.recv()}/v1"
        runs = {name: [] for name in _CLIENTS}
        for _ in range(rounds):
            for name, opened in _CLIENTS.items():
                runs[name].append(asyncio.run(_run(opened, url, n, concurrency)))
    finally:
        server.terminate()
        server.join()
    return {name: tuple(map(statistics.median, zip(*found, strict=True))) for name, found in runs.items()}


async def _run(opened: Callable[[str], Any], url: str, n: int, concurrency: int) -> tuple[float, float]:
    async with opened(url) as call:
        await _calls(call, concurrency, concurrency)  # connections are open, code is warm
        started, cpu = time.perf_counter(), time.process_time()
        await _calls(call, n, concurrency)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - started
    return 1000 * cpu / n, n / wall


async def _calls(call: Call, n: int, concurrency: int) -> None:
    left = iter(range(n))

    async def caller() -> None:
        for _ in left:
            await call()

    await asyncio.gather(*(caller() for _ in range(concurrency)))


@asynccontextmanager
async def _openai_httpx(url: str) -> Any:
    async with openai.AsyncOpenAI(base_url=url, api_key="k", max_retries=0) as client:
        yield _create(client)


@asynccontextmanager
async def _openai_aiohttp(url: str) -> Any:
    async with (
        openai.DefaultAioHttpClient() as transport,
        openai.AsyncOpenAI(base_url=url, api_key="k", max_retries=0, http_client=transport) as client,
    ):
        yield _create(client)


def _create(client: openai.AsyncOpenAI) -> Call:
    async def call() -> None:
        reply = await client.chat.completions.create(**_REQUEST)
        assert reply.choices[0].message.content

    return call


@asynccontextmanager
async def _ours(url: str) -> Any:
    chat = OpenAIChat("m", base_url=url, api_key="k")
    sampling = Sampling(stop=("\nObservation:",))

    async def call() -> None:
        assert (await chat.complete(_TURNS, sampling)).text

    yield call
    await chat.close()


@asynccontextmanager
async def _bare_aiohttp(url: str) -> Any:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def call() -> None:
            async with session.post(f"{url}/chat/completions", json=_REQUEST) as response:
                assert await response.read()

        yield call


_CLIENTS: dict[str, Callable[[str], Any]] = {
    "openai over httpx": _openai_httpx,
    "openai over aiohttp": _openai_aiohttp,
    "OpenAIChat (ours)": _ours,
    "bare aiohttp": _bare_aiohttp,
}


def _serve(port_to: Connection, latency_s: float) -> None:
    asyncio.run(_serve_forever(port_to, latency_s))


async def _serve_forever(port_to: Connection, latency_s: float) -> None:
    body = json.dumps(_REPLY).encode()

    async def reply(request: web.BaseRequest) -> web.Response:
        await request.read()
        if latency_s:
            await asyncio.sleep(latency_s)
        return web.Response(body=body, content_type="application/json")

    runner = web.ServerRunner(web.Server(reply, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
    port_to.send(runner.addresses[0][1])
    await asyncio.Event().wait()


if __name__ == "__main__":
    main()
