"""Where the examples of one line begin and end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch


class Segments(NamedTuple):
    """Of S examples behind one another, without padding.

    Made once for a batch, on the CPU: no layer asks a GPU where an example ends. A named tuple, because DDP and FSDP2
    move what they know how to look into.
    """

    bounds: torch.Tensor  # (S + 1,) int32: 0, the end of the first, ..., the length of the line
    longest: int  # in tokens

    @classmethod
    def of(cls, lengths: Sequence[int]) -> Segments:
        bounds = torch.zeros(len(lengths) + 1, dtype=torch.int32)
        torch.cumsum(torch.tensor(lengths), 0, out=bounds[1:])
        return cls(bounds, max(lengths))
