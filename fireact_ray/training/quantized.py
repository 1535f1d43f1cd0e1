"""A base model in four bits (QLoRA, arXiv:2305.14314): NF4, its scales quantised once more.

A tensor is quantised as it is read, so that the model is never in memory at full width. Of what PEFT's
`prepare_model_for_kbit_training` does nothing is needed: PEFT freezes the base when it attaches an adapter, norms
compute in fp32 as they are, and checkpointing is a setting of its own.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import torch
from transformers import BitsAndBytesConfig

from fireact_ray.core.errors import InputError
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
        bnb_4bit_quant_storage=dtype,  # sharding casts all weights of a layer to one dtype; these bits bear no cast
    )
    return load_base(base_model, dtype, quantization_config=four_bits, device_map={"": device})


def paged_adamw(groups: list[dict[str, Any]], learning_rate: float) -> torch.optim.Optimizer:
    """AdamW whose moments, in fp32, move to the host's memory while the GPU needs theirs for a long row."""
    from bitsandbytes.optim import PagedAdamW  # it looks for a GPU's libraries when it is imported

    optimizer: torch.optim.Optimizer = PagedAdamW(groups, learning_rate)
    return optimizer
