"""Evaluate: the same questions through several systems, a report for each and one table over all.

evaluations/<system>/                a system in the normal condition
evaluations/<system>@<condition>/    with faults ordered in its search
evaluations/<system>~<seed>/         of a system that samples, where the recipe names seeds
evaluations/report.md                all systems in the normal condition
evaluations/robustness.md, .json     what conditions cost each system
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from itertools import groupby

from fireact_ray.agent.tools.base import SearchBackend
from fireact_ray.core.errors import DataError
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.inputs import lock_inputs
from fireact_ray.core.storage.lease import leased
from fireact_ray.core.storage.trajectories import read_trajectories, write_trajectories
from fireact_ray.core.types import Question, Trajectory
from fireact_ray.evaluation.episodes import Episode, episode_of
from fireact_ray.evaluation.report import Report
from fireact_ray.evaluation.robustness import NORMAL, Conditioned, degradation_of
from fireact_ray.evaluation.seeds import over_seeds, seeds_table
from fireact_ray.evaluation.tables import comparison_markdown, report_page
from fireact_ray.recipe.inputs import run_inputs
from fireact_ray.recipe.recorded import recorded_rows
from fireact_ray.recipe.schema import Recipe
from fireact_ray.recipe.search import open_backend
from fireact_ray.recipe.student import student_dir
from fireact_ray.recipe.students import HostedStudentConfig
from fireact_ray.recipe.system_agents import System, opened_systems
from fireact_ray.recipe.systems import RunSystem
from fireact_ray.recipe.trials import Trial, trials_of
from fireact_ray.recipe.workers import WorkerRange
from fireact_ray.rollouts.plan import Policy, plan_lines
from fireact_ray.rollouts.pool import OPEN_PER_SLOT
from fireact_ray.stages.judge import judge_rows
from fireact_ray.stages.ray_session import ray_session
from fireact_ray.stages.rollout_workers import run_rollouts
from fireact_ray.stages.trajectory_folder import begin, report_failures
from fireact_ray.tasks import load_questions
from fireact_ray.training.model_card import write_readme

logger = logging.getLogger(__name__)


@leased("fireact evaluate")
def evaluate(recipe: Recipe) -> list[Report]:
    """The reports of the normal condition, in the order of `evaluate.systems`; all others are written too.

    Raises InputError for a missing model, file or key, and for recorded rows that are missing, before anything is run.
    """
    folder, config = Folder(recipe.run_dir) / "evaluations", recipe.evaluate
    questions = load_questions(recipe.task.name, recipe.task.path, config.split, config.n_questions)
    trials = trials_of(recipe)
    recorded = {t.label: recorded_rows(t.entry, questions) for t in trials if isinstance(t.entry, RunSystem)}
    backend = open_backend(recipe.search, offline=recipe.replay is not None)
    with opened_systems(recipe, trials) as systems, ExitStack() as session:  # one Ray for all that have rows to run
        by_label = {system.label: _run(recipe, system, questions, backend, folder, session) for system in systems}
    for trial in trials:
        if isinstance(trial.entry, RunSystem):
            by_label[trial.label] = _keep(recipe, trial.entry, recorded[trial.label], folder / trial.label)
    reports = [by_label[trial.label] for trial in trials if trial.condition is None]
    folder.write("report.md", comparison_markdown(reports))
    _write_seeds(folder, trials, by_label)
    _write_robustness(folder, trials, by_label)
    if config.judge:
        by_label = _judged(recipe, by_label, questions, folder)
        reports = [by_label[trial.label] for trial in trials if trial.condition is None]
        folder.write("report.md", comparison_markdown(reports))
    for report in reports:
        if report.name == "finetuned" and not isinstance(recipe.student, HostedStudentConfig):
            write_readme(student_dir(recipe, report.name), report.to_dict())
    logger.info("evaluate: %d systems x %d questions -> %s/report.md", len(reports), len(questions), folder.uri)
    return reports


def _run(
    recipe: Recipe,
    system: System,
    questions: list[Question],
    backend: SearchBackend,
    evaluations: Folder,
    session: ExitStack,
) -> Report:
    config, folder = recipe.evaluate, evaluations / system.label
    recording = Folder(recipe.replay) / "evaluations" / system.label if recipe.replay else None
    lines = list(plan_lines(questions, system.planner(backend, None), Policy()))
    size = begin(folder, system.inputs, lines, Policy(), 0 if recording else config.max_retries)
    if size.pending:
        session.enter_context(ray_session(recipe.ray))
        run_rollouts(
            f"evaluate {system.label}",
            folder,
            system.builder if recording is None else system.planner,
            recipe,
            backend,
            size=size,
            workers=WorkerRange.of(config.workers),
            concurrency=config.concurrency,
            open_per_slot=1 if system.is_local else OPEN_PER_SLOT,
            num_gpus=float(system.is_local and config.use_gpu),
            recording=recording,
        )
    asked = {row.trajectory_id for line in lines for row in line}
    trajectories = [t for t in read_trajectories(folder / "trajectories") if t.trajectory_id in asked]
    if missing := len(asked) - len(trajectories):
        raise DataError(
            f"{folder.uri}: {missing} of {len(asked)} rows are pending, so there is no report. "
            "Run the same command again."
        )
    report = _reported(system.label, trajectories, folder)
    report_failures(f"evaluate {system.label}", folder, config.max_retries)
    return report


def _keep(recipe: Recipe, entry: RunSystem, rows: list[Trajectory], folder: Folder) -> Report:
    """Recorded rows as the folder's own, so that every figure of the report can be looked at there."""
    kept = folder / "trajectories"
    lock_inputs(kept, run_inputs(recipe, entry.path, entry.method), is_empty=not kept.names(".parquet"))
    part = write_trajectories(kept, rows, "recorded")
    for earlier in kept.names(".parquet"):
        if earlier != part:
            kept.delete(earlier)
    return _reported(entry.name, rows, folder)


