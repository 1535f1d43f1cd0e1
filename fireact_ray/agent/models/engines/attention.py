"""How the rows of a batch attend on a CPU, where time goes by what is read of keys and values.

Padded to the longest, every row reads as much as that one, and what all begin with (instructions, examples) is read
once for each. So the newest tokens attend row by row, each to what it holds; and where all rows begin alike, that
beginning is one product for all:

    row 0   |  shared beginning  | its own          |
    row 1   |  (the same)        | its own, longer  |

Scores of both parts go through one softmax. Either way the result is that of the padded call, up to rounding. A GPU
keeps the padded call: its kernels are faster than many small ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask
from transformers.modeling_utils import AttentionInterface

_NAME = "fireact_rows"
_WORTH_SHARING = 64  # tokens


@dataclass(frozen=True, slots=True)
class Shared:
    """The first `tokens` of all rows are the same, before any new one; they are read from row `holder`."""

    tokens: int
    holder: int


@dataclass(frozen=True, slots=True)
class Apart:
    """One new token a row; of what row i is given, its first `ends[i]` tokens are its own, at least 1."""

    ends: Sequence[int]


_way: ContextVar[Shared | Apart | None] = ContextVar("way", default=None)


def can_attend_so(model: Any) -> bool:
    """Whether `model` heeds `attending`; outside of it, it attends as before. True on a CPU in fp32 (bf16 would round
    the scores) where it attends by transformers' `sdpa`, hence by a softmax of scaled products and nothing else."""
    if model.device.type != "cpu" or model.dtype != torch.float32:
        return False
    if model.config._attn_implementation == "sdpa":
        model.set_attn_implementation(_NAME)
    return bool(model.config._attn_implementation == _NAME)


def beginning(ids: Tensor, holder: int) -> Shared | None:
    """What all rows of `ids` (rows, tokens) begin with, where it is worth sharing."""
    tokens = int((ids == ids[0]).all(0).cumprod(0).sum())
    return Shared(tokens, holder) if tokens >= _WORTH_SHARING else None


@contextmanager
def attending(way: Shared | Apart | None) -> Iterator[None]:
    """For one forward pass. None: all rows in one call, padded to the longest."""
    token = _way.set(way)
    try:
        yield
    finally:
        _way.reset(token)


def attend_apart(query: Tensor, keys: Tensor, values: Tensor, apart: Apart, scale: float) -> Tensor:
    """`query` (rows, heads, 1, head_dim); `keys` and `values` (rows, key heads, tokens, head_dim). Returns one like
    `query`."""
    grouped = (query * scale).reshape(len(query), keys.shape[1], -1, query.shape[3])  # by the keys that heads read
    rows = zip(grouped.unbind(), keys.transpose(2, 3).unbind(), values.unbind(), apart.ends, strict=True)
    read = [torch.bmm(torch.bmm(q, k[:, :, :end]).softmax(-1), v[:, :end]) for q, k, v, end in rows]
    return torch.stack(read).reshape(*query.shape[:3], -1)


def attend_shared(
    query: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, shared: Shared, scale: float
) -> Tensor:
    """`query` (rows, heads, new, head_dim); `keys` and `values` (rows, key heads, tokens, head_dim); `mask`, added to
    scores, (rows, 1, new, tokens). Returns one like `query`."""
    n_rows, n_heads, n_new, width = query.shape
    n_keys = keys.shape[1]
    grouped = (query * scale).reshape(n_rows, n_keys, -1, width)  # by the keys that heads read
    at, row = shared.tokens, shared.holder

    of_all = torch.bmm(_together(grouped), keys[row, :, :at].transpose(1, 2))
    own = torch.matmul(grouped, keys[:, :, at:].transpose(2, 3))
    if mask is not None:
        own = (own.unflatten(2, (-1, n_new)) + mask[:, :, None, :, at:]).flatten(2, 3)
    scores = torch.cat([_apart(of_all, n_rows), own], dim=-1)

    weights = scores.softmax(-1)
    read = _apart(torch.bmm(_together(weights[..., :at]), values[row, :, :at]), n_rows)
    read = read + torch.matmul(weights[..., at:], values[:, :, at:])
    return read.reshape(n_rows, n_heads, n_new, -1)


def _together(rows: Tensor) -> Tensor:
    """(rows, key heads, n, width) -> (key heads, rows * n, width)"""
    return rows.transpose(0, 1).flatten(1, 2)


def _apart(together: Tensor, n_rows: int) -> Tensor:
    """(key heads, rows * n, width) -> (rows, key heads, n, width)"""
    return together.unflatten(1, (n_rows, -1)).transpose(0, 1)


def _forward(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    **more: Any,
) -> tuple[Tensor, None]:
    """What transformers calls for each layer."""
    way = _way.get()
    if way is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **more)[0], None
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    if isinstance(way, Apart):
        return attend_apart(query, key, value, way, scale).transpose(1, 2), None
    return attend_shared(query, key, value, attention_mask, way, scale).transpose(1, 2), None


AttentionInterface.register(_NAME, _forward)
AttentionMaskInterface.register(_NAME, sdpa_mask)
