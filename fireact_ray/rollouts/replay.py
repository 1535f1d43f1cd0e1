"""An Agent in, the same Agent out, whose calls are answered from the journal where they are paid for already.

Resuming is replaying: there is no second code path. With `offline` nothing may be asked that was not recorded, so a
run repeats from its journal bit for bit, failures included.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fireact_ray.agent.agent import Agent
from fireact_ray.agent.models.base import ChatModel, Completion, Sampling
from fireact_ray.agent.tools.base import Tool
from fireact_ray.core import errors
from fireact_ray.core.errors import ModelDenied, ModelError
from fireact_ray.core.hashing import content_hash
from fireact_ray.core.types import Observation, ObservationStatus, Turn, Usage
from fireact_ray.rollouts.journal import Entry, Journal


def journaled(agent: Agent, journal: Journal, trajectory_id: str, paid: Mapping[str, Entry], offline: bool) -> Agent:
    """`agent` for one rollout. `paid`: what the journals hold of it, by call."""
    calls = _Calls(journal, trajectory_id, paid, offline)
    return replace(
        agent,
        model=_JournaledModel(agent.model, calls),
        tools={name: _JournaledTool(tool, calls) for name, tool in agent.tools.items()},
    )


@dataclass
class _Calls:
    """Calls are named by kind, number and content, so that another prompt never gets the reply to this one."""

    journal: Journal
    trajectory_id: str
    paid: Mapping[str, Entry]
    offline: bool
    n_calls: int = 0

    def next(self, kind: str, content: object) -> str:
        self.n_calls += 1
        return f"{kind}/{self.n_calls}/{content_hash(content)}"

    def recorded(self, call: str) -> Entry | None:
        """What was paid for, or, offline, also how it failed. Raises ModelDenied for what an offline run lacks."""
        entry = self.paid.get(call)
        if entry is None and self.offline:
            raise ModelDenied(
                f"Offline: the recording holds no '{call}' of trajectory {self.trajectory_id}. Replay the recipe that "
                "was recorded, or unset replay"
            )
        return entry if entry is None or entry.reply is not None or self.offline else None

    def put(self, call: str, reply: dict[str, Any] | None = None, error: BaseException | None = None) -> None:
        failure = None if error is None else (type(error).__name__, str(error))
        self.journal.put(Entry(self.trajectory_id, call, reply, failure))

    async def keep(self, call: str, reply: dict[str, Any]) -> None:
        """`put`, and return when it is safe, so that nothing is used that could be lost."""
        self.put(call, reply)
        await self.journal.kept()


@dataclass
class _JournaledModel:
    inner: ChatModel
    calls: _Calls

    @property
    def name(self) -> str:
        return self.inner.name

    async def complete(self, turns: Sequence[Turn], sampling: Sampling) -> Completion:
        call = self.calls.next("model", [[turn.role, turn.content] for turn in turns])
        if (entry := self.calls.recorded(call)) is not None:
            if entry.reply is None:
                raise _again(entry)
            return Completion(**{**entry.reply, "usage": Usage(**entry.reply["usage"])})
        started = time.monotonic()
        try:
            completion = await self.inner.complete(turns, sampling)
        except ModelDenied:
            raise
        except (ModelError, asyncio.CancelledError) as error:
            self.calls.put(call, error=error)
            raise
        if completion.latency_s is None:
            completion = replace(completion, latency_s=time.monotonic() - started)
        await self.calls.keep(call, _to_dict(completion))
        return completion

    async def close(self) -> None:
        await self.inner.close()


@dataclass
class _JournaledTool:
    inner: Tool
    calls: _Calls

    @property
    def name(self) -> str:
        return self.inner.name

    @property
    def fingerprint(self) -> str:
        return self.inner.fingerprint

    async def __call__(self, argument: str) -> Observation:
        call = self.calls.next(self.name, argument)
        if (entry := self.calls.recorded(call)) is not None:
            if entry.reply is None:
                raise _again(entry)
            stored = entry.reply
            reply = Observation(stored["text"], ObservationStatus(stored["status"]), stored["latency_s"])
            if reply.status is not ObservationStatus.ERROR or self.calls.offline:
                return reply  # online, a failure is worth another try after a restart
        started = time.monotonic()
        try:
            observation = await self.inner(argument)
        except asyncio.CancelledError as error:
            self.calls.put(call, error=error)
            raise
        observation = replace(observation, latency_s=time.monotonic() - started)
        await self.calls.keep(
            call, {"text": observation.text, "status": str(observation.status), "latency_s": observation.latency_s}
        )
        return observation


def _to_dict(completion: Completion) -> dict[str, Any]:
    return {
        "text": completion.text,
        "finish_reason": completion.finish_reason,
        "usage": completion.usage.to_dict(),
        "latency_s": completion.latency_s,
        **({"reasoning": completion.reasoning} if completion.reasoning else {}),
        **({"stop_reason": completion.stop_reason} if completion.stop_reason else {}),
    }


def _again(entry: Entry) -> Exception:
    """The recorded failure, as it was raised; a call that was cancelled had run out of time."""
    name, message = entry.error or ("ModelError", "")
    if name == asyncio.CancelledError.__name__:
        return TimeoutError()
    kind = getattr(errors, name, ModelError)
    return kind(message) if isinstance(kind, type) and issubclass(kind, ModelError) else ModelError(message)
