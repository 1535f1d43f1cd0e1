"""The journal: every paid reply is on disk before it is used, so that no work is paid for twice.

A worker appends one JSON line per reply to a file of its own. A rollout that was killed is simply run again: calls
whose reply stands in the journal are answered from there, in order, and the first call without one is the first that
is made. A torn last line (the worker died while writing) counts as not written.
"""

from __future__ import annotations

import json
import time
import uuid
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from fireact_ray.agent import Agent
from fireact_ray.hashing import content_hash
from fireact_ray.models.base import ChatModel, Completion, Sampling
from fireact_ray.quota.budget import Spent
from fireact_ray.tools.base import Tool
from fireact_ray.types import Observation, ObservationStatus, Turn, Usage


class Journal:
    """All replies that any worker has recorded under `folder`; appends go to a new file of this process."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._entries = {
            entry["call"]: entry["reply"] for path in sorted(folder.glob("*.jsonl")) for entry in _read(path)
        }
        self._file = (folder / f"{uuid.uuid4().hex}.jsonl").open("a", encoding="utf-8")

    def get(self, call: str) -> dict[str, Any] | None:
        return self._entries.get(call)

    def put(self, call: str, reply: dict[str, Any]) -> None:
        """On return the reply is with the operating system: it survives the death of this process."""
        self._file.write(json.dumps({"call": call, "reply": reply}, ensure_ascii=True) + "\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def paid_for(folder: Path) -> Spent:
    """Everything that stands in a folder of journals: each model reply once. A missing folder holds nothing."""
    return sum(paid_by_row(folder).values(), Spent())


def paid_by_row(folder: Path) -> dict[str, Spent]:
    """The same by the key of the trajectory, rows that never became whole included."""
    paid: defaultdict[str, Spent] = defaultdict(Spent)
    for path in sorted(folder.glob("*.jsonl")):
        for entry in _read(path):
            trajectory_id, tool, *_ = entry["call"].split("/")
            if tool == "model":
                paid[trajectory_id] += Spent(1, Usage(**entry["reply"]["usage"]))
    return dict(paid)


def journaled(agent: Agent, journal: Journal, trajectory_id: str) -> Agent:
    """`agent` for one rollout, with every model reply and observation going through the journal."""
    return replace(
        agent,
        model=_JournaledModel(agent.model, journal, trajectory_id),
        tools={name: _JournaledTool(tool, journal, trajectory_id) for name, tool in agent.tools.items()},
    )


@dataclass
class _JournaledModel:
    """Calls are named by trajectory, content and how often this content was asked for before."""

    inner: ChatModel
    journal: Journal
    trajectory_id: str
    n_calls: int = 0

    @property
    def name(self) -> str:
        return self.inner.name

    async def complete(self, turns: Sequence[Turn], sampling: Sampling) -> Completion:
        self.n_calls += 1
        asked = [[turn.role, turn.content] for turn in turns]
        call = f"{self.trajectory_id}/model/{self.n_calls}/{content_hash(asked)}"
        if (reply := self.journal.get(call)) is not None:
            return Completion(**{**reply, "usage": Usage(**reply["usage"])})
        started = time.monotonic()
        completion = await self.inner.complete(turns, sampling)
        if completion.latency_s is None:
            completion = replace(completion, latency_s=time.monotonic() - started)
        self.journal.put(call, asdict(completion))
        return completion

    async def close(self) -> None:
        await self.inner.close()


@dataclass
class _JournaledTool:
    inner: Tool
    journal: Journal
    trajectory_id: str
    n_calls: int = 0

    @property
    def name(self) -> str:
        return self.inner.name

    @property
    def fingerprint(self) -> str:
        return self.inner.fingerprint

    async def __call__(self, argument: str) -> Observation:
        self.n_calls += 1
        call = f"{self.trajectory_id}/{self.name}/{self.n_calls}/{content_hash(argument)}"
        if (reply := self.journal.get(call)) is not None:
            return Observation(reply["text"], ObservationStatus(reply["status"]))
        observation = await self.inner(argument)
        if observation.status is not ObservationStatus.ERROR:  # a failure is worth another try after a restart
            self.journal.put(call, asdict(observation))
        return observation


def _read(path: Path) -> list[dict[str, Any]]:
    entries = []
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            try:
                entries.append(json.loads(line))
            except ValueError:  # torn by a kill: this reply was never used
                continue
    return entries
