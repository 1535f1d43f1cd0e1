"""Attention of one more token of conversations of different lengths: every few rows read as much as their longest.

The rows of a batch stand in one buffer, which is as long as the longest conversation, and a mask hides from the others
what lies behind their ends. On a CPU such a step is bound by what it reads, and so it reads less.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

_NAME = "fireact_spans"
_ROWS = 4  # of one call: fewer read less, and each call costs some microseconds
_WORTH = 0.9

Span = tuple[slice, int]  # rows, and how many tokens of each are read


def use_spans(model: Any) -> bool:
    """Give a transformers model on a CPU, whose attention is sdpa, this one, which is sdpa where no spans are given.
    Returns whether the model takes `spans` now."""
    if model.config._attn_implementation == _NAME:
        return True
    if model.device.type != "cpu" or model.config._attn_implementation != "sdpa" or not model.is_backend_compatible():
        return False
    model.set_attn_implementation(_NAME)
    return True


def spans_of(lengths: Tensor) -> list[Span] | None:
    """`lengths` (rows,): tokens to be read of each. None where reading all rows to the longest costs little more."""
    parts = lengths.clamp(min=1).split(_ROWS)
    longest = [int(part.max()) for part in parts]
    read = sum(len(part) * end for part, end in zip(parts, longest, strict=True))
    if read > _WORTH * len(lengths) * max(longest):
        return None
    return [
        (slice(n * _ROWS, n * _ROWS + len(part)), end) for n, (part, end) in enumerate(zip(parts, longest, strict=True))
    ]


def span_attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    spans: list[Span] | None = None,
    **options: Any,
) -> tuple[Tensor, None]:
    """`query` (B, H, T, D), `key` and `value` (B, K, S, D), `attention_mask` (B, 1, T, S) -> (B, T, H, D)."""
    if spans is None or attention_mask is None:
        whole: Tensor = sdpa_attention_forward(module, query, key, value, attention_mask, **options)[0]
        return whole, None
    parts = [
        sdpa_attention_forward(
            module, query[rows], key[rows, :, :end], value[rows, :, :end], attention_mask[rows, ..., :end], **options
        )[0]
        for rows, end in spans
    ]
    return torch.cat(parts), None


AttentionInterface.register(_NAME, span_attention)
AttentionMaskInterface.register(_NAME, sdpa_mask)
