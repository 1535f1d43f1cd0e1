"""How far apart two trainings of the same rows have ended."""

from __future__ import annotations

from collections.abc import Mapping

import torch

# Of the nano with an adapter, by `apart`: two workers instead of one come to 3e-7, three to 1e-5, and moments that are
# lost at a restart to 2e-3.
LOST = 1e-4


def apart(ours: Mapping[str, torch.Tensor], theirs: Mapping[str, torch.Tensor]) -> float:
    """The root of the mean square by which all their weights differ.

    Not the most by which any does: AdamW divides a gradient by its own size, so that of the few that nearly vanish it
    makes as much as of any other, whatever order their sums were made in. By that order alone a weight of a hundred
    thousand may end a learning rate and more from its like, while the mean of all does not move.
    """
    assert ours.keys() == theirs.keys()
    squares = sum(float((ours[name] - theirs[name]).double().square().sum()) for name in ours)
    return (squares / sum(theirs[name].numel() for name in theirs)) ** 0.5
