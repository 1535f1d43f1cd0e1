"""A Trajectory in, the conversation out that a student is trained on.

Whatever method made a trajectory, its steps are rendered in the one ReAct grammar in which the fine-tuned
agent is prompted: no few-shot examples, no reflection requests, no sentence that names the method, the assistant's
turns trained.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from fireact_ray.curation.traces import has_trace, plain_thought
from fireact_ray.errors import DataError
from fireact_ray.methods.acting import episode
from fireact_ray.types import Score, StopReason, Trajectory, Turn

# What must never be trained on. A question without a known answer may be: whether it is, `convert.keep_unscored` says.
REFUSED = {
    "unfinished": "it has no answer",
    "wrong_answer": "its answer is wrong",
    "no_action": "a reply holds no usable action",
    "trace": "it names its method or its reward",
}


def to_example(trajectory: Trajectory, min_f1: float | None = None) -> tuple[Turn, ...]:
    """The question, then trained replies and untrained observations in turns.

    Raises DataError for what must never be trained on, see `REFUSED`; `min_f1` as `is_correct` reads it.
    """
    fault = refused(trajectory, min_f1)
    if fault:
        raise DataError(
            f"Trajectory {trajectory.trajectory_id} is no training row: {REFUSED[fault]} ({fault}). "
            "`fireact convert` drops such rows; give it the trajectories."
        )
    return _conversation(trajectory)


def refused(trajectory: Trajectory, min_f1: float | None = None) -> str | None:
    """The first of `REFUSED` that holds for a trajectory, None where it can be trained on."""
    checks: dict[str, Callable[[], bool]] = {
        "unfinished": lambda: trajectory.stop_reason is not StopReason.FINISHED or not trajectory.answer,
        "wrong_answer": lambda: trajectory.score is not None and not is_correct(trajectory.score, min_f1),
        "no_action": lambda: any(step.action is None for step in trajectory.steps),
        "trace": lambda: has_trace(_conversation(trajectory)),
    }
    return next((name for name in REFUSED if checks[name]()), None)


def is_correct(score: Score, min_f1: float | None = None) -> bool:
    """An exact match by the task's own score; with `min_f1`, an F1 of at least that much will do too."""
    return score.exact_match == 1.0 or (min_f1 is not None and score.f1 >= min_f1)


def _conversation(trajectory: Trajectory) -> tuple[Turn, ...]:
    steps = [replace(step, thought=plain_thought(step.thought)) for step in trajectory.steps]
    return episode(trajectory.question, steps, trained=True)