def _reported(label: str, rows: list[Trajectory], folder: Folder) -> Report:
    report = Report.from_trajectories(label, rows, len(rows))
    _write(report, folder)
    return report


def _write(report: Report, folder: Folder) -> None:
    folder.write_json("report.json", report.to_dict())
    folder.write("report.md", report_page(report))


def _judged(
    recipe: Recipe, by_label: Mapping[str, Report], questions: list[Question], evaluations: Folder
) -> dict[str, Report]:
    """The same reports, written once more with what the judge says: those without it stay where it fails."""
    ids = {question.id for question in questions}

    def answered(label: str) -> list[Episode]:
        rows = read_trajectories(evaluations / label / "trajectories")
        return [episode_of(row) for row in rows if row.question.id in ids and row.question.answers]

    found = judge_rows(recipe, [partial(answered, label) for label in by_label])
    reports = {label: replace(report, judged=one) for (label, report), one in zip(by_label.items(), found, strict=True)}
    for label, report in reports.items():
        _write(report, evaluations / label)
    return reports


def _write_robustness(folder: Folder, trials: list[Trial], by_label: Mapping[str, Report]) -> None:
    """Of the systems that conditions can touch; nothing where the recipe names none."""
    table = degradation_of(conditioned(trials, by_label))
    if not table.rows:
        return
    folder.write_json("robustness.json", table.to_dict())
    folder.write("robustness.md", table.to_markdown())
    logger.info("evaluate: what conditions cost -> %s/robustness.md", folder.uri)


def _write_seeds(folder: Folder, trials: list[Trial], by_label: Mapping[str, Report]) -> None:
    """All systems in the normal condition, where one was evaluated under several seeds."""
    normal = groupby((trial for trial in trials if trial.condition is None), key=lambda trial: trial.entry.name)
    systems = {name: [by_label[trial.label] for trial in seeds] for name, seeds in normal}
    scored = {name: reports for name, reports in systems.items() if all(report.scores for report in reports)}
    if max(map(len, scored.values()), default=1) == 1:
        return
    found = [over_seeds(reports, name) for name, reports in scored.items()]
    folder.write_json("seeds.json", {"version": 1, "systems": [one.to_dict() for one in found]})
    folder.write("seeds.md", seeds_table(found))
    logger.info("evaluate: mean and spread over seeds -> %s/seeds.md", folder.uri)


def conditioned(trials: list[Trial], by_label: Mapping[str, Report]) -> dict[str, list[Conditioned]]:
    """The reports by system and condition, as degradation_of takes them; systems in the normal one alone left out."""
    found: dict[str, list[Conditioned]] = {}
    for (system, condition), seeds in groupby(trials, key=lambda trial: (trial.entry.name, trial.condition)):
        reports = [by_label[trial.label] for trial in seeds]
        if condition is None:
            one = Conditioned(NORMAL, NORMAL, 0.0, reports)
        else:
            one = Conditioned(condition.name, condition.kind, condition.probability, reports)
        found.setdefault(system, []).append(one)
    return {system: conditions for system, conditions in found.items() if len(conditions) > 1}
