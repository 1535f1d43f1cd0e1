"""A model that is never whole in one worker: a skeleton without weights, then one weight after another, partitioned
at once. Beyond its own part a worker holds the one at hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn

from fireact_ray.core.errors import InputError
from fireact_ray.training.sharding.base import Here
from fireact_ray.training.sharding.loading import empty_base, replace, weight_files


def skeleton(folder: Path, device: torch.device) -> Any:
    """The model of a base, fp32, its buffers on `device`. Its weights have their shapes, and no memory."""
    model = empty_base(folder, torch.float32)
    replace(list(model.parameters()), lambda weight: torch.zeros(()).expand(weight.shape))
    for module in model.modules():
        for name, buffer in list(module.named_buffers(recurse=False)):
            setattr(module, name, buffer.to(device))
    return model


class StoredWeights:
    """Where each weight of a skeleton is in the safetensors files of its base.

    Raises InputError for one that is not there, or has another shape.
    """

    def __init__(self, folder: Path, model: nn.Module) -> None:
        files = weight_files(folder)
        shapes = {}
        for file in set(files.values()):
            with safe_open(file, "pt") as stored:
                shapes.update({key: tuple(stored.get_slice(key).get_shape()) for key in files if files[key] == file})
        self._places: dict[nn.Parameter, tuple[Path, str]] = {}
        for key, parameter in model.named_parameters(remove_duplicate=False):  # a tied one has two names
            if shapes.get(key) == tuple(parameter.shape):
                self._places[parameter] = files[key], key
        if lacking := [key for key, parameter in model.named_parameters() if parameter not in self._places]:
            raise InputError(
                f"{folder}: the weights lack {lacking[:5]}, or have them in other shapes. Fetch the model again; or "
                "train with sharding ddp, in case its files name weights otherwise than the model does."
            )

    def __contains__(self, parameter: nn.Parameter) -> bool:
        return parameter in self._places

    def read(self, parameter: nn.Parameter) -> Tensor:
        file, key = self._places[parameter]
        with safe_open(file, "pt") as stored:
            weight: Tensor = stored.get_tensor(key)
        return weight


def partition(
    model: nn.Module, stored: StoredWeights, here: Here, settings: dict[str, Any], dtype: torch.dtype
) -> dict[nn.Parameter, Tensor]:
    """Leave in each worker its part of every parameter, in `dtype`. Rank 0 reads, the others hear of it.

    Returns this worker's fp32 parts of what is trained, where `dtype` is another.
    """
    import deepspeed

    first: Any = None
    masters = {}
    for parameter in model.parameters():
        wanted = torch.float32 if parameter.requires_grad else dtype
        if parameter not in stored:  # an adapter: all workers made it alike
            parameter.data = parameter.data.to(here.device, wanted)
        elif here.rank == 0:
            parameter.data = stored.read(parameter).to(here.device, wanted)
        else:
            parameter.data = torch.empty(parameter.shape, dtype=wanted, device=here.device)
        if first is None:
            first = parameter
            deepspeed.zero.Init(module=nn.ParameterList([first]), config_dict_or_path=settings)
        else:
            first.convert_to_zero_parameters([parameter])
        part = parameter.ds_tensor
        if wanted != dtype:
            masters[parameter] = part.data
            part.data, parameter.data = part.data.to(dtype), parameter.data.to(dtype)
    return masters
