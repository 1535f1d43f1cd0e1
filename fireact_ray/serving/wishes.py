"""What a client asks of the agent beside the question, and what of it is granted: an Agent within the server's limits.

A wish never widens what the agent may do. One that is not met is named in the reply, with the reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from fireact_ray.agent.agent import Agent
from fireact_ray.agent.tools.faults import FaultPlan
from fireact_ray.agent.tools.noise import Noise
from fireact_ray.serving.errors import ApiError
from fireact_ray.serving.request_fields import FireactOptions
from fireact_ray.serving.settings import ServingSettings

Number = TypeVar("Number", int, float)


@dataclass(frozen=True, slots=True)
class Wishes:
    """None: nothing is wished. `faults`: to order in the searches; `trajectory`: show the whole of it in the reply."""

    max_tokens: int | None = None
    temperature: float | None = None
    seed: int | None = None
    max_steps: int | None = None
    max_seconds: float | None = None
    max_cost_usd: float | None = None
    faults: FaultPlan | None = None
    trajectory: bool = False


def wishes_of(
    options: FireactOptions | None, max_tokens: int | None, temperature: float | None, seed: int | None = None
) -> Wishes:
    """Of the protocol's own fields and of `fireact`."""
    ours = options or FireactOptions()
    return Wishes(
        max_tokens=max_tokens,
        temperature=temperature,
        seed=seed,
        max_steps=ours.max_steps,
        max_seconds=ours.max_seconds,
        max_cost_usd=ours.max_cost_usd,
        faults=ours.faults.plan() if ours.faults else None,
        trajectory=ours.trajectory,
    )


@dataclass(frozen=True, slots=True)
class Allowance:
    """What one question may use, all turns together. None: as much as the agent's own limits allow."""

    max_tokens: int | None = None
    max_cost_usd: float | None = None


@dataclass(frozen=True)
class Granted:
    """`ignored`: what was asked and is not done, by the name of its field."""

    agent: Agent
    allowance: Allowance
    ignored: Mapping[str, str] = field(default_factory=dict)


def granted(agent: Agent, wishes: Wishes, settings: ServingSettings) -> Granted:
    """Raises ApiError (400) for faults where the server allows none."""
    ignored: dict[str, str] = {}
    limits, sampling, noise = agent.limits, agent.sampling, agent.noise
    steps = _least(wishes.max_steps, settings.max_steps, limits.max_steps)
    seconds = _least(wishes.max_seconds, settings.max_seconds, limits.timeout_s)
    if wishes.temperature is not None:
        temperature = min(wishes.temperature, settings.max_temperature)
        sampling = replace(sampling, temperature=temperature)
        if temperature < wishes.temperature:
            ignored["temperature"] = f"lowered to {temperature:g}, the most that this server allows"
    if wishes.seed is not None:
        sampling = replace(sampling, seed=wishes.seed)
    if wishes.faults is not None:
        if not settings.faults:
            raise ApiError(400, "This server lets nobody order faults in its searches.", param="fireact.faults")
        noise = Noise(wishes.faults, tuple(example.text for example in settings.page.examples))
    cost = _least(wishes.max_cost_usd, settings.max_cost_usd)
    if cost is not None and agent.price is None:
        cost = None
        ignored["fireact.max_cost_usd"] = "what this agent's calls cost is not known"
    within = replace(
        agent, limits=replace(limits, max_steps=steps or 0, timeout_s=seconds or 0.0), sampling=sampling, noise=noise
    )
    return Granted(within, Allowance(_least(wishes.max_tokens, settings.max_tokens), cost), ignored)


def _least(*limits: Number | None) -> Number | None:
    return min((limit for limit in limits if limit is not None), default=None)
