"""The think-act-observe loop: one question in, its steps and at last one Trajectory out.

A bad episode is a Trajectory with a StopReason, never an exception; only ModelDenied and ToolDenied (key, billing,
quota) and BudgetExhausted travel up, because every further call would fail as well. Programming errors travel up too.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TypeVar

from fireact_ray.agent.methods.base import Method
from fireact_ray.agent.models.base import ChatModel, Completion, Sampling, spoken
from fireact_ray.agent.tools.base import Tool
from fireact_ray.core.dialect import OPEN_ENDED
from fireact_ray.core.errors import ModelDenied, ModelError, TokenLimit
from fireact_ray.core.grammar import Parsed
from fireact_ray.core.observations import INVALID_ACTION, UNKNOWN_TOOL
from fireact_ray.core.types import Action, Observation, ObservationStatus, Question, Step, StopReason
from fireact_ray.core.utils.deadline import bounding

Reply = TypeVar("Reply")
_ROUNDING_S = 1e-6


@dataclass(frozen=True, slots=True)
class Limits:
    """When a rollout ends without `finish`. `max_invalid` counts replies without a usable action, one that calls a tool
    that is not there among them; `max_tool_errors` observations with status ERROR that a tool gave."""

    max_steps: int = 10
    max_invalid: int = 2
    max_tool_errors: int = 2
    timeout_s: float = 600.0


@dataclass(frozen=True, slots=True)
class Stopped:
    """How a rollout ended. `overhead_s`: as of a Trajectory."""

    reason: StopReason
    error: str | None = None
    overhead_s: float | None = None


class Overhead:
    """The seconds of a rollout, and what of them its calls took. Who consumes its steps may take his time: that is not
    in it."""

    def __init__(self) -> None:
        self._all = self._calls = 0.0
        self._is_known = True

    @contextmanager
    def measured(self) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        finally:
            self._all += time.monotonic() - began

    def leave_out(self, seconds: float) -> None:
        """Of the calls of what was just measured."""
        self._calls += seconds
        # Calls that say to have taken longer than there was time were answered from a journal.
        self._is_known = self._is_known and self._calls <= self._all + _ROUNDING_S

    @property
    def seconds(self) -> float | None:
        return max(0.0, self._all - self._calls) if self._is_known else None


async def rollout(
    question: Question,
    *,
    method: Method,
    model: ChatModel,
    tools: Mapping[str, Tool],
    sampling: Sampling,
    limits: Limits,
) -> AsyncIterator[Step | Stopped]:
    """Yield each Step as it is complete, then one Stopped."""
    steps: list[Step] = []
    overhead = Overhead()
    sampling = replace(sampling, stop=method.stop)
    deadline = asyncio.get_running_loop().time() + limits.timeout_s
    while len(steps) < limits.max_steps:
        try:
            async with asyncio.timeout_at(deadline) as timeout:
                with overhead.measured(), bounding(timeout):
                    step = await _step(question, steps, method, model, tools, sampling)
                deadline = timeout.when() or deadline  # later where the step had to wait for a quota
        except ModelDenied:
            raise
        except (TimeoutError, ModelError) as error:
            yield replace(stopped_by(error, limits), overhead_s=overhead.seconds)
            return
        steps.append(step)
        overhead.leave_out(step.model_latency_s + step.tool_latency_s)
        yield step
        if step.observation is None:
            yield Stopped(StopReason.FINISHED, None, overhead.seconds)
            return
        if sum(map(_is_unusable, steps)) > limits.max_invalid:
            yield Stopped(StopReason.PARSE_ERROR, "too many replies without a usable action", overhead.seconds)
            return
        if sum(map(_tool_failed, steps)) > limits.max_tool_errors:
            yield Stopped(StopReason.TOOL_ERROR, "too many failed tool calls", overhead.seconds)
            return
    yield Stopped(StopReason.MAX_STEPS, None, overhead.seconds)


def stopped_by(error: TimeoutError | ModelError, limits: Limits) -> Stopped:
    if isinstance(error, TimeoutError):
        return Stopped(StopReason.TIMEOUT, f"TimeoutError: no end within {limits.timeout_s:g} s")
    reason = StopReason.MAX_TOKENS if isinstance(error, TokenLimit) else StopReason.MODEL_ERROR
    return Stopped(reason, f"{type(error).__name__}: {error}")


def is_cut(completion: Completion, parsed: Parsed) -> bool:
    """Whether a reply was ended by its limit before its action was whole."""
    return completion.finish_reason == "length" and (parsed.action is None or not OPEN_ENDED.isdisjoint(parsed.repairs))


async def in_time(call: Awaitable[Reply], timeout_s: float) -> Reply:
    """What `call` returns. Raises TimeoutError; time that it waits for a quota does not count."""
    async with asyncio.timeout(timeout_s) as timeout:
        with bounding(timeout):
            return await call


async def _step(
    question: Question,
    steps: list[Step],
    method: Method,
    model: ChatModel,
    tools: Mapping[str, Tool],
    sampling: Sampling,
) -> Step:
    asked = time.monotonic()
    completion = spoken(await model.complete(method.turns(question, steps), sampling))
    replied = time.monotonic()
    parsed = method.parse(completion.text)
    if is_cut(completion, parsed):
        is_said = bool(completion.text.strip())
        spent = "without the end of an action" if is_said else "of hidden reasoning; raise max_new_tokens"
        raise TokenLimit(f"a reply reached {sampling.max_new_tokens} tokens {spent}")
    observation = await _observe(parsed.action, method, tools)
    return Step(
        thought=parsed.thought,
        action=parsed.action,
        observation=observation,
        completion=completion.text,
        usage=completion.usage,
        model_latency_s=replied - asked if completion.latency_s is None else completion.latency_s,
        tool_latency_s=(observation.latency_s or 0.0) if observation else 0.0,
        reasoning=completion.reasoning,
        repairs=parsed.repairs,
    )


async def _observe(action: Action | None, method: Method, tools: Mapping[str, Tool]) -> Observation | None:
    """None after `finish`; an unusable action is answered from the catalogue."""
    if action is None:
        return Observation(INVALID_ACTION, ObservationStatus.ERROR)
    if action.tool == "finish":
        return None
    if action.tool not in method.tools:
        return Observation(UNKNOWN_TOOL, ObservationStatus.ERROR)
    asked = time.monotonic()
    observation = await tools[action.tool](action.argument)
    if observation.latency_s is None:
        return replace(observation, latency_s=time.monotonic() - asked)
    return observation


def _is_unusable(step: Step) -> bool:
    return step.observation is not None and step.observation.text in (INVALID_ACTION, UNKNOWN_TOOL)


def _tool_failed(step: Step) -> bool:
    failed = step.observation is not None and step.observation.status is ObservationStatus.ERROR
    return failed and not _is_unusable(step)
