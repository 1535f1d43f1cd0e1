"""How a recipe says which model is asked, how its replies are sampled, and when a rollout with it ends."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from fireact_ray.agent.methods import METHODS
from fireact_ray.agent.models.base import Sampling
from fireact_ray.agent.rollout import Limits
from fireact_ray.core.settings import Rate, Section, one_of
from fireact_ray.recipe.api import ApiConfig
from fireact_ray.rendering import RENDERERS

MethodName = Annotated[str, one_of("method", METHODS)]
RendererName = Annotated[str, one_of("renderer", RENDERERS)]


class OpenAIModelConfig(ApiConfig):
    """A model of an OpenAI-compatible API."""

    kind: Literal["openai"]


class ScriptedModelConfig(Section):
    """The scripted teacher: an HTTP server on loopback that works on the almanac; needs no key and no GPU."""

    kind: Literal["scripted"] = "scripted"
    error_rate: Rate = 0.1
    memory: Rate = 0.35
    latency_median_s: NonNegativeFloat = 0.0
    latency_sigma: NonNegativeFloat = 0.0


TeacherModelConfig = Annotated[OpenAIModelConfig | ScriptedModelConfig, Field(discriminator="kind")]


class SamplingConfig(Section):
    """`temperature` 0 is greedy. `seed` differs per attempt by the attempt's number."""

    temperature: NonNegativeFloat = 0.0
    max_new_tokens: PositiveInt = 512
    seed: int | None = None


class LimitsConfig(Section):
    """When a rollout ends without `finish` (see rollout.Limits)."""

    max_steps: PositiveInt = 10
    max_invalid: NonNegativeInt = 2
    max_tool_errors: NonNegativeInt = 2
    timeout_s: PositiveFloat = 600.0


def sampling_of(config: SamplingConfig) -> Sampling:
    return Sampling(config.temperature, config.max_new_tokens, seed=config.seed)


def limits_of(config: LimitsConfig) -> Limits:
    return Limits(**config.model_dump())
