"""An agent as a replica serves it: its questions take turns, each in a conversation with one engine replica."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import nullcontext
from dataclasses import dataclass, fields, replace
from typing import Self

from fireact_ray.agent.agent import Agent
from fireact_ray.core.types import Question, Step, Trajectory
from fireact_ray.stages.actors.conversations import EnginePool


@dataclass(frozen=True, kw_only=True)
class ServedAgent(Agent):
    """`turns`: how many questions of a replica run at once; the others wait, and a question's time runs meanwhile.
    `engines` None: its model is a provider's, or what else needs no conversation."""

    turns: asyncio.Semaphore
    engines: EnginePool | None = None

    @classmethod
    def of(cls, agent: Agent, turns: asyncio.Semaphore, engines: EnginePool | None) -> Self:
        own = {field.name: getattr(agent, field.name) for field in fields(Agent)}
        return cls(**own, turns=turns, engines=engines)

    async def stream(self, question: Question, attempt: int = 0) -> AsyncIterator[Step | Trajectory]:
        trajectory: Trajectory | None = None
        asked = asyncio.get_running_loop().time()
        async with self.turns, nullcontext() if self.engines is None else self.engines.conversation():
            waited = asyncio.get_running_loop().time() - asked
            limits = replace(self.limits, timeout_s=max(0.0, self.limits.timeout_s - waited))
            async for event in Agent.stream(replace(self, limits=limits), question, attempt):
                if isinstance(event, Trajectory):
                    trajectory = event
                else:
                    yield event
        if trajectory is not None:
            yield trajectory  # its turn is over, and the engine knows that the conversation is
