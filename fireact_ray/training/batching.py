"""Which examples are trained when, where, and beside which others.

The examples of a step depend on the seed and the epoch alone. Workers, memory and packing only decide how the
step is cut up, so a run on one worker, on eight, packed or not, or resumed in another way, takes the same steps.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from fireact_ray.core.errors import TrainingError
from fireact_ray.training.config import TrainConfig
from fireact_ray.training.data import Row
from fireact_ray.training.packing import Pack, pack

PASS_TOKENS = 128  # what one more forward and backward pass costs, in tokens; about right on a CPU
PAD_ID = 0  # any id would do: padding comes last, where causal attention never looks back at it


class Batch(NamedTuple):
    """One forward pass: a pack per line, padded on the right."""

    input_ids: torch.Tensor  # (B, T) int64
    loss_mask: torch.Tensor  # (B, T) bool, True = trained; never the first token of an example
    position_ids: torch.Tensor  # (B, T) int64; each example begins at 0, and so does the padding

    def to(self, device: torch.device) -> Batch:
        """On a GPU the copies only join its queue: from pinned memory, so that nothing here waits for them."""
        if device.type != "cuda":
            return Batch(*(tensor.to(device) for tensor in self))
        return Batch(*(tensor.pin_memory().to(device, non_blocking=True) for tensor in self))


@dataclass(frozen=True, slots=True)
class Share:
    """One worker's part of a step: a tuple per forward pass, in it a pack per line, the longest first. Without packing
    a pack is one row.

    `idle`: how many of them, at the end, are a row of another worker's, run without a loss, because the others wait:
    with DDP for the exchange of gradients of a step with fewer examples than workers, with a sharded model for every
    pass, as each gathers weights from all.
    """

    micro_batches: tuple[tuple[Pack, ...], ...]
    idle: int = 0


@dataclass(frozen=True, slots=True)
class Step:
    """One optimizer step. The counts are over all workers."""

    number: int  # from 0
    epoch: int  # from 0
    share: Share
    trained_tokens: int
    tokens: int
    computed_tokens: int  # padding included


def count_steps(n_rows: int, config: TrainConfig) -> int:
    return config.epochs * -(-n_rows // config.global_batch_size)


def plan_steps(
    rows: Sequence[Row], config: TrainConfig, rank: int = 0, world_size: int = 1, start: int = 0
) -> Iterator[Step]:
    """Steps from number `start` on, as worker `rank` of `world_size` sees them.

    Raises TrainingError when the longest row alone is more than `pack_tokens`, or `micro_batch_tokens`, allow.
    """
    lengths = [len(row.input_ids) for row in rows]
    limit = "micro_batch_tokens" if config.pack_tokens is None else "pack_tokens"
    if max(lengths) > getattr(config, limit):
        raise TrainingError(
            f"The longest example has {max(lengths)} tokens, {limit} allows {getattr(config, limit)}. "
            f"Raise {limit} or convert with a smaller limit."
        )
    steps_per_epoch = count_steps(len(rows), config) // config.epochs
    for epoch in range(start // steps_per_epoch, config.epochs):
        order = list(range(len(rows)))
        random.Random(f"{config.seed}/{epoch}").shuffle(order)
        for i in range(max(0, start - epoch * steps_per_epoch), steps_per_epoch):
            chosen = order[i * config.global_batch_size : (i + 1) * config.global_batch_size]
            shares = _divide(chosen, lengths, config, world_size)
            yield Step(
                epoch * steps_per_epoch + i,
                epoch,
                shares[rank],
                sum(rows[row].n_trained for row in chosen),
                sum(lengths[row] for row in chosen),
                sum(_computed(batch, lengths) for share in shares for batch in share.micro_batches),
            )


def collate(packs: Sequence[Sequence[Row]], idle: bool = False) -> Batch:
    """Nothing is trained when `idle`. Attention ends where positions begin anew: transformers sees that by itself."""
    shape = len(packs), max(sum(len(row.input_ids) for row in rows) for rows in packs)
    ids = np.full(shape, PAD_ID, dtype=np.int64)
    mask = np.zeros(shape, dtype=np.bool_)
    positions = np.zeros(shape, dtype=np.int64)
    for line, rows in enumerate(packs):
        start = 0
        for row in rows:
            end = start + len(row.input_ids)
            ids[line, start:end] = row.input_ids
            mask[line, start + 1 : end] = False if idle else row.loss_mask[1:] == 1
            positions[line, start:end] = np.arange(end - start)
            start = end
        positions[line, start:] = np.arange(shape[1] - start)
    return Batch(torch.from_numpy(ids), torch.from_numpy(mask), torch.from_numpy(positions))


def _divide(chosen: Sequence[int], lengths: Sequence[int], config: TrainConfig, world_size: int) -> list[Share]:
    # Dealt out by length like cards, every worker gets about as many tokens.
    ordered = sorted(chosen, key=lambda row: (-lengths[row], row))
    parts = [
        _micro_batches(
            _packs(ordered[rank::world_size], lengths, config.pack_tokens), lengths, config.micro_batch_tokens
        )
        for rank in range(world_size)
    ]
    needed = 1 if config.sharding == "ddp" else max(map(len, parts))
    idle = ((ordered[-1],),)  # the shortest
    return [Share(part + (idle,) * (needed - len(part)), max(0, needed - len(part))) for part in parts]


def _packs(rows: Sequence[int], lengths: Sequence[int], pack_tokens: int | None) -> list[Pack]:
    """Longest first."""
    if pack_tokens is None:
        return [(row,) for row in rows]
    packs = [tuple(rows[i] for i in places) for places in pack([lengths[row] for row in rows], pack_tokens)]
    return sorted(packs, key=lambda rows: -_total(rows, lengths))


def _micro_batches(packs: Sequence[Pack], lengths: Sequence[int], max_tokens: int) -> tuple[tuple[Pack, ...], ...]:
    """Cut packs, longest first, where padding and passes together cost least."""
    totals = [_total(rows, lengths) for rows in packs]
    cost, cut = [0], [0]  # of the first n packs: the least cost in tokens, and where their last batch begins
    for end in range(1, len(packs) + 1):
        cost.append(cost[-1] + totals[end - 1] + PASS_TOKENS)
        cut.append(end - 1)
        for start in range(end - 2, -1, -1):
            size = (end - start) * totals[start]
            if size > max_tokens:
                break
            if cost[start] + size + PASS_TOKENS < cost[end]:
                cost[end], cut[end] = cost[start] + size + PASS_TOKENS, start
    batches: list[tuple[Pack, ...]] = []
    end = len(packs)
    while end:
        batches.append(tuple(packs[cut[end] : end]))
        end = cut[end]
    return tuple(reversed(batches))


def _computed(batch: tuple[Pack, ...], lengths: Sequence[int]) -> int:
    return len(batch) * _total(batch[0], lengths)


def _total(rows: Pack, lengths: Sequence[int]) -> int:
    return sum(lengths[row] for row in rows)
