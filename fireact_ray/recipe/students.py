"""The `student` section of a recipe: who learns, here or at a provider of OpenAI's fine-tuning protocol."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    StringConstraints,
    model_validator,
)

from fireact_ray.agent.quota.config import QuotaConfig
from fireact_ray.core.settings import ModelPlace, Section
from fireact_ray.recipe.api import ApiConfig
from fireact_ray.recipe.models import LimitsConfig, RendererName, SamplingConfig


def _is_auto(precision: str) -> bool:
    """Folders of before it could be set remember none."""
    return precision == "auto"


class StudentConfig(Section):
    """Who learns. `base_model`: a folder or hub id in safetensors, or `nano`, the tiny Llama that ships with us.

    `precision`: what its replies are computed in here; auto: what is fast on the machine that answers, in which greedy
    replies may differ from another machine's.
    """

    kind: Annotated[Literal["local"], Field(exclude=True)] = "local"  # what is stored of such a student has no kind
    base_model: ModelPlace = "nano"
    renderer: RendererName = "plain"
    max_context: PositiveInt = 2048
    precision: Annotated[Literal["auto", "fp32", "bf16"], Field(exclude_if=_is_auto)] = "auto"
    sampling: SamplingConfig = SamplingConfig(max_new_tokens=256)
    limits: LimitsConfig = LimitsConfig()

    @property
    def tokenizer_model(self) -> str:
        """Whose tokenizer makes the dataset."""
        return self.base_model


Auto = Literal["auto"]


class HostedStudentConfig(ApiConfig):
    """A student that a provider of OpenAI's fine-tuning protocol trains and serves; `name` is the base model there.

    `auto`: the provider chooses. `suffix`: a part of the trained model's name. `price_per_million_tokens`: $ for
    trained tokens; `max_cost_usd`: a training that is estimated to cost more is refused. `tokenizer`: of a folder, a
    hub id or `nano`; it counts what the provider will count in its own way. The seed is the recipe's.
    """

    kind: Literal["openai-ft"]
    n_epochs: PositiveInt | Auto = 3
    batch_size: PositiveInt | Auto = "auto"
    learning_rate_multiplier: PositiveFloat | Auto = "auto"
    suffix: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,64}$")] | None = None
    price_per_million_tokens: NonNegativeFloat | None = None
    max_cost_usd: PositiveFloat | None = None
    poll_every_s: PositiveFloat = 15.0
    tokenizer: ModelPlace = "nano"
    sampling: SamplingConfig = SamplingConfig(max_new_tokens=256)
    limits: LimitsConfig = LimitsConfig()
    quota: QuotaConfig = QuotaConfig()

    @model_validator(mode="after")
    def _a_cap_has_a_price(self) -> HostedStudentConfig:
        if self.max_cost_usd is not None and (self.price_per_million_tokens is None or self.n_epochs == "auto"):
            raise ValueError("max_cost_usd needs an estimate: set price_per_million_tokens, and n_epochs to a number")
        return self

    @property
    def tokenizer_model(self) -> str:
        return self.tokenizer

    @property
    def renderer(self) -> str:
        """Of the dataset, by which tokens are counted; the provider has its own."""
        return "plain"


def _local_where_not_said(student: Any) -> Any:
    return {"kind": "local", **student} if isinstance(student, dict) else student


Student = Annotated[
    StudentConfig | HostedStudentConfig, Field(discriminator="kind"), BeforeValidator(_local_where_not_said)
]
