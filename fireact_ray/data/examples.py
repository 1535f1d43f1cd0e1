"""A Trajectory in, the conversation out that a student is trained on.

Whatever method made a trajectory, its steps are rendered in the one ReAct grammar in which the fine-tuned
agent is prompted: no few-shot examples, no reflection requests, no sentence that names the method, the assistant's
turns trained.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from fireact_ray.core.errors import DataError
from fireact_ray.core.grammar import episode
from fireact_ray.core.tool_specs import ARGUMENTS
from fireact_ray.core.types import Score, Step, StopReason, Trajectory, Turn
from fireact_ray.data.traces import has_hidden_reasoning, has_trace, plain_thought


class Fault(NamedTuple):
    """Why a trajectory must never be trained on; `holds` is asked with the recipe's `convert.min_f1`."""

    words: str
    holds: Callable[[Trajectory, float | None], bool]


def to_example(trajectory: Trajectory, min_f1: float | None = None) -> tuple[Turn, ...]:
    """The question, then trained replies and untrained observations in turns.

    Raises DataError where one of `FAULTS` holds. `min_f1` as `is_correct` reads it.
    """
    for name, fault in FAULTS.items():
        if fault.holds(trajectory, min_f1):
            raise DataError(
                f"Trajectory {trajectory.trajectory_id} is no training row: {fault.words}. "
                f"`fireact convert` leaves such rows out ({name})."
            )
    return conversation(trajectory)


def conversation(trajectory: Trajectory) -> tuple[Turn, ...]:
    """`to_example` of a trajectory that is known to have none of the faults."""
    return episode(trajectory.question, plain_steps(trajectory), trained=True)


def plain_steps(trajectory: Trajectory) -> list[Step]:
    """The steps without what their method left in the thoughts."""
    return [_plain(step) for step in trajectory.steps]


def _plain(step: Step) -> Step:
    thought = plain_thought(step.thought)
    return step if thought == step.thought else replace(step, thought=thought)


def is_correct(score: Score, min_f1: float | None = None) -> bool:
    """An exact match by the task's own score; with `min_f1`, an F1 of at least that much will do too."""
    return score.exact_match == 1.0 or (min_f1 is not None and score.f1 >= min_f1)


def _unfinished(trajectory: Trajectory, min_f1: float | None) -> bool:
    return trajectory.stop_reason is not StopReason.FINISHED or not trajectory.answer


def _wrong_answer(trajectory: Trajectory, min_f1: float | None) -> bool:
    """Known to be wrong. A question without a known answer is no fault; `convert.keep_unscored` decides."""
    return trajectory.score is not None and not is_correct(trajectory.score, min_f1)


def _no_action(trajectory: Trajectory, min_f1: float | None) -> bool:
    return any(step.action is None for step in trajectory.steps)


def _unknown_tool(trajectory: Trajectory, min_f1: float | None) -> bool:
    return any(step.action is not None and step.action.tool not in ARGUMENTS for step in trajectory.steps)


def _trace(trajectory: Trajectory, min_f1: float | None) -> bool:
    return has_trace(trajectory.steps)


def _hidden_reasoning(trajectory: Trajectory, min_f1: float | None) -> bool:
    return has_hidden_reasoning(trajectory.steps)


FAULTS = {
    "unfinished": Fault("it has no answer", _unfinished),
    "wrong_answer": Fault("its answer is wrong", _wrong_answer),
    "no_action": Fault("a reply holds no usable action", _no_action),
    "unknown_tool": Fault("it calls a tool that the student will not have", _unknown_tool),
    "trace": Fault("it names its method or its reward", _trace),
    "hidden_reasoning": Fault("hidden reasoning was read as what its model said", _hidden_reasoning),
}
