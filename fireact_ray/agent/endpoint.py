"""A served agent as an Agent: one chat call is a whole rollout.

Steps and searches are known where the server tells them as `fireact serve` does. Elsewhere the trajectory is one step
that says so (types.STEPS_UNTOLD): nothing is counted that was not seen. What is spent stands on the last step, as it
came for all of them.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

from fireact_ray.agent.agent import Agent
from fireact_ray.agent.methods.served import told_steps
from fireact_ray.agent.models.base import Completion
from fireact_ray.agent.rollout import Overhead, Stopped, in_time, stopped_by
from fireact_ray.core.errors import ModelDenied, ModelError
from fireact_ray.core.types import STEPS_UNTOLD, Outcome, Question, Step, StopReason, Trajectory, Usage


@dataclass(frozen=True)
class EndpointAgent(Agent):
    """Its sampling, tools and limits are its own; of `limits` the time limit holds here."""

    async def stream(self, question: Question, attempt: int = 0) -> AsyncIterator[Step | Trajectory]:
        """The steps, once the reply is there, then the Trajectory. Raises ModelDenied and BudgetExhausted only."""
        steps: list[Step] = []
        overhead = Overhead()
        try:
            with overhead.measured():
                asked = time.monotonic()
                turns = self.method.turns(question, ())
                completion = await in_time(self.model.complete(turns, self.sampling), self.limits.timeout_s)
                took_s = time.monotonic() - asked if completion.latency_s is None else completion.latency_s
        except ModelDenied:
            raise
        except (TimeoutError, ModelError) as error:
            stopped = stopped_by(error, self.limits)
        else:
            steps, stopped = self._unfolded(completion)
            steps[-1] = replace(steps[-1], usage=completion.usage, model_latency_s=took_s)
            overhead.leave_out(took_s)
        for step in steps:
            yield step
        yield self._trajectory(question, attempt, steps, replace(stopped, overhead_s=overhead.seconds))

    def _unfolded(self, completion: Completion) -> tuple[list[Step], Stopped]:
        """At least one step."""
        reason = StopReason(completion.stop_reason) if completion.stop_reason else None
        if reason is not None and (told := told_steps(completion.reasoning, completion.text)):
            return list(told), _stopped(reason)
        parsed = self.method.parse(completion.text)
        is_cut = reason not in (None, StopReason.FINISHED)
        action = None if is_cut else parsed.action
        hidden, untold = completion.reasoning, (STEPS_UNTOLD,)
        step = Step(parsed.thought, action, None, completion.text, reasoning=hidden, repairs=untold)
        if reason is not None and is_cut:
            return [step], _stopped(reason)
        return [step], _stopped(StopReason.FINISHED if action else _unanswered(completion))

    def _cost_usd(self, steps: list[Step]) -> float | None:
        """Of the whole reply."""
        spent = sum((step.usage for step in steps), Usage())
        return None if self.price is None or spent == Usage() else self.price.cost_usd(spent)


def _stopped(reason: StopReason) -> Stopped:
    return Stopped(reason, "told by the endpoint" if reason.outcome is Outcome.FAILED else None)


def _unanswered(completion: Completion) -> StopReason:
    return StopReason.MAX_TOKENS if completion.finish_reason == "length" else StopReason.PARSE_ERROR
