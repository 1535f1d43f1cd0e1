"""What a report needs to know of a trajectory, from a trajectory or from the flat columns of its Parquet row.

Reading a row's columns without its steps costs a tenth of reading it whole, so that a million rows are no matter.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.types import Question, Score, StopReason, Trajectory

_OF_STEPS = (("model_latency_s",), ("tool_latency_s",), ("usage", "cached_tokens"))  # numbers that are summed over them
_FLAT = (
    *("trajectory_id", "task", "question_id", "question", "kind", "answers", "method", "model", "stop_reason", "error"),
    *("answer", "exact_match", "f1", "n_steps", "n_searches", "prompt_tokens", "completion_tokens", "cost_usd"),
    "overhead_s",
)
_COLUMNS = [*_FLAT, *(f"steps.list.element.{'.'.join(path)}" for path in _OF_STEPS)]


class Episode(NamedTuple):
    """`score` is what was stored; without `f1_recorded` its F1 is only the exact match once more. Tokens and seconds
    are 0 where nobody counted or timed them; `cached_tokens` is None where no reply told, steps and searches where a
    served agent did not, `overhead_s` where nobody measured it."""

    key: str
    question: Question
    method: str
    model: str
    stop_reason: StopReason
    answer: str | None
    score: Score | None
    error: str | None = None
    n_steps: int | None = 0
    n_searches: int | None = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    model_s: float = 0.0
    tool_s: float = 0.0
    cost_usd: float | None = None
    cached_tokens: int | None = None
    overhead_s: float | None = None
    f1_recorded: bool = True


def episode_of(trajectory: Trajectory) -> Episode:
    usage = trajectory.usage
    return Episode(
        key=trajectory.trajectory_id,
        question=trajectory.question,
        method=trajectory.method,
        model=trajectory.model,
        stop_reason=trajectory.stop_reason,
        answer=trajectory.answer,
        score=trajectory.score,
        error=trajectory.error,
        n_steps=len(trajectory.steps) if trajectory.tells_steps else None,
        n_searches=trajectory.n_searches if trajectory.tells_steps else None,
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        model_s=sum(step.model_latency_s for step in trajectory.steps),
        tool_s=sum(step.tool_latency_s for step in trajectory.steps),
        cost_usd=trajectory.cost_usd,
        cached_tokens=usage.cached_tokens,
        overhead_s=trajectory.overhead_s,
    )


def stored_episodes(folder: Folder, name: str) -> Iterator[Episode]:
    """Of one Parquet part of ours, a few thousand rows at a time. Raises DataError where it cannot be read."""
    for batch in folder.read_batches(name, _COLUMNS):
        sums = zip(*(_sums(batch["steps"], path) for path in _OF_STEPS), strict=True)
        columns = (_column(batch, name) for name in _FLAT)
        for row, of_steps in zip(zip(*columns, strict=True), sums, strict=True):
            yield _episode(row, *of_steps)


def _episode(row: tuple[Any, ...], model_s: float | None, tool_s: float | None, cached: float | None) -> Episode:
    key, task, question_id, text, kind, answers, method, model, reason, error = row[:10]
    answer, exact, f1, n_steps, n_searches, prompt_tokens, completion_tokens, cost_usd, overhead_s = row[10:]
    return Episode(
        key,
        Question(task, question_id, text, tuple(answers), kind),
        method,
        model,
        StopReason(reason),
        answer,
        None if exact is None else Score(exact, f1),
        error,
        n_steps,
        n_searches,
        prompt_tokens,
        completion_tokens,
        model_s or 0.0,
        tool_s or 0.0,
        cost_usd,
        None if cached is None else int(cached),
        overhead_s,
    )


def _column(batch: pa.RecordBatch, name: str) -> list[Any]:
    """None for each row of a part of an earlier version that has no such column."""
    return batch[name].to_pylist() if name in batch.schema.names else [None] * len(batch)


def _sums(steps: pa.ListArray, path: tuple[str, ...]) -> list[float | None]:
    """Of a number of every step, by row; None where no step has it, as in parts of earlier versions."""
    values = pc.list_flatten(steps)
    for name in path:
        if values.type.get_field_index(name) < 0:
            return [None] * len(steps)
        values = pc.struct_field(values, name)
    table = (
        pa.table({"row": pc.list_parent_indices(steps), "value": values}).group_by("row").aggregate([("value", "sum")])
    )
    sums: list[float | None] = [None] * len(steps)
    for row, total in zip(table["row"].to_pylist(), table["value_sum"].to_pylist(), strict=True):
        sums[row] = total
    return sums
