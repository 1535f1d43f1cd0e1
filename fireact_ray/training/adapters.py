"""LoRA adapters, by PEFT: attached to a base for training, loaded from a folder, merged into the base's weights.

PEFT takes seconds to import, more where bitsandbytes is installed, so this file is imported where an adapter is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import peft
import torch
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn

from fireact_ray.core.errors import InputError, TrainingError
from fireact_ray.training.config import TrainConfig
from fireact_ray.training.model import load_base

_ADAPTER = "adapter_model.safetensors"


def attach_adapter(model: Any, config: TrainConfig) -> Any:
    """A PeftModel whose LoRA weights alone are trained.

    Raises TrainingError for a target module that does not exist or is the embedding, too.
    """
    model = peft.get_peft_model(model, _lora(model, config))
    for module in model.modules():
        if isinstance(module, BaseTunerLayer):
            # PEFT would widen a bf16 input to the adapter's fp32, for autocast to round it again: the same values
            # by way of tensors twice as large. An fp32 input meets fp32 adapters anyway.
            module.cast_input_dtype_enabled = False
    return model


def load_adapter(folder: Path, base: Path, dtype: torch.dtype) -> Any:
    """The PeftModel of a trained folder on its base (see base_of_adapter). Raises InputError without weights."""
    _demand_weights(folder)
    return peft.PeftModel.from_pretrained(load_base(base, dtype), folder, is_trainable=False)


BASE_ALONE = "__base__"  # PEFT's name for rows that no adapter is attached to


def load_adapters(folders: Mapping[str, Path], base: Path, dtype: torch.dtype) -> Any:
    """A PeftModel of several adapters, by their names; without any the base. Raises InputError without weights."""
    model = load_base(base, dtype)
    for name, folder in folders.items():
        _demand_weights(folder)
        if isinstance(model, peft.PeftModel):
            model.load_adapter(folder, adapter_name=name)
        else:
            model = peft.PeftModel.from_pretrained(model, folder, adapter_name=name)
    return model.eval()


def _demand_weights(folder: Path) -> None:
    if not (folder / _ADAPTER).is_file():  # PEFT would look for a pickle
        raise InputError(f"{folder}: no {_ADAPTER}. Restore it, or train again.")


def merged(model: Any) -> Any:
    """The base of a PeftModel with the adapter in its weights, each added up in fp32 and rounded once.

    Raises TrainingError where an adapted layer is embedding and head in one.
    """
    _demand_untied(model, [name for name, layer in model.named_modules() if isinstance(layer, BaseTunerLayer)])
    return model.merge_and_unload()


def _demand_untied(model: Any, targets: Iterable[str]) -> None:
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


def _lora(model: Any, config: TrainConfig) -> peft.LoraConfig:
    targets = config.lora.target_modules
    names = [name for name, _ in model.named_modules()]
    # PEFT itself only complains when none of them exists.
    if absent := [t for t in targets or () if not any(f".{name}".endswith(f".{t}") for name in names)]:
        linear = {name.split(".")[-1] for name, module in model.named_modules() if isinstance(module, nn.Linear)}
        raise TrainingError(f"No module {absent} in this model. Its linear ones: {', '.join(sorted(linear))}.")
    _demand_untied(model, targets or ())
    return peft.LoraConfig(
        task_type=peft.TaskType.CAUSAL_LM,
        r=config.lora.rank,
        lora_alpha=config.lora.alpha,
        lora_dropout=config.lora.dropout,
        target_modules="all-linear" if targets is None else list(targets),
    )
