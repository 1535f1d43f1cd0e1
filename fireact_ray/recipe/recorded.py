"""The rows of an earlier run as a system: scored anew on the questions of this evaluation."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from fireact_ray.core.errors import InputError
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.trajectories import read_trajectories
from fireact_ray.core.types import Question, Trajectory
from fireact_ray.recipe.systems import RunSystem
from fireact_ray.tasks import TASKS


def recorded_rows(entry: RunSystem, questions: Sequence[Question]) -> list[Trajectory]:
    """One row per question, found by its id and text: the first attempt, by `entry.method` where that is set.

    Raises InputError where there is no run, where questions have no row there, and where some have several.
    """
    folder = Folder(entry.path) / "trajectories"
    if not folder.names(".parquet"):
        raise InputError(
            f"evaluate.systems, '{entry.name}': {entry.path} holds no trajectories. Give a run folder, or one of its "
            "evaluations/<name>."
        )
    found: defaultdict[tuple[str, str], list[Trajectory]] = defaultdict(list)
    for row in read_trajectories(folder):
        if row.attempt == 0 and entry.method in (None, row.method):
            found[row.question.id, row.question.text].append(row)
    rows = [found.get((question.id, question.text), []) for question in questions]
    _demand_one_each(entry, questions, rows)
    return [_scored(row, question) for question, (row,) in zip(questions, rows, strict=True)]


def _demand_one_each(entry: RunSystem, questions: Sequence[Question], rows: list[list[Trajectory]]) -> None:
    missing = [question for question, of_question in zip(questions, rows, strict=True) if not of_question]
    by = f" by {entry.method}" if entry.method else ""
    if missing:
        raise InputError(
            f"evaluate.systems, '{entry.name}': {entry.path} holds no first attempt{by} at {len(missing)} of "
            f"{len(questions)} questions, such as '{missing[0].id}' ({missing[0].text[:60]!r}). Evaluate both on the "
            "same task, split and n_questions."
        )
    several = [of_question for of_question in rows if len(of_question) > 1]
    if several:
        methods = sorted({row.method for of_question in several for row in of_question})
        models = sorted({row.model for of_question in several for row in of_question})
        raise InputError(
            f"evaluate.systems, '{entry.name}': {entry.path} holds several first attempts at {len(several)} questions: "
            f"by {', '.join(methods)}, of {', '.join(models)}. Set method to one of those, or name a run of one model."
        )


def _scored(row: Trajectory, question: Question) -> Trajectory:
    """By the accepted answers of today's question."""
    score = TASKS[question.task].score(question, row.answer) if question.answers else None
    return replace(row, question=question, score=score)
