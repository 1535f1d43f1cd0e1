"""Trajectory <-> Parquet row. Plain Arrow types only, so that any reader of Parquet reads it as it is.

Flat columns are for filtering and counting; `steps` holds the whole episode. Derived columns (answer, counts) are
written for readers' convenience and ignored when a row is read back.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa

from fireact_ray.core.types import (
    Action,
    Observation,
    ObservationStatus,
    Question,
    Score,
    Step,
    StopReason,
    Trajectory,
    Usage,
)

_STEP = pa.struct(
    [
        ("thought", pa.string()),
        ("action", pa.struct([("tool", pa.string()), ("argument", pa.string())])),
        ("observation", pa.struct([("text", pa.string()), ("status", pa.string())])),
        ("completion", pa.string()),
        ("usage", pa.struct([(name, pa.int64()) for name in ("prompt_tokens", "completion_tokens", "cached_tokens")])),
        ("model_latency_s", pa.float64()),
        ("tool_latency_s", pa.float64()),
        ("reasoning", pa.string()),
        ("repairs", pa.list_(pa.string())),
    ]
)

TRAJECTORY_SCHEMA = pa.schema(
    [
        ("trajectory_id", pa.string()),
        ("task", pa.string()),
        ("question_id", pa.string()),
        ("kind", pa.string()),
        ("question", pa.string()),
        ("answers", pa.list_(pa.string())),
        ("method", pa.string()),
        ("model", pa.string()),
        ("attempt", pa.int32()),
        ("stop_reason", pa.string()),
        ("error", pa.string()),
        ("answer", pa.string()),
        ("exact_match", pa.float64()),
        ("f1", pa.float64()),
        ("n_steps", pa.int32()),
        ("n_searches", pa.int32()),
        ("prompt_tokens", pa.int64()),
        ("completion_tokens", pa.int64()),
        ("cost_usd", pa.float64()),
        ("wall_time_s", pa.float64()),
        ("overhead_s", pa.float64()),
        ("schema_version", pa.int32()),
        ("steps", pa.list_(_STEP)),
    ]
)

_LATER = ("overhead_s",)  # columns that parts of earlier versions do not have

EXAMPLE_SCHEMA = pa.schema(
    [
        ("trajectory_id", pa.string()),
        ("input_ids", pa.list_(pa.int32())),
        ("loss_mask", pa.list_(pa.int8())),  # 1 = trained
        ("length", pa.int32()),  # of both
    ]
)


def to_row(trajectory: Trajectory) -> dict[str, Any]:
    question, score, usage = trajectory.question, trajectory.score, trajectory.usage
    return {
        "trajectory_id": trajectory.trajectory_id,
        "task": question.task,
        "question_id": question.id,
        "kind": question.kind,
        "question": question.text,
        "answers": list(question.answers),
        "method": trajectory.method,
        "model": trajectory.model,
        "attempt": trajectory.attempt,
        "stop_reason": str(trajectory.stop_reason),
        "error": trajectory.error,
        "answer": trajectory.answer,
        "exact_match": score.exact_match if score else None,
        "f1": score.f1 if score else None,
        "n_steps": len(trajectory.steps) if trajectory.tells_steps else None,
        "n_searches": trajectory.n_searches if trajectory.tells_steps else None,
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "cost_usd": trajectory.cost_usd,
        "wall_time_s": trajectory.wall_time_s,
        "overhead_s": trajectory.overhead_s,
        "schema_version": trajectory.schema_version,
        "steps": [step.to_dict() for step in trajectory.steps],
    }


def to_table(trajectories: Iterable[Trajectory]) -> pa.Table:
    return pa.Table.from_pylist([to_row(trajectory) for trajectory in trajectories], schema=TRAJECTORY_SCHEMA)


def as_stored_now(table: pa.Table) -> pa.Table:
    """A part, also of an earlier version, by TRAJECTORY_SCHEMA: columns that came later are null. Raises KeyError or
    ValueError where it is none of ours."""
    for name in _LATER:
        if name not in table.column_names:
            table = table.append_column(name, pa.nulls(len(table), TRAJECTORY_SCHEMA.field(name).type))
    return table.select(TRAJECTORY_SCHEMA.names).cast(TRAJECTORY_SCHEMA)


def from_row(row: dict[str, Any]) -> Trajectory:
    """Built field by field: reading rows is a good part of what converting a million of them costs."""
    question = Question(row["task"], row["question_id"], row["question"], tuple(row["answers"]), row["kind"])
    return Trajectory(
        trajectory_id=row["trajectory_id"],
        question=question,
        method=row["method"],
        model=row["model"],
        attempt=row["attempt"],
        steps=tuple(map(_step, row["steps"])),
        stop_reason=StopReason(row["stop_reason"]),
        score=None if row["exact_match"] is None else Score(row["exact_match"], row["f1"]),
        error=row["error"],
        cost_usd=row["cost_usd"],
        overhead_s=row.get("overhead_s"),  # parts of earlier versions have none
        schema_version=row["schema_version"],
    )


def _step(row: dict[str, Any]) -> Step:
    action, observation, usage = row["action"], row["observation"], row["usage"]
    return Step(
        row["thought"],
        action and Action(action["tool"], action["argument"]),
        observation and Observation(observation["text"], ObservationStatus(observation["status"])),
        row["completion"],
        Usage(usage["prompt_tokens"], usage["completion_tokens"], usage.get("cached_tokens")),
        row["model_latency_s"],
        row["tool_latency_s"],
        row.get("reasoning") or "",  # parts of earlier versions have neither, nor cached tokens
        tuple(row.get("repairs") or ()),
    )


def row_keys(table: pa.Table) -> np.ndarray:
    """`trajectory_id` as (N,) bytes of one width: 16 of a row, where Python's strings would take 70."""
    return np.array(table["trajectory_id"].to_pylist(), dtype=np.bytes_)
