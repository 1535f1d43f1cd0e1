"""The rows that a run owes, and which of them are still worth asking for.

A row is a question, a method and an attempt. Rows stand in lines: of a line, a row is needed only where every row
before it was not accepted. Independent rows are lines of one. Escalation puts all methods of a question into one line
(the cheapest first), `until_accepted` the attempts of one method.

    plan.parquet    one row per planned row, lines together; the policy is in the schema's metadata
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice

import pyarrow as pa

from fireact_ray.agent.agent import Agent
from fireact_ray.core.json_text import parse
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.types import Question
from fireact_ray.rollouts.completed import Written

PLAN = "plan.parquet"
_LINES_PER_GROUP = 10_000
_POLICY = b"fireact_policy"
_SCHEMA = pa.schema(
    [
        ("trajectory_id", pa.string()),
        ("line", pa.int64()),
        ("method", pa.string()),
        ("attempt", pa.int32()),
        ("question", pa.string()),  # JSON
    ]
)


@dataclass(frozen=True, slots=True)
class Planned:
    """One row that a run owes: a question, a method, an attempt, and the key of the result."""

    trajectory_id: str
    question: Question
    method: str
    attempt: int = 0


Line = tuple[Planned, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """How far to go. `attempts`: rollouts per question and method; with `until_accepted` the next one is made only
    where those before it failed. `escalate`: the next method only where the former failed. `target_accepted`: per
    method, what makes further rows of it skipped."""

    attempts: int = 1
    until_accepted: bool = False
    escalate: bool = False
    target_accepted: int | None = None


def plan_lines(questions: Sequence[Question], agents: Mapping[str, Agent], policy: Policy) -> Iterator[Line]:
    """All rows in the order in which they are begun.

    Without escalation methods that make several calls come first: what is short fills the slots while the last long
    rollouts end.
    """
    if policy.escalate:
        for question in questions:
            yield tuple(
                _row(question, name, agent, attempt)
                for name, agent in agents.items()
                for attempt in range(policy.attempts)
            )
        return
    for name, agent in sorted(agents.items(), key=lambda item: not item[1].method.tools):
        for question in questions:
            rows = [_row(question, name, agent, attempt) for attempt in range(policy.attempts)]
            yield from [tuple(rows)] if policy.until_accepted else [(row,) for row in rows]


@dataclass(frozen=True, slots=True)
class PlanSize:
    """Rows. `pending`: the most that may still have to be run; lines of which one was accepted have none."""

    planned: int
    pending: int


def write_plan(home: Folder, lines: Iterable[Line], policy: Policy, written: Written) -> PlanSize:
    """Say what the run owes, before anything is paid for."""
    schema = _SCHEMA.with_metadata({_POLICY: json.dumps(asdict(policy)).encode()})
    numbered = enumerate(lines)
    planned = pending = 0

    def tables() -> Iterator[pa.Table]:
        nonlocal planned, pending
        while chunk := list(islice(numbered, _LINES_PER_GROUP)):
            rows = [_to_row(number, row) for number, line in chunk for row in line]
            states = iter(written.find([row.trajectory_id for _, line in chunk for row in line]))
            for _, line in chunk:
                planned += len(line)
                pending += _pending([next(states) for _ in line])
            yield pa.Table.from_pylist(rows, schema=schema)

    home.write_tables(PLAN, tables(), schema)
    return PlanSize(planned, pending)


def _pending(states: Sequence[bool | None]) -> int:
    return 0 if any(states) else states.count(None)


def read_policy(home: Folder) -> Policy:
    metadata = home.read_schema(PLAN).metadata or {}
    return Policy(**parse(metadata.get(_POLICY, b"{}")))


def planned_row(row: Mapping[str, object]) -> Planned:
    """A row of plan.parquet."""
    question = Question.from_dict(parse(str(row["question"])))
    return Planned(str(row["trajectory_id"]), question, str(row["method"]), int(str(row["attempt"])))


def _row(question: Question, name: str, agent: Agent, attempt: int) -> Planned:
    return Planned(agent.trajectory_id(question, attempt), question, name, attempt)


def _to_row(line: int, row: Planned) -> dict[str, object]:
    return {
        "trajectory_id": row.trajectory_id,
        "line": line,
        "method": row.method,
        "attempt": row.attempt,
        "question": json.dumps(row.question.to_dict()),
    }
