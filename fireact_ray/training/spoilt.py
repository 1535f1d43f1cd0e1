"""Which rows a loss that is not finite comes from, as far as can be told when it is looked at."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from fireact_ray.training.batching import Step
from fireact_ray.training.data import NumberedRows
from fireact_ray.training.gathering import gathered

Taken = tuple[Step, torch.Tensor]  # a step, and this worker's losses, (forward passes,)
_NAMED = 5


def spoilt_rows(taken: Sequence[Taken], rows: NumberedRows) -> str:
    """In words, from "at step ..." on: the first step with such a loss, and the rows of its forward passes that have
    one. Every worker asks alike."""
    by_step = _of_all([_of_passes(step, ~torch.isfinite(losses)) for step, losses in taken])
    place = next((place for place, spoilt in enumerate(by_step) if spoilt), len(taken) - 1)
    step, losses = taken[place]
    everyone = _of_all([_of_passes(step, torch.ones_like(losses, dtype=torch.bool))])[0]
    spoilt = by_step[place] or everyone  # finite in each pass, but not in sum
    words = f"at step {step.number + 1}, where rows are {_names(spoilt, rows)}"
    if len(spoilt) == len(everyone):
        return f"{words}: all of that step, as when weights are not finite."
    return f"{words}: {len(spoilt)} of its {len(everyone)}, those that share a forward pass with a bad one."


def rows_of(step: Step, rows: NumberedRows) -> str:
    """In words, a step and its rows. Every worker asks alike."""
    passes = torch.ones(len(step.share.micro_batches), dtype=torch.bool)
    return f"step {step.number + 1}, where rows are {_names(_of_all([_of_passes(step, passes)])[0], rows)}."


def _of_passes(step: Step, chosen: torch.Tensor) -> list[int]:
    """This worker's rows in the chosen forward passes; what it runs for others only is not its own."""
    share = step.share
    own = share.micro_batches[: len(share.micro_batches) - share.idle]
    return [
        row for packs, is_chosen in zip(own, chosen.tolist(), strict=False) if is_chosen for p in packs for row in p
    ]


def _of_all(mine: list[list[int]]) -> list[list[int]]:
    """The rows of all workers, step by step."""
    return [sorted({row for part in step for row in part}) for step in zip(*gathered(mine), strict=True)]


def _names(chosen: Sequence[int], rows: NumberedRows) -> str:
    more = f" and {len(chosen) - _NAMED} more" if len(chosen) > _NAMED else ""
    return ", ".join(rows[row].trajectory_id for row in chosen[:_NAMED]) + more
