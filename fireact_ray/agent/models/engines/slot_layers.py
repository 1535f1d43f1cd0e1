"""Where the slots' keys and values lie: of each layer two buffers, which the layers of a forward pass extend."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from mmap import MAP_ANONYMOUS, MAP_PRIVATE, mmap
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import DynamicLayer

from fireact_ray.core.errors import InputError

_MAP_NORESERVE = 0x4000 if sys.platform == "linux" else 0  # Python names it from 3.13 on


@dataclass(slots=True)
class Pass:
    """What the layers need to know of the running forward pass, told to all of them at once."""

    capacity: tuple[int, int] = (0, 1)  # slots, tokens + 1
    start: int = 0  # tokens that the first of these holds already
    end: int = 0  # tokens that the longest of these holds afterwards
    read: slice | Tensor | None = None  # the slots; None: all of them, as they are
    slots: Tensor | None = None  # (slots,) and (slots, new): where the new tokens go
    columns: Tensor | None = None
    places: Tensor | None = None  # the same, of each head, among the tokens of all heads of all slots


class SlotLayer(DynamicLayer):
    """One layer's keys and values, each (slots, heads, tokens + 1, head_dim)."""

    def __init__(self, running: Pass) -> None:
        super().__init__()
        self.running = running
        self.buffers: list[Tensor] = []

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Store new states (rows, heads, new, head_dim); returns those of these rows from their beginning."""
        now = self.running
        if not self.buffers:
            for states in (key_states, value_states):
                slots, tokens = now.capacity
                self.buffers.append(zeros((slots, states.shape[1], tokens, states.shape[3]), states))
        if now.places is None:
            now.places = _places(now, key_states.shape[1])
        for buffer, states in zip(self.buffers, (key_states, value_states), strict=True):
            width = states.shape[3]
            buffer.view(-1, width).index_copy_(0, now.places, states.reshape(-1, width))
        if now.read is None:
            return self.buffers[0], self.buffers[1]
        keys, values = (buffer[:, :, : now.end][now.read] for buffer in self.buffers)
        return keys, values

    def get_seq_length(self) -> int:
        return self.running.start

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self.running.start + query_length, 0

    def grow(self) -> None:
        slots, tokens = self.running.capacity
        self.buffers = [grown(b, (slots, b.shape[1], tokens, b.shape[3])) for b in self.buffers]


def _places(running: Pass, n_heads: int) -> Tensor:
    assert running.slots is not None
    assert running.columns is not None
    heads = running.slots[:, None] * n_heads + torch.arange(n_heads, device=running.slots.device)
    return (heads[:, :, None] * running.capacity[1] + running.columns[:, None]).flatten()


def zeros(shape: tuple[int, ...], like: Tensor) -> Tensor:
    """What a mask hides must still be finite. On a CPU the system gives pages of zeros as they are touched."""
    if like.device.type != "cpu":
        return like.new_zeros(shape)
    n_bytes = math.prod(shape) * like.element_size()
    try:
        memory = mmap(-1, n_bytes, flags=MAP_PRIVATE | MAP_ANONYMOUS | _MAP_NORESERVE)
    except OSError as error:
        raise InputError(
            f"No {n_bytes / 2**30:.1f} GiB of addresses for keys and values ({error.strerror}). Lower "
            "student.max_context, or let processes have more than there is: vm.overcommit_memory 0, no ulimit -v."
        ) from None
    return torch.frombuffer(memory, dtype=like.dtype).view(shape)


def grown(tensor: Tensor, shape: tuple[int, ...]) -> Tensor:
    larger = zeros(shape, tensor)
    larger[tuple(slice(0, size) for size in tensor.shape)] = tensor
    return larger
