"""What is known of Llama-like decoders, by their config.json alone. Needs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# model_type -> biases of q, k, v and norms of q and k, which are what these decoders differ in.
KNOWN = {"llama": (False, False), "mistral": (False, False), "qwen2": (True, False), "qwen3": (False, True)}
_MISTRAL_WINDOW = 4096  # where its config.json names none


def why_not_varlen(config: Mapping[str, Any]) -> str | None:
    """Why this model's attention cannot be that of training.attention; None where it can.

    That one is plain causal attention within each example: it knows no window, no dropout, and nothing that another
    kind of model may add.
    """
    kind = config.get("model_type")
    if kind not in KNOWN:
        return f"model_type {kind!r} is not one of {', '.join(KNOWN)}"
    if config.get("attention_dropout"):
        return f"this {kind} drops attention weights out (attention_dropout {config['attention_dropout']})"
    if _has_window(config):
        return f"this {kind} looks back over a sliding window only"
    return None


def _has_window(config: Mapping[str, Any]) -> bool:
    if config["model_type"] == "mistral":
        return config.get("sliding_window", _MISTRAL_WINDOW) is not None
    return bool(config.get("use_sliding_window")) or "sliding_attention" in (config.get("layer_types") or ())
