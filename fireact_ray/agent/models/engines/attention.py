"""How the rows of a batch attend on a CPU, where time goes by what is read of keys and values.

Padded to the longest, every row reads as much as that one, and what all begin with (instructions, examples) is read
once for each. So the newest tokens read what their own slots hold and nothing else, all of them in one call of the
kernels for sparse matrices and embeddings, which also read memory several times as fast as many small products do; and
where all rows begin alike, that beginning is one product for all:

    row 0   |  shared beginning  | its own          |
    row 1   |  (the same)        | its own, longer  |

Scores of both parts go through one softmax. Either way the result is that of the padded call, up to rounding. A GPU
keeps the padded call: its kernels are made for it.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag, scaled_dot_product_attention
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask
from transformers.modeling_utils import AttentionInterface

# torch says so of each process that uses one; that these give what the padded call does is held by a test.
warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta", UserWarning)

_NAME = "fireact_rows"
_WORTH_SHARING = 64  # tokens


@dataclass(frozen=True, slots=True)
class Shared:
    """The first `tokens` of all rows are the same, before any new one; they are read from row `holder`."""

    tokens: int
    holder: int


@dataclass
class Apart:
    """One new token a row, of a conversation in a slot, whose keys and values are all the buffers' own: row i reads the
    first `ends[i]` of `slots[i]`, its new one included. `shared`: what all of them begin with, held by a slot."""

    slots: Tensor
    ends: Tensor
    shared: Shared | None = None
    reading: _Reading | None = None  # the same for all layers: made by the first


@dataclass(frozen=True)
class _Reading:
    """Which tokens each head of each row reads beside the shared ones: of all `tokens` of all heads of all slots, as
    many for one after the other as lie between two `bounds`. `scores`: the sparse matrix (heads of all rows, tokens of
    all heads of all slots) of these places; `at`: the same places among (heads of all rows, `width`), where scores
    stand in rows, shared ones first."""

    tokens: Tensor
    bounds: Tensor
    scores: Tensor
    at: Tensor
    width: int


Way = Shared | Apart | None  # None: all rows in one call, padded to the longest

_way: ContextVar[Way] = ContextVar("way", default=None)


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
def attending(way: Way) -> Iterator[None]:
    """For one forward pass of a model."""
    token = _way.set(way)
    try:
        yield
    finally:
        _way.reset(token)


def attend(query: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, way: Way, scale: float) -> Tensor:
    """One layer; for what it is given see each way. No mask: of several new tokens none sees what comes after it."""
    if isinstance(way, Apart):
        return attend_apart(query, keys, values, way, scale)
    if way is not None:
        return attend_shared(query, keys, values, mask, way, scale)
    return scaled_dot_product_attention(
        query, keys, values, mask, is_causal=mask is None and query.shape[2] > 1, scale=scale, enable_gqa=True
    )


def attend_apart(query: Tensor, keys: Tensor, values: Tensor, apart: Apart, scale: float) -> Tensor:
    """`query` (rows, heads, 1, head_dim); `keys` and `values` (slots, key heads, tokens, head_dim), contiguous. Returns
    one like `query`."""
    n_rows, n_heads, _, width = query.shape
    reading = apart.reading or _reading(apart, n_heads, keys)
    apart.reading = reading
    asked, flat_keys = query.reshape(-1, width), keys.view(-1, width)
    torch.sparse.sampled_addmm(reading.scores, asked, flat_keys.t(), beta=0.0, alpha=scale, out=reading.scores)
    scores = query.new_full((n_rows * n_heads, reading.width), float("-inf"))
    scores.view(-1).index_copy_(0, reading.at, reading.scores.values())
    if apart.shared:
        row, at = apart.shared.holder, apart.shared.tokens
        grouped = (query * scale).reshape(n_rows, keys.shape[1], -1, width)  # by the keys that heads read
        of_all = torch.bmm(_together(grouped), keys[row, :, :at].transpose(1, 2))
        scores[:, :at] = _apart(of_all, n_rows).reshape(-1, at)
    weights = scores.softmax(-1)
    read = embedding_bag(
        reading.tokens,
        values.view(-1, width),
        reading.bounds,
        mode="sum",
        per_sample_weights=weights.view(-1).index_select(0, reading.at),
        include_last_offset=True,
    ).view(query.shape)
    if apart.shared:
        of_rows = weights[:, :at].reshape(n_rows, keys.shape[1], -1, at)
        read = read + _apart(torch.bmm(_together(of_rows), values[row, :, :at]), n_rows).reshape(query.shape)
    return read


def _reading(apart: Apart, n_heads: int, keys: Tensor) -> _Reading:
    n_slots, n_keys, n_tokens, _ = keys.shape
    first = apart.shared.tokens if apart.shared else 0
    counts = (apart.ends - first).repeat_interleave(n_heads)  # of each head of each row
    bounds = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
    begins = (apart.slots[:, None] * n_keys + torch.arange(n_keys)) * n_tokens + first
    begins = begins.flatten().repeat_interleave(n_heads // n_keys)
    width = first + int(counts.max())
    head = torch.arange(len(counts)).repeat_interleave(counts)
    nth = torch.arange(len(head)) - bounds[head]
    tokens, at = begins[head] + nth, head * width + first + nth
    size = (len(counts), n_slots * n_keys * n_tokens)
    scores = torch.sparse_csr_tensor(bounds, tokens, keys.new_zeros(len(tokens)), size, check_invariants=False)
    return _Reading(tokens, bounds, scores, at, width)


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
    return attend(query, key, value, attention_mask, way, scale).transpose(1, 2), None


AttentionInterface.register(_NAME, _forward)
AttentionMaskInterface.register(_NAME, sdpa_mask)
