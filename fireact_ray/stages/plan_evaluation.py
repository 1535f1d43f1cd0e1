"""Plan: how long an evaluation will take, by recorded rows of the same systems. Nothing is asked or started for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass

from fireact_ray.core.errors import FireActError
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.types import Question
from fireact_ray.core.utils.text import UNKNOWN, duration_text
from fireact_ray.evaluation.pace import Pace, asked_in, pace_of
from fireact_ray.recipe.schema import Recipe
from fireact_ray.recipe.students import StudentConfig
from fireact_ray.recipe.systems import Entry, ModelSystem, RunSystem, StudentSystem
from fireact_ray.recipe.trials import Trial, trials_of
from fireact_ray.rollouts.pool import OPEN_PER_SLOT
from fireact_ray.tasks import load_questions


@dataclass(frozen=True)
class ExpectedTrial:
    """What is left of a trial: `n` questions, beside `n_shared` that others ask. `seconds` None: no recorded row
    tells."""

    trial: Trial
    n: int
    n_shared: int
    pace: Pace | None
    seconds: float | None


def questions_of(recipe: Recipe) -> list[Question]:
    config = recipe.evaluate
    return load_questions(recipe.task.name, recipe.task.path, config.split, config.n_questions)


def expected_trials(
    recipe: Recipe,
    questions: Sequence[Question],
    pace: Callable[[Trial], Pace | None],
    elsewhere: Callable[[Trial], Set[str]] = lambda _: frozenset(),
) -> list[ExpectedTrial]:
    """`pace`: of the rows that are recorded of such a trial, wherever. `elsewhere`: the questions, by id, whose rows
    will be taken over from others. Recorded runs are read, and take no time."""
    home, ids = Folder(recipe.run_dir) / "evaluations", frozenset(question.id for question in questions)
    found = []
    for trial in trials_of(recipe):
        missing = ids - asked_in(home / trial.label / "trajectories")
        left = len(missing - elsewhere(trial))
        n_shared = len(missing) - left
        if not left or isinstance(trial.entry, RunSystem):
            found.append(ExpectedTrial(trial, 0, n_shared, None, 0.0))
            continue
        known = pace(trial)
        at_once = recipe.evaluate.concurrency * (1 if _is_local(recipe, trial.entry) else OPEN_PER_SLOT)
        seconds = known.seconds_for(left, at_once) if known else None
        found.append(ExpectedTrial(trial, left, n_shared, known, seconds))
    return found


def evaluation_section(recipe: Recipe) -> str:
    """For `fireact plan`: by what this run has recorded of the same systems."""
    home = Folder(recipe.run_dir) / "evaluations"
    try:
        trials = expected_trials(
            recipe, questions_of(recipe), lambda trial: pace_of(home / trial.label / "trajectories")
        )
    except FireActError as error:
        return f"evaluation is not planned: {error}"
    return "\n".join(["evaluation, by the rows that this run has recorded of each system:", *map(_line, trials)])


def _line(one: ExpectedTrial) -> str:
    if not one.n:
        return f"- {one.trial.label}: nothing left to ask"
    time = f"{duration_text(one.seconds)}, measured on {one.pace.n} rows" if one.pace else f"time {UNKNOWN}"
    return f"- {one.trial.label}: {one.n} questions, {time}"


def _is_local(recipe: Recipe, entry: Entry) -> bool:
    """As stages.evaluate opens it: on our own engine, one rollout a slot."""
    own = isinstance(entry, StudentSystem) and isinstance(recipe.student, StudentConfig)
    return own or isinstance(entry, ModelSystem)
