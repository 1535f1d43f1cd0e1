"""A base model in four bits (QLoRA, arXiv:2305.14314): NF4, its scales quantised once more.

A tensor is quantised as it is read, so that the model is never in memory at full width. Of what PEFT's
`prepare_model_for_kbit_training` does nothing is needed: PEFT freezes the base when it attaches an adapter, norms
compute in fp32 as they are, and checkpointing is a setting of its own.

Two codes stand in a byte, and are stored as bytes. bitsandbytes can also store them as numbers of bf16 or fp32, which
the first FSDP needed; but pairs of bytes then come to stand for every NaN there is, and torch's copies of lists of
tensors, by which FSDP2 gathers, make one and the same NaN of all of them on a GPU (pytorch issue 159333, bitsandbytes
issue 1945). FSDP2 leaves bytes alone: what is no floating point it never casts, and layers of several dtypes it
gathers byte by byte.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import BitsAndBytesConfig

from fireact_ray.core.errors import InputError, TrainingError
from fireact_ray.training.model import load_base


def load_quantized(base_model: str | Path, device: torch.device, *, bf16: bool) -> Any:
    """The base model on `device`, its linear layers but the head in four bits, all else in the dtype that is computed
    in: bf16 or fp32.

    Raises InputError as `find_base` does, and where bitsandbytes is not installed.
    """
    if importlib.util.find_spec("bitsandbytes") is None:
        raise InputError("train.tuning qlora needs bitsandbytes, which is not installed: pip install bitsandbytes.")
    dtype = torch.bfloat16 if bf16 else torch.float32
    four_bits = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
        bnb_4bit_quant_storage=torch.uint8,
    )
    model = load_base(base_model, dtype, quantization_config=four_bits, device_map={"": device})
    for layer in _quantized_layers(model):
        # CPUs with AVX-512 for bf16 have an order of bits of their own, into which an evaluation puts them for good, in
        # which no gradient passes.
        layer.support_avx512bf16_for_cpu = False
    return model


def demand_sharded(model: nn.Module) -> None:
    """Raises TrainingError where what the four-bit layers need is lost, once FSDP2 has their weights.

    The weights are plain tensors then, and bitsandbytes finds their scales in the layer.
    """
    for layer in _quantized_layers(model):
        if getattr(layer, "quant_state", None) is None or layer.weight.dtype != torch.uint8:
            raise TrainingError(
                "This version of bitsandbytes or transformers keeps scales or bits of four-bit weights where sharding "
                "loses them. Use bitsandbytes 0.48 or newer; or train.sharding ddp, or train.tuning lora."
            )


def _quantized_layers(model: nn.Module) -> list[Any]:
    from bitsandbytes.nn import Linear4bit  # it looks for a GPU's libraries when it is imported

    return [module for module in model.modules() if isinstance(module, Linear4bit)]


def paged_adamw(groups: list[dict[str, Any]], learning_rate: float) -> torch.optim.Optimizer:
    """AdamW whose moments, in fp32, move to the host's memory while the GPU needs theirs for a long row."""
    from bitsandbytes.optim import PagedAdamW  # it looks for a GPU's libraries when it is imported

    optimizer: torch.optim.Optimizer = PagedAdamW(groups, learning_rate)
    return optimizer
