"""A base model as an object, and what of it is trained."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import nn
from transformers import AutoModelForCausalLM

from fireact_ray.core.errors import InputError
from fireact_ray.training.attention import use_attention
from fireact_ray.training.base import find_base
from fireact_ray.training.config import TrainConfig
from fireact_ray.training.kernels import set_kernels
from fireact_ray.training.layers import set_layers

log = logging.getLogger(__name__)
transformers.utils.logging.disable_progress_bar()  # its bars would run through ours


@dataclass(frozen=True, slots=True)
class Prepared:
    """`varlen`: the model's attention takes batches of one line, with segments."""

    model: nn.Module
    trainable_parameters: int
    total_parameters: int
    varlen: bool


def load_base(base_model: str | Path, dtype: torch.dtype = torch.float32, **how: Any) -> Any:
    """The causal language model of a folder or hub id, on the CPU unless `how`, which transformers is told, says more.

    Raises InputError as `find_base` does.
    """
    folder = find_base(base_model)
    try:
        model, report = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=dtype,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            output_loading_info=True,
            **how,
        )
    except (OSError, ValueError) as error:
        raise InputError(f"{folder} cannot be loaded as a causal language model: {error}") from error
    if report["missing_keys"]:  # transformers would go on with random numbers in their place
        raise InputError(f"{folder}: the weights lack {sorted(report['missing_keys'])[:5]}. Fetch the model again.")
    return model


def prepare(model: Any, config: TrainConfig) -> Prepared:
    """Attach LoRA, or unfreeze everything; choose the attention, the kernels and how the layers are run.

    Raises TrainingError as `attach_adapter`, `use_attention`, `set_kernels` and `set_layers` do.
    """
    varlen = use_attention(model, config.attention)
    if config.kernels != "torch":
        set_kernels(model, config.kernels)
    if config.adapts:
        from fireact_ray.training.adapters import attach_adapter  # PEFT takes seconds to import: for adapters only

        model = attach_adapter(model, config)
    else:
        model.requires_grad_(True)
    sizes = [(_count(p), p.requires_grad) for p in model.parameters()]
    trainable, total = sum(n for n, trained in sizes if trained), sum(n for n, _ in sizes)
    log.info(
        "%s: %d of %d parameters are trained (%.2f%%)",
        config.tuning,
        trainable,
        total,
        100 * trainable / total,
    )
    set_layers(model, config.activation_checkpointing, config.compile)
    return Prepared(model, trainable, total, varlen)


def _count(parameter: nn.Parameter) -> int:
    """Numbers in it. A quantised one holds several in each of its own."""
    state = getattr(parameter, "quant_state", None)
    return parameter.numel() if state is None else int(state.shape.numel())
