"""An agent as a replica serves it: each question is a conversation with one engine replica, is counted, may be kept."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields, replace
from typing import Self

from fireact_ray.agent.agent import Agent
from fireact_ray.agent.models.local import LocalChat
from fireact_ray.core.types import Question, Step, Trajectory
from fireact_ray.rollouts.traces import Traces
from fireact_ray.stages.actors.conversations import EnginePool
from fireact_ray.stages.serve_metrics import ServeMetrics


@dataclass(frozen=True)
class Watch:
    """What is told of the questions of one model id. `traces` None: nothing of them is kept."""

    model_id: str
    metrics: ServeMetrics
    traces: Traces | None = None


@dataclass(frozen=True, kw_only=True)
class ServedAgent(Agent):
    """`engines` None: its model is a provider's, or what else needs no conversation."""

    watch: Watch
    engines: EnginePool | None = None

    @classmethod
    def of(cls, agent: Agent, watch: Watch, engines: EnginePool | None, timeout_s: float) -> Self:
        """`timeout_s`: of a question, where the agent's own limit is not shorter."""
        own = {field.name: getattr(agent, field.name) for field in fields(Agent)}
        limits = replace(agent.limits, timeout_s=min(agent.limits.timeout_s, timeout_s))
        return cls(**{**own, "limits": limits}, watch=watch, engines=engines)

    async def stream(self, question: Question, attempt: int = 0) -> AsyncIterator[Step | Trajectory]:
        metrics, model_id = self.watch.metrics, self.watch.model_id
        trajectory, began = None, time.monotonic()
        metrics.began(model_id)
        try:
            async with self._in_conversation() as agent:
                async for event in Agent.stream(agent, question, attempt):
                    if isinstance(event, Trajectory):
                        trajectory = event
                    else:
                        metrics.step(model_id, event)
                        yield event
        finally:
            metrics.ended(model_id, trajectory, time.monotonic() - began)
        if trajectory is not None:
            if self.watch.traces is not None:
                self.watch.traces.put(trajectory)
            yield trajectory  # when the engine knows already that the conversation is over

    @asynccontextmanager
    async def _in_conversation(self) -> AsyncIterator[Agent]:
        if self.engines is None or not isinstance(self.model, LocalChat):
            yield self
            return
        async with self.engines.conversation() as engine:
            yield replace(self, model=replace(self.model, engine=engine))
