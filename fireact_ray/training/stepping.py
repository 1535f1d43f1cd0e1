"""One optimizer step: gradients of its micro-batches, then clipping and AdamW.

The model is a parameter: where its weights came from, what is logged and what is saved is the loop's business, so a
model made up on the spot is trained by the very code that trains a real one.
"""

from __future__ import annotations

import time
from typing import NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor

from fireact_ray.training.batching import Batch, Step, collate
from fireact_ray.training.config import TrainConfig
from fireact_ray.training.data import NumberedRows
from fireact_ray.training.sharding.base import Here, Sharded


class Ready(NamedTuple):
    """A step with this worker's batches, on its device."""

    step: Step
    batches: list[Batch]


class Stepper:
    """Takes the steps of one worker."""

    def __init__(self, sharded: Sharded, rows: NumberedRows, config: TrainConfig, here: Here) -> None:
        self._sharded = sharded
        self._rows = rows
        self._config = config
        self._here = here

    def ready(self, step: Step) -> Ready:
        """Asks nothing of the model, so that another thread may make the next step ready meanwhile."""
        share, varlen = step.share, self._sharded.prepared.varlen
        idle_from = len(share.micro_batches) - share.idle
        batches = [
            collate([[self._rows[row] for row in rows] for rows in packs], i >= idle_from, varlen).to(self._here.device)
            for i, packs in enumerate(share.micro_batches)
        ]
        return Ready(step, batches)

    def take(self, ready: Ready, rate: float, bf16: bool) -> tuple[Tensor, Tensor]:
        """One step at learning rate `rate`. Returns this worker's sums of losses, in nats, (forward passes,), and the
        norm of the whole gradient before it was clipped; both on the device."""
        # Dropout follows from seed, step and rank: a resumed run draws what an uninterrupted one would.
        torch.manual_seed(hash((self._config.seed, ready.step.number, self._here.rank)))
        losses = self._accumulate_gradients(ready, bf16)
        return losses, self._sharded.update(rate, self._config.max_grad_norm)

    def seconds(self, ready: Ready, bf16: bool) -> float:
        """How long a step's gradients take, over all workers, so that all choose alike. Leaves no gradient behind.

        The clock is right on a CPU, where nothing is pending once the call returns.
        """
        started = time.perf_counter()
        with self._sharded.without_exchange():
            self._accumulate_gradients(ready, bf16)
        seconds = torch.tensor(time.perf_counter() - started)
        self._sharded.forget_gradients()
        if self._here.world_size > 1:
            dist.all_reduce(seconds)
        return float(seconds)

    def _accumulate_gradients(self, ready: Ready, bf16: bool) -> Tensor:
        """Gradients of the step's mean loss per trained token. Returns this worker's sums of losses."""
        here = self._here
        # Gradients become the mean over workers; the step's own count over all of them makes that a mean per token.
        scale = here.world_size / ready.step.trained_tokens
        losses = torch.zeros(len(ready.batches), device=here.device)
        for i, batch in enumerate(ready.batches):
            losses[i] = self._sharded.backward(batch, scale, bf16=bf16, last=i == len(ready.batches) - 1)
        return losses
