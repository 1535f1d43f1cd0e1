"""One question's way through an agent, as it happens: what the model replied, then the whole step, then the end.

Replied (thought and action, before the tool has answered) -> Step -> ... -> Ended; Silence where nothing happened for
a while. The model stands behind a wrapper that counts every reply's tokens, also of one that was cut, and ends the run
where its allowance is used up.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field, replace

from fireact_ray.agent.agent import Agent
from fireact_ray.agent.models.base import Completion, Sampling, spoken
from fireact_ray.agent.rollout import is_cut
from fireact_ray.core.errors import TokenLimit
from fireact_ray.core.hashing import content_hash
from fireact_ray.core.types import Action, Question, Step, Trajectory, Turn, Usage
from fireact_ray.serving.wishes import Allowance


@dataclass(frozen=True, slots=True)
class Replied:
    """A reply that the agent goes on with. `action` None: it held none that can be used."""

    thought: str
    action: Action | None


@dataclass(frozen=True, slots=True)
class Silence:
    """Nothing has happened for as long as a stream may be silent."""


@dataclass(frozen=True, slots=True)
class Ended:
    """`usage`: of all replies, also of one that no Step came of; `cost_usd`: of that, None where it is not known.
    `limit`: the part of the allowance that ended the run. `too_long`: the model could not even read the question."""

    trajectory: Trajectory
    usage: Usage
    cost_usd: float | None
    limit: str | None = None
    too_long: bool = False


Event = Replied | Step | Silence | Ended


async def events(
    agent: Agent, question: Question, allowance: Allowance, silence_s: float | None = None
) -> AsyncGenerator[Event, None]:
    """Closing this ends the run where it stands: model call and search are cancelled.

    Raises what Agent.run raises: ModelDenied, ToolDenied, BudgetExhausted, and programming errors.
    """
    arrived: asyncio.Queue[Replied | Step | Silence | Trajectory | None] = asyncio.Queue()
    model = _Allowed(agent, allowance, arrived.put_nowait)

    async def run() -> None:
        async for event in replace(agent, model=model).stream(question):
            arrived.put_nowait(event)

    task = asyncio.create_task(run())
    task.add_done_callback(lambda _: arrived.put_nowait(None))
    silence = _Silences(silence_s, arrived.put_nowait)
    try:
        while (event := await arrived.get()) is not None:
            silence.broken()
            yield model.ended(event) if isinstance(event, Trajectory) else event
        task.result()
    finally:
        silence.end()
        if not task.done():
            task.cancel()
            await asyncio.wait({task})


class _Silences:
    """Tells of each silence of `longest_s` (None: of none), by one timer for the whole run."""

    def __init__(self, longest_s: float | None, tell: Callable[[Silence], None]) -> None:
        self._longest_s, self._tell = longest_s, tell
        self._loop = asyncio.get_running_loop()
        self._since = self._loop.time()
        self._timer = None if longest_s is None else self._loop.call_later(longest_s, self._look, longest_s)

    def broken(self) -> None:
        self._since = self._loop.time()

    def end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _look(self, longest_s: float) -> None:
        if self._loop.time() >= self._since + longest_s:
            self._tell(Silence())
            self.broken()
        self._timer = self._loop.call_at(self._since + longest_s, self._look, longest_s)


@dataclass
class _Allowed:
    """The agent's model within an allowance, for one run."""

    agent: Agent
    allowance: Allowance
    tell: Callable[[Replied], None]
    usage: Usage = field(default_factory=Usage)
    n_replies: int = 0
    is_counted: bool = True
    limit: str | None = None
    too_long: bool = False

    @property
    def name(self) -> str:
        return self.agent.model.name

    async def complete(self, turns: Sequence[Turn], sampling: Sampling) -> Completion:
        bounded = self._bounded(sampling)
        try:
            completion = spoken(await self.agent.model.complete(turns, bounded))
        except TokenLimit:
            self.too_long = self.n_replies == 0
            raise
        self.n_replies += 1
        self.usage += completion.usage
        self.is_counted = self.is_counted and completion.usage != Usage()
        parsed = self.agent.method.parse(completion.text)
        if not is_cut(completion, parsed):
            self.tell(Replied(parsed.thought, parsed.action))
        elif bounded is not sampling:
            self.limit = "max_tokens"
        return completion

    async def close(self) -> None:
        """The model outlives its runs."""

    def _bounded(self, sampling: Sampling) -> Sampling:
        """Raises TokenLimit, which ends a run, where nothing is left of the allowance."""
        most, cost = self.allowance.max_tokens, self.cost_usd()
        if self.allowance.max_cost_usd is not None and (cost or 0.0) >= self.allowance.max_cost_usd:
            self.limit = "max_cost_usd"
        elif most is not None and self.usage.completion_tokens >= most:
            self.limit = "max_tokens"
        if self.limit is not None:
            raise TokenLimit(f"the request's {self.limit} is used up")
        if most is None or (left := most - self.usage.completion_tokens) >= sampling.max_new_tokens:
            return sampling
        return replace(sampling, max_new_tokens=left)

    def cost_usd(self) -> float | None:
        """None where the price or the tokens of a reply are not known: a part of a bill is no bill."""
        if self.agent.price is None or not self.is_counted:
            return None
        return self.agent.price.cost_usd(self.usage)

    def ended(self, trajectory: Trajectory) -> Ended:
        """A run that its allowance ended is another one than the agent's whole run: it has an id of its own."""
        if self.limit is not None:
            shaped = [trajectory.trajectory_id, self.limit, self.allowance.max_tokens, self.allowance.max_cost_usd]
            trajectory = replace(trajectory, trajectory_id=content_hash(shaped))
        return Ended(trajectory, self.usage, self.cost_usd(), self.limit, self.too_long)
