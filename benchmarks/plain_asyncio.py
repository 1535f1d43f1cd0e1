"""The same agents in one process on one event loop, without Ray, journal or files: as fast as plain asyncio gets.

`calls`: C slots around the teacher's calls, 3 C rollouts open. `rollouts`: C slots around whole rollouts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from fireact_ray.assembly import TeacherAgents, open_backend
from fireact_ray.models.base import ChatModel, Completion, Sampling
from fireact_ray.recipe import Recipe
from fireact_ray.stages.generate import Planned
from fireact_ray.types import Turn

_OPEN_PER_SLOT = 3


@dataclass(frozen=True)
class _GatedChat:
    inner: ChatModel
    slots: asyncio.Semaphore

    @property
    def name(self) -> str:
        return self.inner.name

    async def complete(self, turns: Sequence[Turn], sampling: Sampling) -> Completion:
        async with self.slots:
            return await self.inner.complete(turns, sampling)

    async def close(self) -> None:
        await self.inner.close()


async def run_plain(recipe: Recipe, planned: Sequence[Planned], slots: int, gate: Literal["calls", "rollouts"]) -> None:
    agents = TeacherAgents(recipe)(open_backend(recipe.search))
    in_flight = asyncio.Semaphore(slots)
    admitted = in_flight
    if gate == "calls":
        agents = {name: replace(agent, model=_GatedChat(agent.model, in_flight)) for name, agent in agents.items()}
        admitted = asyncio.Semaphore(_OPEN_PER_SLOT * slots)

    async def run(row: Planned) -> None:
        async with admitted:
            await agents[row.method].run(row.question, row.attempt)

    await asyncio.gather(*map(run, planned))
    for agent in agents.values():
        await agent.close()
