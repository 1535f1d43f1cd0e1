"""One optimizer step: gradients of its micro-batches, then clipping and AdamW.

The model is a parameter: where its weights came from, what is logged and what is saved is the loop's business, so a
model made up on the spot is trained by the very code that trains a real one.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import torch
import torch.distributed as dist
from torch import Tensor

from fireact_ray.training.batching import Step, collate
from fireact_ray.training.config import TrainConfig
from fireact_ray.training.data import Row
from fireact_ray.training.sharding.base import Here, Sharded


class Stepper:
    """Takes the steps of one worker."""

    def __init__(self, sharded: Sharded, rows: Sequence[Row], config: TrainConfig, here: Here) -> None:
        self._sharded = sharded
        self._rows = rows
        self._config = config
        self._here = here

    def take(self, step: Step, rate: float, bf16: bool) -> Tensor:
        """One step at learning rate `rate`. Returns this worker's sum of losses, in nats, on the device."""
        # Dropout follows from seed, step and rank: a resumed run draws what an uninterrupted one would.
        torch.manual_seed(hash((self._config.seed, step.number, self._here.rank)))
        loss_sum = self._accumulate_gradients(step, bf16)
        self._sharded.update(rate, self._config.max_grad_norm)
        return loss_sum

    def seconds(self, step: Step, bf16: bool) -> float:
        """How long a step's gradients take, over all workers, so that all choose alike. Leaves no gradient behind.

        The clock is right on a CPU, where nothing is pending once the call returns.
        """
        started = time.perf_counter()
        with self._sharded.without_exchange():
            self._accumulate_gradients(step, bf16)
        seconds = torch.tensor(time.perf_counter() - started)
        self._sharded.forget_gradients()
        if self._here.world_size > 1:
            dist.all_reduce(seconds)
        return float(seconds)

    def _accumulate_gradients(self, step: Step, bf16: bool) -> Tensor:
        """Gradients of the step's mean loss per trained token. Returns this worker's sum of losses."""
        here = self._here
        # Gradients become the mean over workers; the step's own count over all of them makes that a mean per token.
        scale = here.world_size / step.trained_tokens
        loss_sum = torch.zeros((), device=here.device)
        batches = step.share.micro_batches
        for i, packs in enumerate(batches):
            is_idle = i >= len(batches) - step.share.idle
            batch = collate([[self._rows[row] for row in rows] for rows in packs], is_idle).to(here.device)
            loss_sum += self._sharded.backward(batch, scale, bf16=bf16, last=i == len(batches) - 1)
        return loss_sum
