"""What DDP, FSDP2 and ZeRO-3 differ in, behind one interface: the loop does not know which of them it drives.

Every method is called by every worker alike, since each may talk to the others.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from fireact_ray.training.batching import Batch
from fireact_ray.training.config import TrainConfig
from fireact_ray.training.model import Prepared
from fireact_ray.training.quantized import paged_adamw
from fireact_ray.training.sharding.offload import RestingAdamW


@dataclass(frozen=True, slots=True)
class Here:
    """This process among its workers, and what it computes with."""

    rank: int
    world_size: int
    device: torch.device


class Sharded(ABC):
    """A model over its workers, with its optimizer. `prepared`: the model as transformers or PEFT made it; its
    parameters may be shards, and those that are trained require gradients."""

    prepared: Prepared
    optimizer: torch.optim.Optimizer

    @abstractmethod
    def backward(self, batch: Batch, scale: float, *, bf16: bool, last: bool) -> Tensor:
        """Add the gradients of a micro-batch's sum of losses times `scale`; returns that sum, in nats, unscaled.

        `bf16`: autocast to it. `last`: of the step. After it the gradients are the mean over all workers.
        """

    @abstractmethod
    def loss(self, batch: Batch, *, bf16: bool) -> Tensor:
        """A micro-batch's sum of losses, in nats, on the device. Asked within `evaluated` only."""

    @contextmanager
    def evaluated(self) -> Iterator[None]:
        """Nothing is dropped out and no gradient is made; then the model is trained on as before."""
        self.prepared.model.eval()
        try:
            with torch.no_grad():
                yield
        finally:
            self.prepared.model.train()

    @abstractmethod
    def update(self, rate: float, max_norm: float) -> Tensor:
        """Clip the gradients of the whole model to `max_norm`, step at learning rate `rate`, forget the gradients.

        Returns their norm before clipping: a scalar, on the device.
        """

    @abstractmethod
    def forget_gradients(self) -> None: ...

    @abstractmethod
    def save(self, folder: Path) -> tuple[str, ...]:
        """Write this worker's part of what is trained and of the optimizer. Returns the names of the files it wrote.

        The folder may be one for all workers, or one for each.
        """

    @abstractmethod
    def load(self, folder: Path) -> None:
        """What all workers' `save` wrote, from one folder. Raises TrainingError where it is of another model."""

    @abstractmethod
    def trained_weights(self) -> dict[str, Tensor] | None:
        """What is trained, whole, by the names of its parameters; shared ones once. None on all ranks but 0."""

    def _set_rate(self, rate: float) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = rate

    @contextmanager
    def without_exchange(self) -> Iterator[None]:
        """For gradients that are thrown away: where workers need not talk, they do not."""
        yield


def make_optimizer(
    model: nn.Module, config: TrainConfig, *, fused: bool | None, offloaded: bool = False, paged: bool = False
) -> torch.optim.Optimizer:
    """AdamW with weight decay on matrices only. `fused` None: torch's own choice. `offloaded`: its moments rest in host
    memory; `paged`: bitsandbytes' instead, whose moments go there when a GPU is full."""
    trained = [p for p in model.parameters() if p.requires_grad]
    decayed = {"params": [p for p in trained if p.ndim > 1], "weight_decay": config.weight_decay}
    others = {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0}  # norms and biases
    groups = [group for group in (decayed, others) if group["params"]]
    if paged:
        return paged_adamw(groups, config.learning_rate)
    kind = RestingAdamW if offloaded else torch.optim.AdamW
    return kind(groups, config.learning_rate, fused=fused)
