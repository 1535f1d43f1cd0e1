"""FireAct's generation, its schedule re-enacted with our methods and tools and a bare HTTP client.

As its generation.py and models/openai.py do it: at every step the calls of all open questions, in chunks of 200 one
after another, each chunk with a new session of 100 connections; when the last reply is there, the searches of all of
them in a pool of so many threads; then the next step. Left out: asking again for replies without an action (the
scripted teacher always gives one), and its rate limiter, which is made anew for every chunk and never slows one down.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import aiohttp

from benchmarks.chains import request_body
from fireact_ray.agent.agent import Agent
from fireact_ray.core.types import Question, Step
from fireact_ray.recipe.schema import Recipe
from fireact_ray.recipe.search import open_backend
from fireact_ray.recipe.teacher import TeacherAgents
from fireact_ray.rollouts.plan import Planned

CHUNK = 200
CONNECTIONS = 100


@dataclass
class _Open:
    question: Question
    attempt: int
    steps: list[Step]


async def run_lockstep(recipe: Recipe, planned: Sequence[Planned], base_url: str, search_threads: int) -> None:
    (agent,) = TeacherAgents(recipe, opened=False)(open_backend(recipe.search)).values()
    still_open = [_Open(row.question, row.attempt, []) for row in planned]
    for _ in range(recipe.teacher.limits.max_steps):
        replies: list[str] = []
        for at in range(0, len(still_open), CHUNK):
            replies += await _ask(agent, still_open[at : at + CHUNK], base_url)
        await _search(agent, still_open, replies, search_threads)
        still_open = [o for o in still_open if o.steps[-1].observation is not None]
        if not still_open:
            break
    await agent.close()


async def _ask(agent: Agent, chunk: Sequence[_Open], base_url: str) -> list[str]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CONNECTIONS)) as session:

        async def ask(one: _Open) -> str:
            body = request_body(agent, one.question, one.attempt, one.steps)
            async with session.post(f"{base_url}/chat/completions", json=body) as response:
                reply = await response.json()
            return str(reply["choices"][0]["message"]["content"])

        return await asyncio.gather(*map(ask, chunk))


async def _search(agent: Agent, still_open: Sequence[_Open], replies: Sequence[str], search_threads: int) -> None:
    free = asyncio.Semaphore(search_threads)

    async def step(one: _Open, reply: str) -> None:
        parsed = agent.method.parse(reply)
        observation = None
        if parsed.action is None or parsed.action.tool != "finish":
            assert parsed.action is not None, "the scripted teacher always gives an action"
            async with free:
                observation = await agent.tools[parsed.action.tool](parsed.action.argument)
        one.steps.append(Step(parsed.thought, parsed.action, observation, reply))

    await asyncio.gather(*map(step, still_open, replies))
