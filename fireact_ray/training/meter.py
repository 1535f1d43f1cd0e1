"""Loss, speed, memory and padding since the last look, over all workers."""

from __future__ import annotations

import math
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist

from fireact_ray.core.errors import TrainingError
from fireact_ray.training.batching import Step
from fireact_ray.training.data import NumberedRows
from fireact_ray.training.spoilt import Taken, rows_of, spoilt_rows

_RSS_UNIT = 1 if sys.platform == "darwin" else 1 << 10  # of ru_maxrss, in bytes


class Meter:
    """Adds up on the device, so that a GPU need not wait until a value is read.

    `mfu_of_one`: the MFU of one token a second (training.utilisation); None where it is not known.
    """

    def __init__(self, device: torch.device, rows: NumberedRows, mfu_of_one: float | None = None) -> None:
        self.last_loss = math.nan
        self._device, self._rows, self._mfu_of_one = device, rows, mfu_of_one
        self._started = self._since = time.perf_counter()
        self._norm = torch.zeros((), device=device)
        self._taken: list[Taken] = []
        self._trained = self._tokens = self._computed = 0
        self._all_tokens = self._all_computed = self._all_steps = 0
        self._waited = 0.0

    def add(self, step: Step, losses: torch.Tensor, norm: torch.Tensor) -> None:
        """`losses`: this worker's sums, (forward passes,); `norm`: of the whole gradient, before clipping; the counts
        of `step` are those of all workers."""
        self._taken.append((step, losses))
        self._norm = norm
        self._trained += step.trained_tokens
        self._tokens += step.tokens
        self._computed += step.computed_tokens
        self._all_tokens += step.tokens
        self._all_computed += step.computed_tokens
        self._all_steps += 1

    def loss(self) -> float:
        """Mean loss per trained token since the last `read`. Every rank must ask at the same step.

        Raises TrainingError, on every rank, when it or the last step's gradient is not finite, naming rows: whatever
        would be saved is spoilt.
        """
        sums = [losses.sum(dtype=torch.float64) for _, losses in self._taken]
        both = torch.stack([sum(sums, start=self._norm.new_zeros((), dtype=torch.float64)), self._norm.double()])
        if dist.is_initialized() and dist.get_world_size() > 1:
            dist.all_reduce(both)
        total, norm = both.tolist()
        loss = total / self._trained if self._trained else self.last_loss
        if not math.isfinite(loss):
            where = spoilt_rows(self._taken, self._rows)
            raise TrainingError(f"The loss is {loss} {where} Lower learning_rate, or train with precision fp32.")
        if not math.isfinite(norm):
            where = rows_of(self._taken[-1][0], self._rows)
            raise TrainingError(
                f"The gradient is not finite after {where} Lower learning_rate, or train with precision fp32."
            )
        return loss

    def read(self, steps_left: int, waited: float) -> dict[str, Any]:
        """The log entry's share (training.progress.entries); starts the next interval. `waited`: seconds that this
        worker has waited for its input so far, since the beginning."""
        self.last_loss = self.loss()
        now = time.perf_counter()
        seconds, self._since = now - self._since, now
        entry = {
            "loss": self.last_loss,
            "grad_norm": float(self._norm),
            "trained_tokens_per_s": self._trained / seconds,
            "tokens_per_s": self._tokens / seconds,
            "padding_share": 1 - self._tokens / self._computed,
            "input_stall_share": (waited - self._waited) / seconds,
            "memory_gib": self._memory() / (1 << 30),
            "eta_s": steps_left * self.seconds / self._all_steps,
        }
        if self._mfu_of_one is not None:
            entry["mfu"] = self._mfu_of_one * entry["tokens_per_s"]
        self._waited = waited
        self._taken.clear()
        self._trained = self._tokens = self._computed = 0
        return entry

    @contextmanager
    def paused(self) -> Iterator[None]:
        """What is done meanwhile does not count as time of the interval."""
        begun = time.perf_counter()
        yield
        self._since += time.perf_counter() - begun

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._started

    @property
    def padding_share(self) -> float:
        return 1 - self._all_tokens / self._all_computed if self._all_computed else 0.0

    def _memory(self) -> int:
        """The most so far, in bytes: allocated on a GPU; of this process where it computes on the CPU."""
        if self._device.type == "cuda":
            return int(torch.cuda.max_memory_allocated(self._device))
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RSS_UNIT
