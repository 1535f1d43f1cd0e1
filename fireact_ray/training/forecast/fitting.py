"""Whether a training fits on a GPU, and the smallest change of its settings that makes it fit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from fireact_ray.training.config import TrainSettings
from fireact_ray.training.forecast.activations import Load
from fireact_ray.training.forecast.gpus import GPUS, Gpu
from fireact_ray.training.forecast.memory import Layout, MemoryPlan, plan_memory
from fireact_ray.training.forecast.model_shape import ModelShape

_SHORTEST = 256  # tokens of a row; nobody trains an agent on less


@dataclass(frozen=True, slots=True)
class Training:
    """`max_length`: of the longest row, in tokens. `trained_share`: of all tokens."""

    shape: ModelShape
    config: TrainSettings
    max_length: int
    workers: int = 1
    trained_share: float = 0.5

    @property
    def load(self) -> Load:
        """The largest micro-batch there can be: as many tokens as it may have, or one worker's share of a step."""
        rows = -(-self.config.global_batch_size // self.workers)
        if self.shape.varlen and self.config.attention != "sdpa":
            tokens = max(self.max_length, min(self.config.micro_batch_tokens, rows * self.max_length))
            return Load(1, tokens, self.trained_share)
        line = self.config.pack_tokens or self.max_length
        tokens = max(line, min(self.config.micro_batch_tokens, rows * self.max_length))
        lines = max(1, tokens // line)
        return Load(lines, tokens // lines, self.trained_share, packed=self.config.pack_tokens is not None)

    def changed(self, max_length: int | None = None, **settings: Any) -> Training:
        return replace(self, max_length=max_length or self.max_length, config=self.config.model_copy(update=settings))


def memory_on(training: Training, gpu: Gpu) -> MemoryPlan:
    layout = Layout(training.workers, bf16=gpu.has_bf16(training.config.precision), sharding=training.config.sharding)
    return plan_memory(training.shape, training.config, layout, training.load)


def memory_on_cpu(training: Training) -> MemoryPlan:
    """In fp32, which takes more, as nobody knows yet what the CPU's clock will say for bf16."""
    config = training.config
    layout = Layout(training.workers, on_gpu=False, bf16=config.precision == "bf16", sharding=config.sharding)
    return plan_memory(training.shape, config, layout, training.load)


def fits(training: Training, gpu: Gpu) -> bool:
    return memory_on(training, gpu).worker <= gpu.memory


def smallest_change(training: Training, gpu: Gpu) -> dict[str, Any] | None:
    """The recipe's settings that differ, by their keys, such as {"train.micro_batch_tokens": 4096}; None where no
    change of this list helps. Smaller micro-batches change no result; computing layers again and AdamW's moments in
    host memory neither, but take time; then LoRA; then a base in four bits; then shorter rows, of which fewer are left.
    """
    for names, other in _changes(training):
        if fits(other, gpu):
            return names
    return None


def smallest_gpu(training: Training) -> Gpu | None:
    return next((gpu for gpu in GPUS if fits(training, gpu)), None)


def _changes(training: Training) -> Iterator[tuple[dict[str, Any], Training]]:
    same: list[dict[str, Any]] = [{}]
    if training.config.activation_checkpointing != 1:
        same.append({"activation_checkpointing": 1})
    tunings = list(same)
    if training.config.tuning == "full":
        if not training.config.offload_optimizer:
            tunings.append({**same[-1], "offload_optimizer": True})
        tunings += [{"tuning": "lora", **settings} for settings in same]
    if training.config.tuning != "qlora" and training.config.sharding != "zero3":
        tunings += [{"tuning": "qlora", **settings} for settings in same]
    for tuning in tunings:
        names = {f"train.{name}": value for name, value in tuning.items()}
        yield names, training.changed(**tuning)
        for tokens in _halves(training.config.micro_batch_tokens, training.config.pack_tokens or training.max_length):
            yield (
                names | {"train.micro_batch_tokens": tokens},
                training.changed(**tuning, micro_batch_tokens=tokens),
            )
    if training.config.pack_tokens is not None:
        return
    for tuning in tunings:
        for length in _halves(training.max_length, _SHORTEST):
            settings = {**tuning, "micro_batch_tokens": min(length, training.config.micro_batch_tokens)}
            names = {f"train.{name}": value for name, value in settings.items()} | {"convert.max_length": length}
            yield names, training.changed(length, **settings)


def _halves(start: int, least: int) -> Iterator[int]:
    while (start := start // 2) >= least:
        yield start
