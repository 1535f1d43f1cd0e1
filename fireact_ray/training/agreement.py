"""What is wished of a training between two steps, agreed among its workers: all do the same after the same step."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor

from fireact_ray.training.sharding.base import Here
from fireact_ray.training.wish import Wish, Wished


class Agreement:
    """`wished`: asked of each worker after every step; the strongest wish of any of them is everybody's.

    Where there are several workers it is heard one step later: by then the exchange is over, and no GPU waits for it.
    """

    def __init__(self, wished: Wished | None, here: Here) -> None:
        self._wished = wished
        self._here = here
        self._exchange: tuple[dist.Work, Tensor] | None = None

    def heard(self) -> Wish:
        """Called once after each step by every worker alike."""
        mine = Wish.NOTHING if self._wished is None else self._wished()
        if self._here.world_size == 1:
            return mine
        before, self._exchange = self._exchange, self._exchanged(mine)
        if before is None:
            return Wish.NOTHING
        work, strongest = before
        work.wait()
        return Wish(int(strongest))

    def _exchanged(self, mine: Wish) -> tuple[dist.Work, Tensor]:
        wish = torch.full((), int(mine), device=self._here.device)
        return dist.all_reduce(wish, dist.ReduceOp.MAX, async_op=True), wish
