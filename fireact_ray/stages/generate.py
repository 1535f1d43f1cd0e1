"""Generate: questions -> trajectories of the teacher, in Parquet parts; rerunning pays only for what is missing."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from fireact_ray.accounting import set_aside_broken, write_plan
from fireact_ray.agent import Agent
from fireact_ray.assembly import TeacherAgents, open_backend
from fireact_ray.errors import DataError
from fireact_ray.recipe import Recipe
from fireact_ray.recipe_loader import to_yaml
from fireact_ray.stages.rollouts import Planned, run_rollouts
from fireact_ray.store import Folder, claim, finished_keys, read_trajectories
from fireact_ray.tasks import load_questions
from fireact_ray.teacher.running import running_teacher
from fireact_ray.tools.base import SearchBackend
from fireact_ray.types import Question, StopReason, Trajectory

logger = logging.getLogger(__name__)


def generate(recipe: Recipe) -> Folder:
    """Run every planned rollout once; returns the folder of trajectories.

    Raises InputError for a missing file or key before anything is written, ModelDenied when the teacher's provider
    refuses every call (what was paid for until then is kept).
    """
    with prepared(recipe) as generation:
        owed = generation.begin()
        there = len(generation.planned) - len(owed)
        logger.info("generate: %d rows planned, %d already there", len(generation.planned), there)
        generation.roll_out("generate", owed)
    _close(generation.folder, generation.planned)
    return generation.folder


@dataclass(frozen=True)
class Generation:
    """The rows of a recipe and all it takes to make them; nothing is written before `begin`."""

    recipe: Recipe
    builder: TeacherAgents  # of a teacher that can be called
    backend: SearchBackend
    questions: list[Question]
    planned: list[Planned]

    @property
    def run(self) -> Folder:
        return Folder(self.recipe.run_dir)

    @property
    def folder(self) -> Folder:
        return self.run / "trajectories"

    @property
    def owed(self) -> list[Planned]:
        """The planned rows that have not landed, in the order of the plan."""
        done = finished_keys(self.folder)
        return [row for row in self.planned if row.trajectory_id not in done]

    def claim(self) -> None:
        """Raises InputError naming what differs where the folder holds rows of other settings."""
        claim(self.folder, _inputs(self.recipe), is_empty=not self.folder.names(".parquet"))

    def begin(self) -> list[Planned]:
        """Claim the folder, write down the plan, and say which rows are owed."""
        self.claim()
        for name in set_aside_broken(self.folder):
            logger.warning("%s/%s cannot be read; it is set aside and its rows are owed again", self.folder.uri, name)
        write_plan(self.run, [row.trajectory_id for row in self.planned])
        self.run.write("recipe.yaml", to_yaml(self.recipe))
        return self.owed

    def roll_out(self, label: str, owed: list[Planned]) -> None:
        if owed:
            width = {"workers": self.recipe.generate.workers, "concurrency": self.recipe.generate.concurrency}
            run_rollouts(label, owed, self.builder, self.recipe, self.backend.fingerprint, self.run, **width)


@contextmanager
def prepared(recipe: Recipe) -> Iterator[Generation]:
    """Raises InputError for a missing file or key. A scripted teacher runs until the end."""
    config = recipe.generate
    questions = load_questions(recipe.task.name, recipe.task.path, config.split, config.n_questions)
    with running_teacher(recipe) as reachable:
        builder = TeacherAgents(reachable)
        backend = open_backend(recipe.search)
        planned = plan(questions, builder(backend), config.attempts)
        yield Generation(recipe, builder, backend, questions, planned)


def plan(questions: list[Question], agents: dict[str, Agent], attempts: int) -> list[Planned]:
    """One row per question, method and attempt, each with its key."""
    return [
        Planned(agent.trajectory_id(question, attempt), question, method, attempt)
        for question in questions
        for method, agent in agents.items()
        for attempt in range(attempts)
    ]


def counts(trajectories: list[Trajectory]) -> dict[str, int]:
    """Rows by how they ended, and how many are correct."""
    reasons = Counter(str(t.stop_reason) for t in trajectories)
    correct = sum(t.score is not None and t.score.exact_match == 1 for t in trajectories)
    return {**dict(sorted(reasons.items())), "correct": correct}


def _inputs(recipe: Recipe) -> dict[str, Any]:
    """The settings that shape trajectories; how many there are and how fast they come may change."""
    inputs = recipe.model_dump(
        mode="json",
        include={
            "seed": True,
            "task": True,
            "teacher": {"model", "reflect_every", "sampling", "limits"},
            "generate": {"split"},
        },
    )
    for access in ("api_key_env", "api_key_file", "timeout_s", "max_attempts"):  # how it is reached, not what it is
        inputs["teacher"]["model"].pop(access, None)
    return {**inputs, "search": recipe.search.shaping()}


def _close(folder: Folder, planned: list[Planned]) -> None:
    """Write the manifest: planned = rows, each key once, or DataError."""
    trajectories = read_trajectories(folder)
    missing = {row.trajectory_id for row in planned} - {t.trajectory_id for t in trajectories}
    if missing:
        raise DataError(
            f"{folder.uri}: {len(missing)} of {len(planned)} planned rows did not land. Run the same command again."
        )
    summary = counts(trajectories)
    costs = [t.cost_usd for t in trajectories if t.cost_usd is not None]
    cost_usd = sum(costs) if len(costs) == len(trajectories) else None  # a part of a bill is no bill
    folder.write_json(
        "manifest.json", {"planned": len(planned), "rows": len(trajectories), **summary, "cost_usd": cost_usd}
    )
    finished = summary.get(StopReason.FINISHED, 0)
    logger.info(
        "generate: %d rows, %d finished, %d correct -> %s",
        len(trajectories),
        finished,
        summary["correct"],
        folder.uri,
    )
