"""Attention within each example of a line, without a mask and without padding.

transformers hides the examples of a pack from each other by a dense mask: each layer computes all pairs of a line, and
throws most of them away. Here the bounds of the examples are known instead. A GPU's flash attention takes them as they
are (Dao, 2023; arXiv:2307.08691); elsewhere each example is a call of its own.
"""

from __future__ import annotations

import inspect
import logging
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention.varlen import varlen_attn
from transformers import AttentionInterface

from fireact_ray.core.errors import TrainingError
from fireact_ray.training.decoders import why_not_varlen
from fireact_ray.training.segments import Segments

log = logging.getLogger(__name__)

_NAME = "fireact_varlen"  # not among the names that transformers makes masks for: so it makes none
_HALF = (torch.bfloat16, torch.float16)
_SHARES_KEYS = "enable_gqa" in inspect.signature(varlen_attn).parameters  # torch 2.11 has no word for it
_AMPERE = (8, 0)  # the first that flash attention knows


def use_attention(model: Any, asked: str) -> bool:
    """Give a transformers model the attention `asked` for: varlen, auto, or sdpa, which is what it came with. Returns
    whether it is varlen now, so that its batches are to be one line with `Segments`.

    Raises TrainingError where varlen is asked for and would be wrong; auto then takes sdpa, and says why.
    """
    reason = why_not_varlen(model.config.to_dict())
    if torch.cuda.is_available() and torch.cuda.get_device_capability() < _AMPERE:
        reason = reason or "this GPU is older than flash attention"
    if asked == "varlen" and reason:
        raise TrainingError(f"train.attention is varlen, but {reason}. Set it to auto or sdpa.")
    if asked == "auto" and reason:
        log.warning("attention: sdpa, with masks and padding, as %s", reason)
    varlen = asked != "sdpa" and reason is None
    if varlen:
        model.set_attn_implementation(_NAME)
    return varlen


def varlen_attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    scaling: float,
    segments: Segments | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """`query` (1, H, T, D), `key` and `value` (1, K, T, D), where H is a multiple of K -> (1, T, H, D).

    Causal within each segment, blind to all others. Raises ValueError without `segments`, or with a mask or several
    lines beside them.
    """
    if segments is None or attention_mask is not None or len(query) != 1:
        raise ValueError(
            "Varlen attention takes one line with its segments and no mask. "
            "For other uses, call set_attn_implementation('sdpa') on the model."
        )
    if torch.is_autocast_enabled(query.device.type):  # rotated queries and keys come in fp32, and the kernel takes none
        dtype = torch.get_autocast_dtype(query.device.type)
        query, key, value = query.to(dtype), key.to(dtype), value.to(dtype)
    grouped = query.shape[1] != key.shape[1]
    if not _has_kernel(query):
        return _one_by_one(query, key, value, segments.bounds, scaling, grouped), None
    bounds, longest = segments
    shared: dict[str, bool] = {}
    if grouped and _SHARES_KEYS:
        shared = {"enable_gqa": True}
    elif grouped:
        key, value = (x.repeat_interleave(query.shape[1] // x.shape[1], 1) for x in (key, value))
    out = varlen_attn(
        *(x[0].transpose(0, 1) for x in (query, key, value)),
        *(bounds, bounds, longest, longest),
        scale=scaling,
        window_size=(-1, 0),  # everything before, nothing after
        **shared,
    )
    return out[None], None


def _has_kernel(query: Tensor) -> bool:
    return query.is_cuda and query.dtype in _HALF and query.shape[-1] % 8 == 0 and query.shape[-1] <= 256


# torch.compile would make a graph for each number of segments.
@torch.compiler.disable  # type: ignore[untyped-decorator]
def _one_by_one(query: Tensor, key: Tensor, value: Tensor, bounds: Tensor, scaling: float, grouped: bool) -> Tensor:
    """A GPU without the kernel waits here for the bounds, in each layer."""
    lengths = bounds.diff().tolist()
    parts = [
        F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=scaling, enable_gqa=grouped).transpose(1, 2)
        for q, k, v in zip(*(x.split(lengths, 2) for x in (query, key, value)), strict=True)
    ]
    return torch.cat(parts, 1) if len(parts) > 1 else parts[0].contiguous()


AttentionInterface.register(_NAME, varlen_attention)
