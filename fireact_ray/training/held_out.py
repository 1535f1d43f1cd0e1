"""Rows that are kept from training, and the loss of the model on them: by the same mask as that of training.

The rows of one question stay together, whatever method made them and however often it was asked: they all begin alike,
since what stands before the first trained token is the system's turn and the question (data.examples).
"""

from __future__ import annotations

import hashlib

import numpy as np
import torch
import torch.distributed as dist

from fireact_ray.core.errors import DataError
from fireact_ray.training.batching import Share, collate, demand_room, divide
from fireact_ray.training.config import TrainConfig
from fireact_ray.training.data import ChosenRows, Row, Rows
from fireact_ray.training.sharding.base import Here, Sharded


def hold_out(rows: Rows, share: float) -> tuple[Rows, Rows]:
    """Rows to train on, and rows held out, each in their order; the latter are none where `share` is 0.

    Which questions are held out follows from their tokens alone: the share of them with the smallest hashes, at least
    one. Raises DataError where all rows begin alike, so that their questions cannot be told apart.
    """
    if not share:
        return rows, ChosenRows(rows, np.zeros(0, np.int64))
    keys = np.array([_question(rows[number]) for number in range(len(rows))], np.uint64)
    questions = np.unique(keys)
    if len(questions) < 2:
        raise DataError(
            f"train.held_out is {share}, but all {len(rows)} rows begin with the same {_prompt_length(rows[0])} "
            "untrained tokens, so their questions cannot be told apart. Set it to 0, or convert more questions."
        )
    n_held = min(max(1, round(share * len(questions))), len(questions) - 1)
    is_held = keys <= questions[n_held - 1]
    return ChosenRows(rows, np.flatnonzero(~is_held)), ChosenRows(rows, np.flatnonzero(is_held))


class HeldOut:
    """The held-out rows, divided among the workers as a step's rows are. Raises TrainingError as `demand_room` does."""

    def __init__(self, rows: Rows, config: TrainConfig, here: Here, *, varlen: bool) -> None:
        self._rows, self._here = rows, here
        self._every = config.evaluate_every_steps
        self._share = Share(())
        self._varlen = varlen
        if len(rows):
            demand_room(rows.sizes, config, varlen=varlen)
            lengths = dict(enumerate(rows.sizes.lengths.tolist()))
            self._share = divide(range(len(rows)), lengths, config, here.world_size, varlen=varlen)[here.rank]
        self._trained = int(rows.sizes.trained.sum())
        self.last_loss: float | None = None

    def is_due(self, done: int, n_steps: int) -> bool:
        """After `done` of `n_steps`."""
        return len(self._rows) > 0 and (done == n_steps or (self._every > 0 and done % self._every == 0))

    @property
    def facts(self) -> dict[str, float]:
        """For the card of the model; nothing where nothing was held out."""
        return {} if self.last_loss is None else {"held_out_loss": self.last_loss, "n_held_out": len(self._rows)}

    def measure(self, sharded: Sharded, bf16: bool) -> float:
        """Nats per token that would be trained, over all of them; every worker asks at the same step.

        Nothing is drawn at random and no gradient is made, so the steps that follow are those of a training that was
        not asked.
        """
        total = torch.zeros((), dtype=torch.float64, device=self._here.device)
        batches = self._share.micro_batches
        with sharded.evaluated():
            for i, packs in enumerate(batches):
                is_idle = i >= len(batches) - self._share.idle
                lines = [[self._rows[row] for row in rows] for rows in packs]
                total += sharded.loss(collate(lines, is_idle, self._varlen).to(self._here.device), bf16=bf16)
        if self._here.world_size > 1:
            dist.all_reduce(total)
        self.last_loss = float(total) / self._trained
        return self.last_loss


def _question(row: Row) -> int:
    """A hash of what the row begins with, of 64 bits: two questions that share one are held out together."""
    start = row.input_ids[: _prompt_length(row)]
    return int.from_bytes(hashlib.sha256(np.ascontiguousarray(start, dtype=np.int64).tobytes()).digest()[:8], "big")


def _prompt_length(row: Row) -> int:
    """Tokens before the first that is trained; the first token of a row never is."""
    return 1 + int(np.argmax(row.loss_mask[1:] == 1))
