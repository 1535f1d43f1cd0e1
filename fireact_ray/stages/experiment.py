"""Experiment: the tasks of all cells on one Ray, each by its own stage; then the tables.

A task that is done is found done by its stage, so that the same command goes on where it was interrupted. A task that
fails stops what needs it, and nothing else.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import ray

from fireact_ray.core.errors import FireActError, InputError
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.lease import run_lease
from fireact_ray.evaluation.experiments.page import page_of
from fireact_ray.evaluation.experiments.results import Missing, grouped, read_result
from fireact_ray.evaluation.experiments.shown import Answer
from fireact_ray.evaluation.experiments.tables import sections_of
from fireact_ray.evaluation.experiments.writing import answers_json, answers_markdown
from fireact_ray.recipe.experiments.asking import asked_of
from fireact_ray.recipe.experiments.config import ExperimentConfig
from fireact_ray.recipe.experiments.expansion import Cell, expand
from fireact_ray.recipe.experiments.facts import facts_of
from fireact_ray.recipe.experiments.graph import EXPERIMENTS, Graph, Kind, Task, graph_of
from fireact_ray.recipe.experiments.loading import load_experiment, paper_numbers, unread_changes
from fireact_ray.recipe.experiments.running import run_tasks
from fireact_ray.recipe.schema import Recipe
from fireact_ray.stages.convert import convert
from fireact_ray.stages.evaluate import evaluate
from fireact_ray.stages.generate import generate
from fireact_ray.stages.ray_session import ray_session
from fireact_ray.stages.shared_folder import demand_placed
from fireact_ray.stages.shared_rows import share_evaluations, share_generation
from fireact_ray.stages.task_processes import TaskProcesses, at_once
from fireact_ray.stages.train_student import train_student
from fireact_ray.training.trackers import demand_trackers

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Part:
    """One experiment with its cells and the tasks that they need."""

    config: ExperimentConfig
    cells: list[Cell]
    graph: Graph


@dataclass(frozen=True)
class Outcome:
    """`folder`: that of the reports. `failed`: cells without a result, and why."""

    name: str
    folder: Folder
    answers: list[Answer]
    failed: list[Missing]


@dataclass(frozen=True)
class Plan:
    """`parts`: the experiment, or those that it consists of."""

    name: str
    parts: list[Part]


def open_experiment(source: str, recipes: Sequence[Recipe], overrides: Sequence[str] = ()) -> Plan:
    """Raises InputError or RecipeError before anything is run."""
    whole = load_experiment(source, recipes[0], overrides)
    home = home_of(recipes[0])
    for sentence in unread_changes(whole, recipes):
        logger.warning("experiment: %s", sentence)
    configs = [load_experiment(name, recipes[0]) for name in whole.parts] or [whole]
    parts = []
    for config in configs:
        cells = expand(config, recipes)
        parts.append(Part(config, cells, graph_of(cells, home, config.name)))
    return Plan(whole.name, parts)


def home_of(recipe: Recipe) -> str:
    """Of several recipes that of the first: the folder of all its experiments."""
    return f"{recipe.run_dir}/{EXPERIMENTS}"


def experiment(recipes: Sequence[Recipe], plan: Plan) -> Outcome:
    """Run what is not done yet, and write report.json, report.md and report.html into the experiment's folder.

    Cells that fail are in the outcome; what stops all of them (an interrupt, a folder that others work in) is raised.
    """
    home = Folder(home_of(recipes[0]))
    demand_placed(recipes[0].output_dir, "fireact experiment")
    if "://" in home.uri and "?" in home.uri:
        raise InputError(
            f"output_dir {home.shown}: an experiment takes a bucket without options behind `?`. Set AWS_ENDPOINT_URL "
            "and AWS_REGION instead."
        )
    for recipe in recipes:
        demand_trackers(recipe.train.trackers)
    with run_lease(home, "fireact experiment"), ray_session(recipes[0].ray):
        failures: dict[str, str] = {}
        for part in plan.parts:
            failures |= _run_all(part.graph, home, recipes, failures)
        answered = [answer_of(part, failures, recipes) for part in plan.parts]
        answers, failed = [answer for answer, _ in answered], [one for _, missing in answered for one in missing]
        for answer in answers:
            write_answers(home / answer.name, answer.name, [answer])
        if len(plan.parts) > 1:
            write_answers(home / plan.name, f"{plan.name}: {recipes[0].name}", answers)
    return Outcome(plan.name, home / plan.name, answers, failed)


def _run_all(graph: Graph, home: Folder, recipes: Sequence[Recipe], failed: dict[str, str]) -> dict[str, str]:
    """Here one after the other, or side by side in processes of their own where there is room."""
    width = at_once(ray.cluster_resources(), recipes)
    if width == 1:
        return run_tasks(graph, lambda task: run_task(task, home), failed)
    logger.info("experiment: %d tasks at once", width)
    processes = TaskProcesses(ray.get_runtime_context().gcs_address)

    def run(task: Task) -> None:
        share(task, home)
        processes.run(task)

    return run_tasks(graph, run, failed, width, processes.stop)


def run_task(task: Task, home: Folder) -> None:
    """By its stage. Raises what the stage raises."""
    stages: dict[Kind, Callable[[Recipe], Any]] = {
        Kind.GENERATE: generate,
        Kind.CONVERT: convert,
        Kind.TRAIN: train_student,
        Kind.EVALUATE: evaluate,
    }
    share(task, home)
    stages[task.kind](task.recipe)


def share(task: Task, home: Folder) -> None:
    """What others have of its rows is taken over, before it asks for any."""
    if task.kind is Kind.GENERATE:
        share_generation(task.recipe, home)
    if task.kind is Kind.EVALUATE:
        share_evaluations(task.recipe, home)


def answer_of(part: Part, failures: dict[str, str], recipes: Sequence[Recipe]) -> tuple[Answer, list[Missing]]:
    """From the rows that are written. Cells that failed, whose rows cannot be read, or whose seeds were asked other
    questions are missing, and why is said."""
    results, missing = [], []
    for cell in part.cells:
        task = part.graph.tasks[part.graph.by_cell[cell.name]]
        if task.id in failures:
            missing.append(Missing(cell.name, failures[task.id]))
            continue
        try:
            results += [read_result(asked) for asked in asked_of(cell, task.recipe)]
        except FireActError as error:
            missing.append(Missing(cell.name, str(error)))
    groups, unlike = grouped(results)
    missing += unlike
    sections = sections_of(part.config.tables, groups, missing, paper_numbers())
    facts = facts_of(recipes, len(part.cells), len(missing))
    return Answer(part.config.name, part.config.question, facts, sections), missing


def write_answers(folder: Folder, title: str, answers: Sequence[Answer]) -> None:
    folder.write("report.json", answers_json(answers))
    folder.write("report.md", answers_markdown(title, answers))
    folder.write("report.html", page_of(title, answers))
    logger.info("experiment: -> %s/report.html", folder.uri)


def demand_known(recipes: Sequence[Recipe]) -> None:
    """Raises InputError where two recipes have one name."""
    names = [recipe.name for recipe in recipes]
    if len(set(names)) < len(names):
        raise InputError(f"--recipe: {', '.join(names)}: each recipe needs a name of its own.")
