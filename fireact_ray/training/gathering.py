"""What each worker of a training has, in all of them."""

from __future__ import annotations

from typing import TypeVar

import torch.distributed as dist

T = TypeVar("T")


def gathered(mine: T) -> list[T]:
    """By rank, what every worker gave; every worker asks alike. One alone has only its own."""
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return [mine]
    parts = [mine] * dist.get_world_size()
    dist.all_gather_object(parts, mine)
    return parts
