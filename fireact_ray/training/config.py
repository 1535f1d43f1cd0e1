"""What one training run is told: which base, how to tune it, for how long, with how much memory at a time."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fireact_ray.core.errors import TrainingError

TUNINGS = ("lora", "full")
SHARDINGS = ("ddp",)
PRECISIONS = ("auto", "fp32", "bf16")
_TYPES: dict[str, Any] = {
    "str": str,
    "int": int,
    "int | None": (int, type(None)),
    "float": (float, int),
    "tuple[str, ...] | None": (tuple, type(None)),
}


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """Raises TrainingError, with all problems at once, when a value is unknown or out of range."""

    base_model: str  # a folder, or the id of a model on the Hugging Face hub
    tuning: str = "lora"
    sharding: str = "ddp"
    lora_rank: int = 8
    lora_alpha: float = 16.0
    lora_dropout: float = 0.05
    lora_target_modules: tuple[str, ...] | None = None  # names such as "q_proj"; None = every linear layer but the head
    epochs: int = 3
    learning_rate: float = 3e-4  # the peak; a cosine leads from there to a tenth of it
    warmup_ratio: float = 0.03  # share of all steps
    weight_decay: float = 0.0  # on matrices only
    global_batch_size: int = 16  # examples per optimizer step, over all workers
    micro_batch_tokens: int = 8192  # at most so many tokens, padding included, in one forward pass of one worker
    pack_tokens: int | None = None  # examples stand behind one another in lines of so many tokens; None: one a line
    max_grad_norm: float = 1.0
    seed: int = 0
    precision: str = "auto"  # auto: what this hardware does fast (training.precision)
    checkpoint_every_steps: int = 0  # 0: none on the way
    log_every_steps: int = 10

    def __post_init__(self) -> None:
        if problems := list(self._problems()):
            raise TrainingError("\n".join(problems))

    def to_dict(self) -> dict[str, Any]:
        row = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {**row, "lora_target_modules": self.lora_target_modules and list(self.lora_target_modules)}

    @classmethod
    def from_dict(cls, row: dict[str, Any]) -> TrainConfig:
        known = [field.name for field in dataclasses.fields(cls)]
        if unknown := sorted(set(row) - set(known)):
            raise TrainingError(f"Unknown training settings {unknown}. Known: {', '.join(known)}.")
        modules = row.get("lora_target_modules")
        return cls(**{**row, "lora_target_modules": None if modules is None else tuple(modules)})

    def _problems(self) -> Iterator[str]:
        wrong = [f for f in dataclasses.fields(self) if not isinstance(getattr(self, f.name), _TYPES[str(f.type)])]
        for field in wrong:
            yield f"{field.name} is {getattr(self, field.name)!r}; it must be of type {field.type}."
        if not wrong:
            yield from self._bad_values()

    def _bad_values(self) -> Iterator[str]:
        if self.tuning == "qlora":
            yield "tuning 'qlora' needs the gpu extra and is not built yet. Known: lora, full."
        elif self.tuning not in TUNINGS:
            yield f"tuning '{self.tuning}' is not known. Known: {', '.join(TUNINGS)}."
        if self.sharding not in SHARDINGS:
            yield f"sharding '{self.sharding}' is not known here. Known: {', '.join(SHARDINGS)}."
        if self.precision not in PRECISIONS:
            yield f"precision '{self.precision}' is not known. Known: {', '.join(PRECISIONS)}."
        for name in ("lora_rank", "epochs", "global_batch_size", "micro_batch_tokens", "log_every_steps"):
            if getattr(self, name) < 1:
                yield f"{name} is {getattr(self, name)}; it must be 1 or more."
        if self.pack_tokens is not None and not 1 <= self.pack_tokens <= self.micro_batch_tokens:
            yield f"pack_tokens is {self.pack_tokens}; it must be 1 to micro_batch_tokens ({self.micro_batch_tokens})."
        for name in ("learning_rate", "lora_alpha", "max_grad_norm"):
            if not getattr(self, name) > 0:
                yield f"{name} is {getattr(self, name)}; it must be above 0."
        for name in ("lora_dropout", "warmup_ratio"):
            if not 0 <= getattr(self, name) < 1:
                yield f"{name} is {getattr(self, name)}; it must be at least 0 and below 1."
        for name in ("weight_decay", "checkpoint_every_steps"):
            if getattr(self, name) < 0:
                yield f"{name} is {getattr(self, name)}; it must not be negative."
