"""What `generate` makes, by a loop in this process instead of four of Ray: for tests of what is done with it."""

from __future__ import annotations

import asyncio

from fireact_ray.core.storage.trajectories import write_trajectories
from fireact_ray.core.types import Trajectory
from fireact_ray.recipe.schema import Recipe
from fireact_ray.stages.generate import Generation, generate, open_generation


def generate_here(recipe: Recipe) -> None:
    with open_generation(recipe) as generation:
        generation.begin()
        write_trajectories(generation.run / "trajectories", asyncio.run(_rows(generation)), "w0")
    generate(recipe)  # finds that no row is pending, and ends the folder


async def _rows(generation: Generation) -> list[Trajectory]:
    agents, rows = generation.agents, [row for line in generation.lines for row in line]
    try:
        return await asyncio.gather(*(agents[row.method].run(row.question, row.attempt) for row in rows))
    finally:
        for agent in agents.values():
            await agent.close()
        await generation.backend.close()
