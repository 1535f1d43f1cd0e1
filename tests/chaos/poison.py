"""A run one of whose questions kills the process that asks it, every time: python poison.py RECIPE QUESTION_ID

A script, so that its classes travel to the workers by value.
"""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import dataclass, replace
from typing import Any

from fireact_ray.cli.main import run_guarded
from fireact_ray.core.storage.folder import Folder
from fireact_ray.recipe.loader import load_recipe
from fireact_ray.recipe.search import open_backend
from fireact_ray.recipe.teacher import TeacherAgents
from fireact_ray.rollouts.plan import plan_lines
from fireact_ray.stages.rollout_workers import run_rollouts
from fireact_ray.stages.trajectory_folder import begin
from fireact_ray.tasks import load_questions


@dataclass(frozen=True)
class Poisoned:
    """A chat model that kills its process when it is asked about `word`."""

    inner: Any
    word: str

    @property
    def name(self) -> str:
        return self.inner.name

    async def complete(self, turns: Any, sampling: Any) -> Any:
        if any(self.word in turn.content for turn in turns):
            os.kill(os.getpid(), signal.SIGKILL)
        return await self.inner.complete(turns, sampling)

    async def close(self) -> None:
        await self.inner.close()


@dataclass(frozen=True)
class PoisonedAgents:
    inner: TeacherAgents
    word: str

    def __call__(self, backend: Any, slots: Any = None) -> dict[str, Any]:
        agents = self.inner(backend, slots)
        return {name: replace(agent, model=Poisoned(agent.model, self.word)) for name, agent in agents.items()}


def main() -> None:
    recipe = load_recipe(sys.argv[1])
    questions = load_questions(recipe.task.name, recipe.task.path, recipe.generate.split, None)
    poison = next(question for question in questions if question.id == sys.argv[2])
    builder = PoisonedAgents(TeacherAgents(recipe), poison.answers[0])
    backend = open_backend(recipe.search)
    run, policy = Folder(recipe.run_dir), recipe.generate.policy
    size = begin(run, {}, plan_lines(questions, builder(backend), policy), policy)
    width = {"workers": recipe.generate.workers, "concurrency": recipe.generate.concurrency}
    run_rollouts("poison", run, builder, recipe, backend, size=size, **width)


if __name__ == "__main__":
    run_guarded(main)
