"""The same agents in one process on one event loop, without Ray, journal or files: as fast as plain asyncio gets.

`calls`: a semaphore around the teacher's calls, all rollouts open at once. `rollouts`: around whole rollouts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from fireact_ray.agent.models.slots import Slots, Slotted
from fireact_ray.recipe.schema import Recipe
from fireact_ray.recipe.search import open_backend
from fireact_ray.recipe.teacher import TeacherAgents
from fireact_ray.rollouts.plan import Planned


async def run_plain(recipe: Recipe, planned: Sequence[Planned], slots: int, gate: Literal["calls", "rollouts"]) -> None:
    agents = TeacherAgents(recipe)(open_backend(recipe.search))
    if gate == "calls":
        in_flight = Slots(slots)  # all rollouts have number 0, so it serves them in turn
        agents = {name: replace(agent, model=Slotted(agent.model, in_flight)) for name, agent in agents.items()}

    open_ones = asyncio.Semaphore(slots if gate == "rollouts" else len(planned))

    async def run(row: Planned) -> None:
        async with open_ones:
            await agents[row.method].run(row.question, row.attempt)

    await asyncio.gather(*map(run, planned))
    for agent in agents.values():
        await agent.close()
