"""A server with what asks it, for one part of the benchmark after the other."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import cached_property

from ray import serve as ray_serve

from benchmarks.serving_load import Clients
from fireact_ray.recipe.schema import Recipe
from fireact_ray.stages.actors.replicas import AGENT, ENGINE, SEARCH
from fireact_ray.stages.application import NAME, model_id
from fireact_ray.tasks import load_questions

CLIENTS = 32  # as many questions are at work in all replicas together


@dataclass(frozen=True)
class Scene:
    """`step_s`: of a reply of the fake engine. `scale`: of how long a part goes on; `soak_s`: of that part."""

    recipe: Recipe
    url: str
    step_s: float
    scale: float
    soak_s: float

    @cached_property
    def clients(self) -> Clients:
        return self._clients(streams=False)

    @cached_property
    def mixed_clients(self) -> Clients:
        """Every second question is streamed."""
        return self._clients(streams=True)

    def _clients(self, *, streams: bool) -> Clients:
        return Clients(self.url, model_id(self.recipe, "base"), questions(self.recipe, 50), streams=streams)


def questions(recipe: Recipe, n: int) -> list[str]:
    return [question.text for question in load_questions(recipe.task.name, recipe.task.path, "train", n)]


async def at_work() -> int:
    """Questions of all agents and conversations of all engines."""
    asked = [ray_serve.get_deployment_handle(part, NAME).broadcast("at_work") for part in (AGENT, ENGINE)]
    found = [await one.results_async(timeout_s=30, return_exceptions=True) for one in asked]
    return sum(n for part in found for n in part if isinstance(n, int))


async def seconds_of_calls() -> float:
    """That engine and search say to have taken for all steps and searches so far."""
    asked = [ray_serve.get_deployment_handle(part, NAME).broadcast("seconds") for part in (ENGINE, SEARCH)]
    return sum([seconds for one in asked for seconds in await one.results_async(timeout_s=30)])


async def until_idle() -> None:
    for _ in range(3000):
        if not await at_work():
            return
        await asyncio.sleep(0.02)
    raise RuntimeError(f"{await at_work()} questions still run")
