"""A record in, what a page says of it out: `facts` to list and filter by, `body` to read.

What nobody measured is None, never 0: an imported row has neither seconds nor tokens.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from typing import Any

from fireact_ray.core.grammar import step_text
from fireact_ray.core.types import Step, Trajectory
from fireact_ray.data.examples import is_correct
from fireact_ray.data.formats.records import Record
from fireact_ray.evaluation.viewer.trained import TrainedRow

Shown = Callable[[str], str]  # a text of anybody -> one that is safe to look at


class Verdict(StrEnum):
    RIGHT = "right"
    WRONG = "wrong"  # also an episode that ended without an answer to a question with a known one
    UNSCORED = "unscored"  # nobody knows the answer
    UNREADABLE = "unreadable"  # no trajectory can be read from the row


def verdict_of(record: Record) -> Verdict:
    trajectory = record.trajectory
    if trajectory is None:
        return Verdict.UNREADABLE
    if trajectory.score is None:
        is_unanswered = trajectory.question.answers and trajectory.answer is None
        return Verdict.WRONG if is_unanswered else Verdict.UNSCORED
    return Verdict.RIGHT if is_correct(trajectory.score) else Verdict.WRONG


def tokens_of(trajectory: Trajectory) -> int | None:
    """Of prompts and completions."""
    usage = trajectory.usage
    return usage.prompt_tokens + usage.completion_tokens or None


def steps_of(trajectory: Trajectory) -> int | None:
    return len(trajectory.steps) if trajectory.tells_steps else None


def searches_of(trajectory: Trajectory) -> int | None:
    return trajectory.n_searches if trajectory.tells_steps else None


def seconds_of(trajectory: Trajectory) -> float | None:
    return _measured(trajectory.wall_time_s)


def finite(value: float | None) -> float | None:
    """JSON knows no NaN."""
    return value if value is not None and math.isfinite(value) else None


def facts(record: Record, shown: Shown, lint: Sequence[str], trained: TrainedRow | None) -> dict[str, Any]:
    """A value for each column of a page's index."""
    trajectory = record.trajectory
    return {
        "key": shown(trajectory.trajectory_id) if trajectory else f"row-{record.row}",
        "row": record.row,
        "verdict": str(verdict_of(record)),
        "lint": list(lint),
        "trained": trained.n_trained if trained else None,
        **(_facts(trajectory, shown) if trajectory else dict.fromkeys(_COLUMNS)),
    }


def text_lengths(record: Record) -> Iterator[int]:
    """In characters, of the texts in its card that may be long."""
    if record.trajectory is None:
        yield from (len(turn.written) for turn in record.turns)
        return
    for step in record.trajectory.steps:
        yield from (len(step.thought), len(step.completion or ""), len(step.reasoning))
        yield len(step.action.argument) if step.action else 0
        yield len(step.observation.text) if step.observation else 0


def body(record: Record, shown: Shown, trained: TrainedRow | None) -> dict[str, Any]:
    """What a card shows beyond the facts; what is empty is left out."""
    trajectory = record.trajectory
    if trajectory is None:
        turns = [[turn.role, shown(turn.written)] for turn in record.turns]
        return _filled({"fault": shown(record.fault), "turns": turns})
    pieces = trained.pieces if trained else ()
    return _filled(
        {
            "expected": [shown(answer) for answer in trajectory.question.answers],
            "model": shown(trajectory.model),
            "attempt": trajectory.attempt,
            "error": shown(trajectory.error or ""),
            "steps": [_step(step, shown) for step in trajectory.steps],
            "length": trained.n_tokens if trained else 0,
            "pieces": [[shown(text), int(is_trained)] for text, is_trained in pieces],
        }
    )


_COLUMNS = ("em", "f1", "kind", "task", "method", "stop", "answer", "steps", "searches", "seconds", "tokens", "cost")


def _facts(trajectory: Trajectory, shown: Shown) -> dict[str, Any]:
    question, score = trajectory.question, trajectory.score
    values = (
        finite(score.exact_match if score else None),
        finite(score.f1 if score else None),
        shown(question.kind),
        shown(question.task),
        shown(trajectory.method),
        str(trajectory.stop_reason),
        None if trajectory.answer is None else shown(trajectory.answer),
        steps_of(trajectory),
        searches_of(trajectory),
        seconds_of(trajectory),
        tokens_of(trajectory),
        finite(trajectory.cost_usd),
    )
    return dict(zip(_COLUMNS, values, strict=True))


def _step(step: Step, shown: Shown) -> dict[str, Any]:
    action, observation, usage = step.action, step.observation, step.usage
    received = (step.completion or "").strip()
    return _filled(
        {
            "thought": shown(step.thought),
            "tool": shown(action.tool) if action else "",
            "argument": shown(action.argument) if action else "",
            "received": shown(received) if received != step_text(step) else "",
            "reasoning": shown(step.reasoning),
            "repairs": [shown(name) for name in step.repairs],
            "observation": shown(observation.text) if observation else "",
            "status": str(observation.status) if observation else "",
            "model_s": _measured(step.model_latency_s),
            "tool_s": _measured(step.tool_latency_s),
            "prompt": usage.prompt_tokens,
            "completion": usage.completion_tokens,
        }
    )


def _measured(seconds: float) -> float | None:
    known = finite(seconds)
    return None if known is None else round(known, 3) or None


def _filled(found: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in found.items() if value not in ("", None, [], 0)}
