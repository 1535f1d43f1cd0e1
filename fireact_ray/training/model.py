"""A base model as an object, and what of it is trained."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import peft
import torch
import transformers
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn
from transformers import AutoModelForCausalLM

from fireact_ray.core.errors import InputError, TrainingError
from fireact_ray.training.attention import use_attention
from fireact_ray.training.base import find_base
from fireact_ray.training.config import TrainConfig
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
    """Attach LoRA, or unfreeze everything; choose the attention and how the layers are run.

    Raises TrainingError for a target module that does not exist or is the embedding, too, and as `use_attention` and
    `set_layers` do.
    """
    varlen = use_attention(model, config.attention)
    if config.adapts:
        model = peft.get_peft_model(model, _lora(model, config))
        for module in model.modules():
            if isinstance(module, BaseTunerLayer):
                # PEFT would widen a bf16 input to the adapter's fp32, for autocast to round it again: the same values
                # by way of tensors twice as large. An fp32 input meets fp32 adapters anyway.
                module.cast_input_dtype_enabled = False
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


def _lora(model: Any, config: TrainConfig) -> peft.LoraConfig:
    targets = config.lora.target_modules
    names = [name for name, _ in model.named_modules()]
    # PEFT itself only complains when none of them exists.
    if absent := [t for t in targets or () if not any(f".{name}".endswith(f".{t}") for name in names)]:
        linear = {name.split(".")[-1] for name, module in model.named_modules() if isinstance(module, nn.Linear)}
        raise TrainingError(f"No module {absent} in this model. Its linear ones: {', '.join(sorted(linear))}.")
    demand_untied(model, targets or ())
    return peft.LoraConfig(
        task_type=peft.TaskType.CAUSAL_LM,
        r=config.lora.rank,
        lora_alpha=config.lora.alpha,
        lora_dropout=config.lora.dropout,
        target_modules="all-linear" if targets is None else list(targets),
    )


def demand_untied(model: Any, targets: Iterable[str]) -> None:
    """Raises TrainingError where an adapted module, by the end of its name, is embedding and head in one."""
    head, embedding = model.get_output_embeddings(), model.get_input_embeddings().weight
    if head is None or head.weight is not embedding:
        return
    shared = [name for name, module in model.named_modules() if getattr(module, "weight", None) is embedding]
    if tied := [t for t in targets if any(f".{name}".endswith(f".{t}") for name in shared)]:
        raise TrainingError(
            f"{', '.join(tied)}: embedding and head share their weights in this model, and an adapter of one cannot be "
            "merged without changing the other. Leave it out of lora.target_modules."
        )
