"""One optimizer step: gradients of its micro-batches, clipping, AdamW.

The model is a parameter: where its weights came from, what is logged and what is saved is the loop's business, so a
model made up on the spot is trained by the very code that trains a real one.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from fireact_ray.training.batching import Step, collate
from fireact_ray.training.config import TrainConfig
from fireact_ray.training.data import Row
from fireact_ray.training.loss import TrainedTokenLoss


@dataclass(frozen=True, slots=True)
class Here:
    """This process among its workers, and what it computes with."""

    rank: int
    world_size: int
    device: torch.device


class Stepper:
    """Takes the steps of one worker. `model`: on `here.device`, with what is trained requiring gradients."""

    def __init__(self, model: nn.Module, rows: Sequence[Row], config: TrainConfig, here: Here) -> None:
        self.optimizer = _optimizer(model, config, here.device)
        self._model = model
        self._rows = rows
        self._config = config
        self._here = here
        self._compute_loss = _shared(TrainedTokenLoss(model).train(), here)

    def take(self, step: Step, rate: float, bf16: bool) -> Tensor:
        """One step at learning rate `rate`. Returns this worker's sum of losses, in nats, on the device."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        # Dropout follows from seed, step and rank: a resumed run draws what an uninterrupted one would.
        torch.manual_seed(hash((self._config.seed, step.number, self._here.rank)))
        loss_sum = self._accumulate_gradients(step, bf16)
        nn.utils.clip_grad_norm_(self._model.parameters(), self._config.max_grad_norm)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss_sum

    def seconds(self, step: Step, bf16: bool) -> float:
        """How long a step's gradients take, over all workers, so that all choose alike. Leaves no gradient behind.

        The clock is right on a CPU, where nothing is pending once the call returns.
        """
        started = time.perf_counter()
        with self._compute_loss.no_sync() if self._here.world_size > 1 else contextlib.nullcontext():
            self._accumulate_gradients(step, bf16)
        seconds = torch.tensor(time.perf_counter() - started)
        self._compute_loss.zero_grad()
        if self._here.world_size > 1:
            dist.all_reduce(seconds)
        return float(seconds)

    def _accumulate_gradients(self, step: Step, bf16: bool) -> Tensor:
        """Gradients of the step's mean loss per trained token. Returns this worker's sum of losses."""
        here = self._here
        loss_sum = torch.zeros((), device=here.device)
        batches = step.share.micro_batches
        for i, batch in enumerate(batches):
            packs = [[self._rows[row] for row in rows] for rows in batch]
            tensors = collate(packs, step.share.idle).to(here.device)
            # Gradients are exchanged once, with the last batch; workers may differ in how many they have.
            keep_local = here.world_size > 1 and i < len(batches) - 1
            with self._compute_loss.no_sync() if keep_local else contextlib.nullcontext():
                with torch.autocast(here.device.type, torch.bfloat16, enabled=bf16):
                    batch_sum, _ = self._compute_loss(*tensors)
                # DDP averages over workers; the step's own count over all of them makes that a mean per token.
                (batch_sum * (here.world_size / step.trained_tokens)).backward()
            loss_sum += batch_sum.detach()
        return loss_sum


def _optimizer(model: nn.Module, config: TrainConfig, device: torch.device) -> torch.optim.Optimizer:
    trained = [p for p in model.parameters() if p.requires_grad]
    decayed = {"params": [p for p in trained if p.ndim > 1], "weight_decay": config.weight_decay}
    others = {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0}  # norms and biases
    groups = [group for group in (decayed, others) if group["params"]]
    # On a GPU the default makes lists of temporaries as large as all that is trained.
    return torch.optim.AdamW(groups, config.learning_rate, fused=True if device.type == "cuda" else None)


def _shared(compute_loss: nn.Module, here: Here) -> nn.Module:
    if here.world_size == 1:
        return compute_loss
    devices = [here.device] if here.device.type == "cuda" else None
    return DistributedDataParallel(compute_loss, device_ids=devices, forward_sync_buffers=False)
