"""The Agent: method + model + tools + limits. One object, used by generate, evaluate and serve alike."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field, replace

from fireact_ray.agent.methods.base import Method
from fireact_ray.agent.models.base import ChatModel, Sampling
from fireact_ray.agent.quota.budget import Price
from fireact_ray.agent.rollout import Limits, Stopped, rollout
from fireact_ray.agent.tools.base import SearchBackend, Tool
from fireact_ray.agent.tools.noise import Noise
from fireact_ray.core.hashing import content_hash
from fireact_ray.core.types import Question, Score, Step, Trajectory, Usage


@dataclass(frozen=True)
class Agent:
    """`score` marks an answer where the question has a known one (see tasks.Task.score); `price` is the model's.
    `noise`: faults to order in its searches."""

    method: Method
    model: ChatModel
    tools: Mapping[str, Tool]
    sampling: Sampling = field(default_factory=Sampling)
    limits: Limits = field(default_factory=Limits)
    score: Callable[[Question, str | None], Score] | None = None
    price: Price | None = None
    noise: Noise | None = None

    def trajectory_id(self, question: Question, attempt: int = 0) -> str:
        """The row key: what is asked, by which method, model, sampling, prompt and tools, for the how-manieth time."""
        return content_hash(
            {
                "task": question.task,
                "question": [question.id, question.text],
                "method": [self.method.name, self.method.prompt_hash],
                "model": self.model.name,
                "sampling": [self.sampling.temperature, self.sampling.max_new_tokens, self.sampling.seed],
                "limits": [self.limits.max_steps, self.limits.max_invalid, self.limits.max_tool_errors],
                "tools": sorted(self._fingerprint(name) for name in self.method.tools),
                "attempt": attempt,
            }
        )

    async def run(self, question: Question, attempt: int = 0) -> Trajectory:
        """One rollout to its end. A bad episode is a Trajectory too.

        Raises ModelDenied, ToolDenied and BudgetExhausted only: every further call would fail as well.
        """
        async for event in self.stream(question, attempt):
            if isinstance(event, Trajectory):
                return event
        raise AssertionError("a rollout ends with a Trajectory")

    async def stream(self, question: Question, attempt: int = 0) -> AsyncIterator[Step | Trajectory]:
        """Each Step as soon as it is complete, then the Trajectory."""
        steps: list[Step] = []
        # Attempts differ by their seed, so that asking again can give another trajectory.
        seed = None if self.sampling.seed is None else self.sampling.seed + attempt
        events = rollout(
            question,
            method=self.method,
            model=self.model,
            tools=self.tools if self.noise is None else self.noise.around(self.tools, question),
            sampling=replace(self.sampling, seed=seed),
            limits=self._limits(),
        )
        async for event in events:
            if isinstance(event, Stopped):
                yield self._trajectory(question, attempt, steps, event)
            else:
                steps.append(event)
                yield event

    async def close(self) -> None:
        await self.model.close()

    def _limits(self) -> Limits:
        """Searches that fail by order are no reason to give up: it has all its steps to answer."""
        if self.noise is None or self.noise.plan.kind != "error":
            return self.limits
        return replace(self.limits, max_tool_errors=self.limits.max_steps)

    def _fingerprint(self, tool: str) -> str:
        found = self.tools[tool].fingerprint
        return found if self.noise is None else f"{found}+{self.noise.fingerprint}"

    def _cost_usd(self, steps: list[Step]) -> float | None:
        """None where the price or the tokens of a reply are unknown: a part of a bill is no bill."""
        if self.price is None or any(step.usage == Usage() for step in steps):
            return None
        return self.price.cost_usd(sum((step.usage for step in steps), Usage()))

    def _trajectory(self, question: Question, attempt: int, steps: list[Step], stopped: Stopped) -> Trajectory:
        trajectory = Trajectory(
            trajectory_id=self.trajectory_id(question, attempt),
            question=question,
            method=self.method.name,
            model=self.model.name,
            attempt=attempt,
            steps=tuple(steps),
            stop_reason=stopped.reason,
            error=stopped.error,
            cost_usd=self._cost_usd(steps),
            overhead_s=stopped.overhead_s,
        )
        if self.score is None or not question.answers:
            return trajectory
        return replace(trajectory, score=self.score(question, trajectory.answer))


# Agents by method, built where they run; with so many slots for model calls (None: no bound).
AgentBuilder = Callable[[SearchBackend, int | None], dict[str, Agent]]
