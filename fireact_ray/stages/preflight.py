"""The teacher's first call, made before anything is started: does it answer, as it is asked?

It is a call of the run: the first that the first pending row has not paid for yet, journaled like every other, so that
the worker which gets the row finds its reply. What a run would learn from all its rows, it learns from this one.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby

from fireact_ray.agent.agent import Agent
from fireact_ray.agent.models.base import ChatModel, Completion, Sampling
from fireact_ray.agent.quota.budget import Spent
from fireact_ray.agent.quota.gate import LocalQuota
from fireact_ray.agent.tools.base import SearchBackend
from fireact_ray.core.errors import SameFailure
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.types import Trajectory, Turn
from fireact_ray.recipe.teacher import TeacherAgents, teacher_limits
from fireact_ray.rollouts.completed import read_written
from fireact_ray.rollouts.failure_streak import failure_of
from fireact_ray.rollouts.journal import Journal, paid_for, read_journal
from fireact_ray.rollouts.plan import PLAN, Planned, planned_row, read_policy
from fireact_ray.rollouts.replay import journaled
from fireact_ray.rollouts.retries import read_counts
from fireact_ray.stages.shared_quota import account_of

logger = logging.getLogger(__name__)


def preflight(home: Folder, builder: TeacherAgents, backend: SearchBackend, only: frozenset[str] | None) -> None:
    """After the plan is written. `only`: these rows are run.

    Raises SameFailure where the teacher gives no usable reply, and what a rollout raises: ModelDenied, ToolDenied,
    BudgetExhausted. All rows are then still pending.
    """
    row = _first_pending(home, only)
    if row is not None:
        asyncio.run(_ask(home, builder, backend, row))


async def _ask(home: Folder, builder: TeacherAgents, backend: SearchBackend, row: Planned) -> None:
    recipe = builder.recipe
    account = account_of(recipe)
    spent = sum((paid_for(Folder(folder)) for folder in account.journals), Spent())
    agents = replace(builder, quota=LocalQuota(teacher_limits(recipe), account, spent))(backend)
    heard = _Heard(agents[row.method].model)
    entries = read_journal(home / "journal", wanted=row.trajectory_id.__eq__)
    paid = {entry.call: entry for entry in entries if entry.reply is not None}
    journal = Journal(home / "journal", f"preflight-{uuid.uuid4().hex[:8]}")
    agent = replace(agents[row.method], model=heard)
    try:
        await _until_heard(journaled(agent, journal, row.trajectory_id, paid, offline=False), heard, row)
    finally:
        journal.close()
        for agent in agents.values():
            await agent.close()
        await backend.close()


async def _until_heard(agent: Agent, heard: _Heard, row: Planned) -> None:
    async for event in agent.stream(row.question, row.attempt):
        if heard.replies:
            return
        if isinstance(event, Trajectory) and (failure := failure_of(event)):
            raise SameFailure(
                f"The first call failed: {failure}. Nothing else was asked, and all rows are pending. "
                "Put right what it names, and run the same command again."
            )


@dataclass
class _Heard:
    """A chat model that counts its replies; those from the journal do not come by here."""

    inner: ChatModel
    replies: int = field(default=0)

    @property
    def name(self) -> str:
        return self.inner.name

    async def complete(self, turns: Sequence[Turn], sampling: Sampling) -> Completion:
        completion = await self.inner.complete(turns, sampling)
        self.replies += 1
        return completion

    async def close(self) -> None:
        await self.inner.close()


def _first_pending(home: Folder, only: frozenset[str] | None) -> Planned | None:
    """Of the rows that no earlier run has tried: one that failed before may fail by its own fault."""
    written, accepted = read_written(home / "trajectories")
    retried, target = read_counts(home), read_policy(home).target_accepted
    rows = (row for batch in home.read_batches(PLAN) for row in batch.to_pylist())
    for _, line in groupby(rows, key=lambda row: row["line"]):
        members = list(line)
        states = written.find([row["trajectory_id"] for row in members])
        for row, state in zip(members, states, strict=True):
            key = row["trajectory_id"]
            if any(states) or (target is not None and accepted[row["method"]] >= target):
                continue  # it is not needed
            if state is None and key not in retried and (only is None or key in only):
                return planned_row(row)
    return None
