"""Generate: questions -> trajectories of the teacher, in Parquet parts; rerunning pays only for what is missing."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from fireact_ray.agent.agent import Agent
from fireact_ray.agent.tools.base import SearchBackend
from fireact_ray.core.errors import DataError
from fireact_ray.core.storage.artifacts import MANIFEST
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.lease import leased
from fireact_ray.core.types import Question, StopReason
from fireact_ray.recipe.inputs import generate_inputs
from fireact_ray.recipe.loader import to_yaml
from fireact_ray.recipe.schema import Recipe
from fireact_ray.recipe.search import open_backend
from fireact_ray.recipe.teacher import TeacherAgents, running_teacher
from fireact_ray.rollouts.audit import audit
from fireact_ray.rollouts.plan import Line, PlanSize, plan_lines
from fireact_ray.stages.rollout_workers import run_rollouts
from fireact_ray.stages.trajectory_folder import begin, compact_parts, report_failures
from fireact_ray.tasks import load_questions

logger = logging.getLogger(__name__)


@leased("fireact generate")
def generate(recipe: Recipe) -> Folder:
    """Run every planned rollout that is still needed; returns the folder of trajectories.

    Raises InputError for a missing file or key before anything is written, ModelDenied when the teacher's provider
    refuses every call, SameFailure when every row fails alike for a reason outside the agent, and BudgetExhausted when
    the budget is spent (what was paid for until then is kept).
    """
    with open_generation(recipe) as generation:
        size = generation.begin()
        logger.info("generate: %d rows planned, %d already done", size.planned, size.planned - size.pending)
        if size.pending:
            generation.roll_out("generate", size)
    return _close(generation.run, recipe)


@dataclass(frozen=True)
class Generation:
    """All it takes to make the rows of a recipe; nothing is written before `begin`. `builder`: of a teacher that can
    be called, unless there is a `recording`."""

    recipe: Recipe
    builder: TeacherAgents
    backend: SearchBackend
    agents: dict[str, Agent]
    questions: list[Question]
    recording: Folder | None

    @property
    def run(self) -> Folder:
        return Folder(self.recipe.run_dir)

    @property
    def lines(self) -> Iterator[Line]:
        return plan_lines(self.questions, self.agents, self.recipe.generate.policy)

    @property
    def inputs(self) -> dict[str, Any]:
        return generate_inputs(self.recipe)

    def begin(self) -> PlanSize:
        policy = self.recipe.generate.policy
        size = begin(
            self.run, self.inputs, self.lines, policy, 0 if self.recording else self.recipe.generate.max_retries
        )
        self.run.write("recipe.yaml", to_yaml(self.recipe))
        return size

    def roll_out(self, label: str, size: PlanSize, only: frozenset[str] | None = None) -> None:
        """After `begin`. `only`: these rows, `size` of them."""
        run_rollouts(
            label,
            self.run,
            self.builder,
            self.recipe,
            self.backend,
            size=size,
            workers=self.recipe.generate.workers,
            concurrency=self.recipe.generate.concurrency,
            recording=self.recording,
            only=only,
        )


@contextmanager
def open_generation(recipe: Recipe, *, asks: bool = True) -> Iterator[Generation]:
    """Raises InputError for a missing file or key. A scripted teacher runs until the end. Where nothing `asks`, it is
    only looked at: no key is needed."""
    config, recording = recipe.generate, Folder(recipe.replay) if recipe.replay else None
    questions = load_questions(recipe.task.name, recipe.task.path, config.split, config.n_questions)
    online = asks and recording is None
    with running_teacher(recipe, needed=online) as reachable:
        builder = TeacherAgents(reachable, opened=online)
        backend = open_backend(recipe.search, offline=not online)
        yield Generation(recipe, builder, backend, builder(backend), questions, recording)


def _close(run: Folder, recipe: Recipe) -> Folder:
    """Merge the parts and write the manifest: planned = written + skipped, each key once, or DataError."""
    folder = run / "trajectories"
    found = audit(run)
    if found.pending:
        raise DataError(
            f"{folder.uri}: {found.pending} of {found.planned} planned rows are pending. Run the same command again."
        )
    with compact_parts(folder, recipe.ray) as parts:
        folder.write_json(MANIFEST, {**found.to_dict(), "parts": parts})
    logger.info(
        "generate: %d rows, %d finished, %d correct -> %s",
        found.written,
        found.by_reason.get(StopReason.FINISHED, 0),
        found.correct,
        folder.uri,
    )
    report_failures("generate", run, recipe.generate.max_retries)
    return folder
