"""The same agents in one process on one event loop, without Ray, journal or files: as fast as plain asyncio gets.

`calls`: a semaphore around the teacher's calls, all rollouts open at once. `rollouts`: around whole rollouts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Literal

from fireact_ray.assembly import TeacherAgents, open_backend
from fireact_ray.models.slotted import Slotted
from fireact_ray.recipe import Recipe
from fireact_ray.scheduling.plan import Planned


async def run_plain(recipe: Recipe, planned: Sequence[Planned], slots: int, gate: Literal["calls", "rollouts"]) -> None:
    in_flight = asyncio.Semaphore(slots)
    agents = TeacherAgents(recipe)(open_backend(recipe.search))
    if gate == "calls":
        agents = {name: replace(agent, model=Slotted(agent.model, in_flight)) for name, agent in agents.items()}

    async def run(row: Planned) -> None:
        async with nullcontext() if gate == "calls" else in_flight:
            await agents[row.method].run(row.question, row.attempt)

    await asyncio.gather(*map(run, planned))
    for agent in agents.values():
        await agent.close()
