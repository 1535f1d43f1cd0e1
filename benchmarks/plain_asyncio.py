"""The same agents in one process on one event loop, without Ray, journal or files: as fast as plain asyncio gets.

`calls`: the slots stand around the teacher's calls, and a few rollouts are open per slot, as in our pools. `rollouts`:
they stand around whole rollouts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Literal

from fireact_ray.assembly import TeacherAgents, open_backend
from fireact_ray.recipe import Recipe
from fireact_ray.scheduling.plan import Planned
from fireact_ray.scheduling.pool import ADMITTED_PER_SLOT


async def run_plain(recipe: Recipe, planned: Sequence[Planned], slots: int, gate: Literal["calls", "rollouts"]) -> None:
    in_flight = asyncio.Semaphore(slots)
    admitted = asyncio.Semaphore(ADMITTED_PER_SLOT * slots) if gate == "calls" else in_flight
    agents = TeacherAgents(recipe)(open_backend(recipe.search), in_flight if gate == "calls" else None)

    async def run(row: Planned) -> None:
        async with admitted:
            await agents[row.method].run(row.question, row.attempt)

    await asyncio.gather(*map(run, planned))
    for agent in agents.values():
        await agent.close()
