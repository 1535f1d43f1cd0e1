"""Loss, speed and padding since the last look, over all workers."""

from __future__ import annotations

import math
import time
from typing import Any

import torch
import torch.distributed as dist

from fireact_ray.core.errors import TrainingError
from fireact_ray.training.batching import Step


class Meter:
    """Adds up on the device, so that a GPU need not wait until a value is read."""

    def __init__(self, device: torch.device) -> None:
        self.last_loss = math.nan
        self._started = self._since = time.perf_counter()
        self._loss_sum = torch.zeros((), dtype=torch.float64, device=device)
        self._trained = self._tokens = self._computed = 0
        self._all_tokens = self._all_computed = 0
        self._waited = 0.0

    def add(self, step: Step, loss_sum: torch.Tensor) -> None:
        """`loss_sum`: this worker's; the counts of `step` are those of all workers."""
        self._loss_sum += loss_sum
        self._trained += step.trained_tokens
        self._tokens += step.tokens
        self._computed += step.computed_tokens
        self._all_tokens += step.tokens
        self._all_computed += step.computed_tokens

    def loss(self) -> float:
        """Mean loss per trained token since the last `read`. Every rank must ask at the same step.

        Raises TrainingError, on every rank, when it is not finite: whatever would be saved is spoilt.
        """
        total = self._loss_sum.clone()
        if dist.is_initialized() and dist.get_world_size() > 1:
            dist.all_reduce(total)
        loss = float(total) / self._trained if self._trained else self.last_loss
        if not math.isfinite(loss):
            raise TrainingError(f"The loss is {loss}. Lower learning_rate, or train with precision fp32.")
        return loss

    def read(self, waited: float) -> dict[str, Any]:
        """The log entry's share; starts the next interval. `waited`: seconds that this worker has waited for its input
        so far, since the beginning."""
        self.last_loss = self.loss()
        seconds, self._since = time.perf_counter() - self._since, time.perf_counter()
        entry = {
            "loss": self.last_loss,
            "trained_tokens_per_s": self._trained / seconds,
            "padding_share": 1 - self._tokens / self._computed,
            "input_stall_share": (waited - self._waited) / seconds,
        }
        self._waited = waited
        self._loss_sum.zero_()
        self._trained = self._tokens = self._computed = 0
        return entry

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._started

    @property
    def padding_share(self) -> float:
        return 1 - self._all_tokens / self._all_computed if self._all_computed else 0.0
