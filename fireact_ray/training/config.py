"""What one training run is told: how to tune its base, for how long, with how much memory at a time.

One schema for a recipe's `train` section and for plain torchrun. What is stored beside a model or a checkpoint is flat:
`lora_rank` instead of `lora.rank`; both spellings are read.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import (
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    field_validator,
    model_validator,
)

from fireact_ray.core.errors import TrainingError
from fireact_ray.core.settings import Section, Share
from fireact_ray.core.utils.problems import problems_of

_LORA = "lora_"
# What changes none of the steps that are taken: free to change between a run and its continuation, and no input of it.
FREE = ("micro_batch_tokens", "pack_tokens", "checkpoint_every_steps", "log_every_steps")
# Shaping settings that came later: where they are at their default, nothing says so that an earlier version began.
_LATER: tuple[str, ...] = ()


class LoraConfig(Section):
    """`target_modules`: names such as "q_proj"; null: every linear layer but the head."""

    rank: PositiveInt = 8
    alpha: PositiveFloat = 16.0
    dropout: Share = 0.05
    target_modules: tuple[str, ...] | None = None


class TrainSettings(Section):
    """What shapes a training, wherever it runs.

    `learning_rate`: the peak; a cosine leads from there to a tenth of it. `warmup_ratio`: share of all steps.
    `weight_decay`: on matrices only. `global_batch_size`: examples per optimizer step over all workers;
    `micro_batch_tokens`: at most so many tokens, padding included, in one forward pass of one worker. `pack_tokens`:
    examples stand behind one another in lines of so many tokens, and see nothing of each other; null: one a line,
    padded, which is faster on a CPU. It changes no step. `precision` auto: what this hardware does fast
    (training.precision). `checkpoint_every_steps` 0: none on the way.
    """

    tuning: Literal["lora", "full"] = "lora"
    sharding: Literal["ddp", "fsdp2", "zero3"] = "ddp"
    lora: LoraConfig = LoraConfig()
    epochs: PositiveInt = 3
    learning_rate: PositiveFloat = 3e-4
    warmup_ratio: Share = 0.03
    weight_decay: NonNegativeFloat = 0.0
    global_batch_size: PositiveInt = 32
    micro_batch_tokens: PositiveInt = 8192
    pack_tokens: PositiveInt | None = None
    max_grad_norm: PositiveFloat = 1.0
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    checkpoint_every_steps: NonNegativeInt = 100

    @field_validator("tuning", mode="before")
    @classmethod
    def _is_built(cls, tuning: Any) -> Any:
        if tuning == "qlora":
            raise ValueError("'qlora' is not built yet; known: lora, full")
        return tuning

    @field_validator("sharding")
    @classmethod
    def _sharding_is_built(cls, sharding: str) -> str:
        if sharding != "ddp":
            raise ValueError(f"'{sharding}' is not built yet; known: ddp")
        return sharding

    @model_validator(mode="after")
    def _packs_fit(self) -> TrainSettings:
        if self.pack_tokens is not None and self.pack_tokens > self.micro_batch_tokens:
            raise ValueError(f"pack_tokens may be at most micro_batch_tokens ({self.micro_batch_tokens})")
        return self


class TrainConfig(TrainSettings):
    """The settings of one run. `base_model`: a folder, or the id of a model on the Hugging Face hub."""

    base_model: str
    seed: int = 0
    log_every_steps: PositiveInt = 10

    @model_validator(mode="before")
    @classmethod
    def _nested(cls, row: Any) -> Any:
        if not isinstance(row, dict):
            return row
        flat = {name.removeprefix(_LORA): value for name, value in row.items() if name.startswith(_LORA)}
        if flat and "lora" in row:
            raise ValueError("give `lora` or `lora_...`, not both")
        kept = {name: value for name, value in row.items() if not name.startswith(_LORA)}
        return {**kept, "lora": flat} if flat else kept

    def to_dict(self) -> dict[str, Any]:
        """Flat and of plain types, as it is stored."""
        row = self.model_dump(mode="json")
        lora = row.pop("lora")
        return row | {f"{_LORA}{name}": value for name, value in lora.items()}

    def shaping(self) -> dict[str, Any]:
        """Of `to_dict` what decides which model comes out: the inputs that a run folder remembers."""
        row, defaults = self.to_dict(), type(self)(base_model="").to_dict()
        late = {name for name in _LATER if row[name] == defaults[name]}
        return {name: value for name, value in row.items() if name not in FREE and name not in late}

    @classmethod
    def from_dict(cls, row: dict[str, Any]) -> TrainConfig:
        """Raises TrainingError, with all problems at once, when a setting is unknown or its value out of range."""
        try:
            return cls.model_validate(row)
        except ValidationError as error:
            raise TrainingError("\n".join(problems_of(error, cls, "settings"))) from None

    def changed(self, **settings: Any) -> TrainConfig:
        """With other values, checked as all are; those of LoRA are flat."""
        return TrainConfig.from_dict({**self.to_dict(), **settings})
