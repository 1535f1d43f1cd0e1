"""Fused kernels against torch's own operations: one loss and its gradients, by both, before the first step."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.tensor import DTensor

from fireact_ray.core.errors import TrainingError
from fireact_ray.training.batching import Batch, collate
from fireact_ray.training.config import TrainConfig
from fireact_ray.training.data import NumberedRows, Row
from fireact_ray.training.kernels import set_kernels
from fireact_ray.training.sharding.base import Here, Sharded

log = logging.getLogger(__name__)

_ROWS = 4
# Allowed, as shares: of the loss; of a tensor's gradient. Sums in another order, and bf16 has three digits, which each
# layer rounds to: gradients of a random 7B over 32 layers differ by 0.06 (in full) and 0.11 to 0.13 (LoRA) on an H200,
# where the same kernels in fp32 differ by 1e-6. A wrong kernel is off by the whole.
_ALLOWED = {False: (1e-4, 1e-3), True: (1e-2, 0.25)}  # fp32, bf16
_LOOKED_AT = 1 << 16  # numbers of each gradient, evenly spread: a copy of all would be a second model
_SMALL = 0.01  # of the whole gradient's norm: a tensor with less is measured by that, as some are zero but for rounding


@dataclass(frozen=True, slots=True)
class Difference:
    """Between kernels and torch: of the loss, and of the gradient of the tensor that differs most, as shares."""

    loss: float
    gradients: float
    bf16: bool

    @property
    def is_allowed(self) -> bool:
        """False for NaN, too."""
        loss, gradients = _ALLOWED[self.bf16]
        return self.loss <= loss and self.gradients <= gradients

    def __str__(self) -> str:
        loss, gradients = _ALLOWED[self.bf16]
        return (
            f"the loss by {self.loss:.1e} (allowed {loss:.0e}), a gradient by up to {self.gradients:.1e} "
            f"(allowed {gradients:.0e})"
        )


def verify_kernels(sharded: Sharded, rows: NumberedRows, config: TrainConfig, here: Here, *, bf16: bool) -> None:
    """Hold `config.kernels` against torch on a few rows; every worker calls this alike. Leaves no gradient behind.

    Raises TrainingError, on all workers, where they differ by more than the precision explains.
    """
    few = few_rows(rows, config.micro_batch_tokens)
    batch = collate([[row] for row in few], varlen=sharded.prepared.varlen)
    found = compare_kernels(sharded, batch.to(here.device), config, here, bf16=bf16)
    if not found.is_allowed:
        raise TrainingError(
            f"train.kernels {config.kernels} does not compute what torch does on this GPU: {found}. Set it to torch."
        )
    log.info("kernels %s against torch: %s", config.kernels, found)


def few_rows(rows: NumberedRows, most_tokens: int) -> list[Row]:
    """No more than a forward pass of the training holds."""
    few, tokens = [rows[0]], len(rows[0].input_ids)
    for i in range(1, min(_ROWS, len(rows))):
        tokens += len(rows[i].input_ids)
        if tokens > most_tokens:
            break
        few.append(rows[i])
    return few


def compare_kernels(sharded: Sharded, batch: Batch, config: TrainConfig, here: Here, *, bf16: bool) -> Difference:
    """The largest differences of any worker, with the same dropout."""
    with _by(sharded, "torch", back_to=config.kernels):
        loss, gradients = _pass(sharded, batch, config, bf16)
    fused_loss, fused = _pass(sharded, batch, config, bf16)
    whole = torch.stack([gradient.norm() for gradient in gradients]).norm()
    apart = [
        (a - b).norm() / torch.maximum(b.norm(), _SMALL * whole)
        for a, b in zip(fused, gradients, strict=True)
        if len(b)
    ]
    # A worker may have no part of what is trained.
    furthest = torch.stack(apart).max() if apart else torch.zeros_like(loss)
    worst = torch.stack([(fused_loss - loss).abs() / loss.abs(), furthest]).nan_to_num(nan=torch.inf)
    if here.world_size > 1:
        dist.all_reduce(worst, dist.ReduceOp.MAX)
    loss_apart, gradients_apart = worst.tolist()
    return Difference(loss_apart, gradients_apart, bf16)


def _pass(sharded: Sharded, batch: Batch, config: TrainConfig, bf16: bool) -> tuple[Tensor, list[Tensor]]:
    torch.manual_seed(config.seed)
    with sharded.without_exchange():
        loss = sharded.backward(batch, 1 / max(1, len(batch.targets)), bf16=bf16, last=True)
    trained = (p for p in sharded.prepared.model.parameters() if p.requires_grad)
    gradients = [_looked_at(p.grad) for p in trained if p.grad is not None]
    sharded.forget_gradients()
    return loss, gradients


def _looked_at(gradient: Any) -> Tensor:
    local = gradient.to_local() if isinstance(gradient, DTensor) else gradient
    flat: Tensor = local.detach().flatten()
    return flat[:: max(1, len(flat) // _LOOKED_AT)].float()


@contextmanager
def _by(sharded: Sharded, kernels: str, back_to: str) -> Iterator[None]:
    model = sharded.prepared.model
    set_kernels(model, kernels)
    try:
        yield
    finally:
        set_kernels(model, back_to)
