"""Evaluate: the same questions through several systems, a report for each and one table over all."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fireact_ray.agent.agent import AgentBuilder
from fireact_ray.agent.tools.base import SearchBackend
from fireact_ray.core.errors import DataError
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.lease import leased
from fireact_ray.core.storage.trajectories import read_trajectories
from fireact_ray.core.types import Question
from fireact_ray.evaluation.report import Report
from fireact_ray.evaluation.tables import comparison_markdown, report_page
from fireact_ray.recipe.hosted import hosted_agents, hosted_model
from fireact_ray.recipe.inputs import student_inputs, teacher_inputs
from fireact_ray.recipe.schema import HostedStudentConfig, Recipe
from fireact_ray.recipe.search import open_backend
from fireact_ray.recipe.student import StudentAgents, local_student, open_renderer, student_dir, student_name
from fireact_ray.recipe.teacher import TeacherAgents, running_teacher
from fireact_ray.rollouts.plan import Policy, plan_lines
from fireact_ray.rollouts.pool import OPEN_PER_SLOT
from fireact_ray.stages.rollout_workers import run_rollouts
from fireact_ray.stages.trajectory_folder import begin, report_failures
from fireact_ray.tasks import load_questions
from fireact_ray.training.model_card import write_readme

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class System:
    """Something to evaluate. `planner` builds agents that only name rows; `inputs` are what shapes its trajectories.
    `open_per_slot`: a local engine keeps what it has read of a conversation, for as many as it has slots."""

    name: str
    builder: AgentBuilder
    planner: AgentBuilder
    inputs: dict[str, Any]
    uses_gpu: bool = False
    open_per_slot: int = 1


@leased("fireact evaluate")
def evaluate(recipe: Recipe) -> list[Report]:
    """One report per system of `evaluate.systems`, written to evaluations/<system>/, and report.md over all.

    Raises InputError for a missing model, file or key before anything is run.
    """
    folder = Folder(recipe.run_dir) / "evaluations"
    config = recipe.evaluate
    questions = load_questions(recipe.task.name, recipe.task.path, config.split, config.n_questions)
    backend = open_backend(recipe.search, offline=recipe.replay is not None)
    with _systems(recipe) as systems:
        reports = [_evaluate(recipe, system, questions, backend, folder / system.name) for system in systems]
    folder.write("report.md", comparison_markdown(reports))
    for report in reports:
        if report.name == "finetuned" and not isinstance(recipe.student, HostedStudentConfig):
            write_readme(Path(student_dir(recipe, report.name)), report.to_dict())
    logger.info("evaluate: %d systems x %d questions -> %s/report.md", len(reports), len(questions), folder.uri)
    return reports


def _evaluate(
    recipe: Recipe, system: System, questions: list[Question], backend: SearchBackend, folder: Folder
) -> Report:
    config = recipe.evaluate
    recording = Folder(recipe.replay) / "evaluations" / system.name if recipe.replay else None
    lines = list(plan_lines(questions, system.planner(backend, None), Policy()))
    size = begin(folder, system.inputs, lines, Policy(), 0 if recording else config.max_retries)
    if size.pending:
        run_rollouts(
            f"evaluate {system.name}",
            folder,
            system.builder if recording is None else system.planner,
            recipe,
            backend,
            size=size,
            workers=config.workers,
            concurrency=config.concurrency,
            open_per_slot=system.open_per_slot,
            num_gpus=float(system.uses_gpu),
            recording=recording,
        )
    asked = {row.trajectory_id for line in lines for row in line}
    trajectories = [t for t in read_trajectories(folder / "trajectories") if t.trajectory_id in asked]
    if missing := len(asked) - len(trajectories):
        raise DataError(
            f"{folder.uri}: {missing} of {len(asked)} rows are pending, so there is no report. "
            "Run the same command again."
        )
    report = Report.from_trajectories(system.name, trajectories, len(asked))
    folder.write_json("report.json", report.to_dict())
    folder.write("report.md", report_page(report))
    report_failures(f"evaluate {system.name}", folder, config.max_retries)
    return report


@contextmanager
def _systems(recipe: Recipe) -> Iterator[list[System]]:
    """The systems by name; a scripted teacher runs while it is one of them."""
    names = recipe.evaluate.systems
    with running_teacher(recipe, needed="teacher" in names and recipe.replay is None) as reachable:
        teacher = reachable.teacher.model_copy(update={"methods": ["react"]})
        builder = TeacherAgents(reachable.model_copy(update={"teacher": teacher}))
        planner = replace(builder, opened=False)
        own = System("teacher", builder, planner, teacher_inputs(recipe), open_per_slot=OPEN_PER_SLOT)
        yield [own if name == "teacher" else _student(recipe, name) for name in names]


def _student(recipe: Recipe, name: str) -> System:
    """`base`: the base model prompted with examples; `finetuned`: the run's model without them."""
    if isinstance(recipe.student, HostedStudentConfig):
        hosted = hosted_agents(recipe, name)
        inputs = {**student_inputs(recipe, name), "model": hosted_model(recipe, name)}
        return System(name, hosted, replace(hosted, opened=False), inputs, open_per_slot=OPEN_PER_SLOT)
    folder = student_dir(recipe, name)
    renderer = open_renderer(folder, local_student(recipe))
    model = {"model": student_name(folder), "renderer_fingerprint": renderer.fingerprint}
    agents = StudentAgents(recipe, folder, name == "base", recipe.evaluate.use_gpu)
    inputs = {**student_inputs(recipe, name), **model}
    return System(name, agents, replace(agents, opened=False), inputs, recipe.evaluate.use_gpu)
