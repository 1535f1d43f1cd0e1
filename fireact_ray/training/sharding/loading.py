"""A base model of which this worker's slices are loaded, and no more: weights begin on the meta device, are sharded
there, and what this worker holds of each is then read from the safetensors files.

A slice is read, copied to its place and forgotten, so at any moment a worker holds its shard and one slice.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from accelerate import init_empty_weights
from safetensors import safe_open
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig
from transformers.initialization import no_init_weights
from transformers.utils import GENERATION_CONFIG_NAME, SAFE_WEIGHTS_INDEX_NAME, SAFE_WEIGHTS_NAME

from fireact_ray.core.errors import InputError
from fireact_ray.core.json_text import parse
from fireact_ray.training.config import TrainConfig
from fireact_ray.training.model import Prepared, prepare

log = logging.getLogger(__name__)


def empty_base(folder: Path, dtype: torch.dtype) -> Any:
    """The model that `load_base` gives, with all weights on the meta device. Buffers, which no file holds, are real."""
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        with no_init_weights(), init_empty_weights(include_buffers=False):
            model = AutoModelForCausalLM.from_config(config, dtype=dtype, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise InputError(f"{folder} cannot be loaded as a causal language model: {error}") from error
    model.tie_weights()  # else a part of the initialization that was left out
    if (folder / GENERATION_CONFIG_NAME).is_file():
        model.generation_config = GenerationConfig.from_pretrained(folder, local_files_only=True)
    return model.eval()


def prepare_empty(base: Any, config: TrainConfig) -> Prepared:
    """`prepare` for what `empty_base` gave. Adapters are real, and on the CPU, with the values they always have.

    Raises TrainingError as `prepare` does.
    """
    weights = list(base.parameters())
    # PEFT puts adapters beside their layer's weights, and on the meta device they would lose their values. Of a number
    # that is repeated a weight's size is seen on the CPU, and takes no memory there.
    replace(weights, lambda weight: torch.zeros((), dtype=weight.dtype).expand(weight.shape))
    prepared = prepare(base, config)
    replace(weights, lambda weight: torch.empty(weight.shape, dtype=weight.dtype, device="meta"))
    return prepared


def fill(modules: Mapping[str, nn.Module], folder: Path, device: torch.device) -> None:
    """Make weights that are on the meta device real, on `device`, and read them from the files in `folder`.

    `modules`: those of the model that `empty_base` gave, by the names they had then; their weights may be DTensors
    since, in slices of rows. Raises InputError for weights that no file holds, or of another shape.
    """
    names: dict[nn.Parameter, list[str]] = {}  # a shared (tied) weight has several
    for module_name, module in modules.items():
        for name, weight in module.named_parameters(recurse=False):
            names.setdefault(weight, []).append(f"{module_name}.{name}")
    files = weight_files(folder)
    wanted = {next((name for name in known if name in files), known[0]): weight for weight, known in names.items()}
    if missing := sorted(wanted.keys() - files.keys()):
        raise InputError(
            f"{folder}: the weights lack {missing[:5]}. Fetch the model again; or train with sharding ddp, in case its "
            "files name weights otherwise than the model does."
        )
    if unread := sorted(files.keys() - {name for known in names.values() for name in known}):
        log.warning(
            "%s: %d tensors belong to nothing in the model and are left out: %s", folder, len(unread), unread[:5]
        )
    replace(wanted.values(), lambda weight: torch.empty_like(weight, device=device))
    for file in sorted(set(files.values())):
        _read(file, {name: weight for name, weight in wanted.items() if files[name] == file})


def replace(weights: Iterable[nn.Parameter], make: Callable[[Tensor], Tensor]) -> None:
    """In place, as others hold them: the modules that share one, and what sharded it."""
    for weight in weights:
        torch.utils.swap_tensors(weight, nn.Parameter(make(weight), weight.requires_grad))


def _read(file: Path, wanted: Mapping[str, Tensor]) -> None:
    with safe_open(file, framework="pt") as stored:
        for name, weight in wanted.items():
            rows = stored.get_slice(name)
            if rows.get_shape() != list(weight.shape):
                found, expected = rows.get_shape(), list(weight.shape)
                raise InputError(
                    f"{file}: {name} is of shape {found}, by config.json it is {expected}. Fetch it again."
                )
            local, first = _local_rows(weight)
            if len(local):
                local.copy_(rows[first : first + len(local)])


def _local_rows(weight: Tensor) -> tuple[Tensor, int]:
    """This worker's rows, and the number of the first: workers hold equally many, the last ones fewer or none."""
    if not isinstance(weight, DTensor):
        return weight.detach(), 0
    per_worker = -(-weight.shape[0] // weight.device_mesh.size())
    return weight.detach().to_local(), weight.device_mesh.get_local_rank() * per_worker


def weight_files(folder: Path) -> dict[str, Path]:
    """Of each tensor the file that holds it; files that the index does not name are another copy of the model."""
    single, index = folder / SAFE_WEIGHTS_NAME, folder / SAFE_WEIGHTS_INDEX_NAME
    if not single.is_file() and not index.is_file():
        raise InputError(f"{folder}: neither {SAFE_WEIGHTS_NAME} nor {SAFE_WEIGHTS_INDEX_NAME} there.")
    try:
        files = [single] if single.is_file() else _named_in(index)
        return {name: file for file in files for name in _names(file)}
    except FileNotFoundError as error:
        raise InputError(
            f"{index} names {error.filename or error}, which is missing. Fetch the model again."
        ) from error


def _named_in(index: Path) -> list[Path]:
    return [index.with_name(name) for name in sorted(set(parse(index.read_bytes())["weight_map"].values()))]


def _names(file: Path) -> Iterator[str]:
    with safe_open(file, framework="pt") as stored:
        yield from stored.keys()
