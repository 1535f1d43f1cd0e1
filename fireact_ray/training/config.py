"""What one training run is told: how to tune its base, for how long, with how much memory at a time.

One schema for a recipe's `train` section and for plain torchrun. What is stored beside a model or a checkpoint is flat:
`lora_rank` instead of `lora.rank`; both spellings are read.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from fireact_ray.core.errors import TrainingError
from fireact_ray.core.settings import Section, Share
from fireact_ray.core.utils.problems import problems_of

_LORA = "lora_"
ADAPTED = ("lora", "qlora")  # tunings that train an adapter, and no weight of the base
# What changes none of the steps that are taken: free to change between a run and its continuation, and no input of it.
FREE = (
    *("micro_batch_tokens", "pack_tokens", "attention", "activation_checkpointing", "compile", "kernels"),
    *("offload_optimizer", "checkpoint_every_steps", "log_every_steps", "evaluate_every_steps"),
)
# Shaping settings that came later: where they are at their default, nothing says so that an earlier version began.
_LATER = ("held_out",)


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
    padded. `attention` varlen: all examples of a forward pass stand in one line, without padding and without a mask,
    so that `pack_tokens` decides nothing; sdpa: with masks; auto: varlen where it is known to be right
    (training.decoders). `activation_checkpointing` N: every N-th layer is computed again in the backward pass, which
    saves memory; null: none. `compile`: layers by torch.compile, which takes seconds to minutes at the first step.
    `kernels` liger: on a GPU, fused ones for norms, rotations and MLPs, which are held against torch's own before the
    first step (training.kernel_check). `offload_optimizer`: on a GPU, the optimizer's state rests in host memory. None
    of these changes a step.
    `tuning` qlora: as lora, on a base in four bits. `sharding` fsdp2, zero3: each of several workers holds a slice of
    the model (training.sharding). `precision` auto: what this hardware does fast (training.precision).
    `checkpoint_every_steps` 0: none on the way. `held_out`: share of the questions whose rows are not trained on; the
    loss on them is measured at the end, and every `evaluate_every_steps` where that is not 0.
    """

    tuning: Literal["lora", "qlora", "full"] = "lora"
    sharding: Literal["ddp", "fsdp2", "zero3"] = "ddp"
    lora: LoraConfig = LoraConfig()
    epochs: PositiveInt = 3
    learning_rate: PositiveFloat = 3e-4
    warmup_ratio: Share = 0.03
    weight_decay: NonNegativeFloat = 0.0
    global_batch_size: PositiveInt = 32
    micro_batch_tokens: PositiveInt = 8192
    pack_tokens: PositiveInt | None = None
    attention: Literal["auto", "varlen", "sdpa"] = "auto"
    activation_checkpointing: PositiveInt | None = None
    compile: bool = False
    kernels: Literal["torch", "liger"] = "torch"
    max_grad_norm: PositiveFloat = 1.0
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    checkpoint_every_steps: NonNegativeInt = 100
    offload_optimizer: bool = False
    held_out: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    evaluate_every_steps: NonNegativeInt = 0

    @field_validator("sharding")
    @classmethod
    def _four_bits_are_no_parts(cls, sharding: str, info: ValidationInfo) -> str:
        if info.data.get("tuning") == "qlora" and sharding == "zero3":
            raise ValueError(
                "the four-bit base of tuning qlora is not sharded by zero3; set fsdp2 or ddp, or tuning lora"
            )
        return sharding

    @model_validator(mode="after")
    def _something_is_evaluated(self) -> TrainSettings:
        if self.evaluate_every_steps and not self.held_out:
            raise ValueError("evaluate_every_steps measures the loss on held-out rows: set held_out, such as to 0.05")
        return self

    @model_validator(mode="after")
    def _packs_fit(self) -> TrainSettings:
        if self.pack_tokens is not None and self.pack_tokens > self.micro_batch_tokens:
            raise ValueError(f"pack_tokens may be at most micro_batch_tokens ({self.micro_batch_tokens})")
        return self

    @model_validator(mode="after")
    def _kernels_are_checked(self) -> TrainSettings:
        if self.kernels == "liger" and self.compile:
            raise ValueError("compile fuses what kernels liger fuses: set kernels to torch, or compile to false")
        if self.kernels == "liger" and self.sharding == "zero3":
            raise ValueError(
                "kernels liger is held against torch by its gradients, which zero3 does not show; "
                "set sharding to fsdp2 or ddp, or kernels to torch"
            )
        return self

    @property
    def adapts(self) -> bool:
        """Whether an adapter is trained and its base is frozen."""
        return self.tuning in ADAPTED


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
