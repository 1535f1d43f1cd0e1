"""Fused kernels for what a decoder computes number by number: norms, the rotation of queries and keys, the MLP's gate.

They are Liger's (Hsu et al., 2024; arXiv:2410.10989), in Triton: each reads and writes a GPU's memory once where torch
takes several passes, and keeps less for the backward pass. Liger's own patches change transformers for every model of
the process; here the modules of one model are changed, and can be changed back. Attention, linear layers, adapters and
the loss stay what they are: logits are made of trained rows only (training.loss), so that fusing the head would save
little memory, and would make the host wait for the GPU twice a pass.
"""

from __future__ import annotations

import importlib
import importlib.util
from types import FunctionType, MethodType
from typing import Any

import torch
from torch import Tensor, nn

from fireact_ray.core.errors import InputError, TrainingError
from fireact_ray.training.config import TrainConfig
from fireact_ray.training.decoders import KNOWN

_ROTATION = "apply_rotary_pos_emb"  # as transformers names it beside each of these decoders


def demand_kernels(config: TrainConfig, device: torch.device) -> None:
    """Raises InputError where `config.kernels` cannot run on `device`, or is not installed."""
    if config.kernels == "torch":
        return
    if device.type != "cuda":
        raise InputError(
            f"train.kernels liger needs a GPU by CUDA; this training is on {device.type}. Set it to torch."
        )
    if absent := [name for name in ("triton", "liger_kernel") if importlib.util.find_spec(name) is None]:
        raise InputError(
            f"train.kernels liger needs {' and '.join(absent)}, not installed here: pip install liger-kernel; "
            "or set train.kernels to torch."
        )


def set_kernels(model: Any, kernels: str) -> None:
    """Let a transformers model's norms, MLPs and rotations run by `kernels`, torch or liger, whatever they did before.

    Parameters and their names stay. Raises TrainingError for a model that these kernels are not known to be right for.
    """
    parts = _parts(model)
    for modules in parts.values():
        for module in modules:
            module.__dict__.pop("forward", None)
    if kernels == "torch":
        return
    _demand_known(model, parts)
    rotation = _rotating(type(parts["Attention"][0]).forward)
    for norm in parts["RMSNorm"]:
        norm.forward = MethodType(_norm, norm)
    for mlp in parts["MLP"]:
        mlp.forward = MethodType(_mlp, mlp)
    for attention in parts["Attention"]:
        attention.forward = MethodType(rotation, attention)


def _parts(model: Any) -> dict[str, list[Any]]:
    """Modules that transformers wrote for this kind of model, by the end of their class's name."""
    kind = model.config.model_type
    home = f"transformers.models.{kind}.modeling_{kind}"
    written = [module for module in model.modules() if type(module).__module__ == home]
    ends = ("RMSNorm", "MLP", "Attention")
    return {end: [module for module in written if type(module).__name__.endswith(end)] for end in ends}


def _demand_known(model: Any, parts: dict[str, list[Any]]) -> None:
    kind, activation = model.config.model_type, getattr(model.config, "hidden_act", None)
    if kind not in KNOWN:
        reason = f"model_type {kind!r} is not one of {', '.join(KNOWN)}"
    elif activation != "silu":
        reason = f"this {kind} has the activation {activation!r}, not silu"
    elif not all(parts.values()) or _ROTATION not in type(parts["Attention"][0]).forward.__globals__:
        reason = f"this version of transformers writes {kind} otherwise than these kernels expect"
    else:
        return
    raise TrainingError(f"train.kernels is liger, but {reason}. Set it to torch.")


def _norm(module: Any, hidden_states: Tensor) -> Tensor:
    return _liger().liger_rms_norm(hidden_states, module.weight, module.variance_epsilon)


def _mlp(module: Any, x: Tensor) -> Tensor:
    return module.down_proj(_liger().liger_swiglu(module.gate_proj(x), module.up_proj(x)))


def _rotating(forward: FunctionType) -> FunctionType:
    """An attention's `forward` that finds Liger's rotation under the name by which it calls transformers'."""
    names = {**forward.__globals__, _ROTATION: _liger().liger_rope}
    copy = FunctionType(forward.__code__, names, forward.__name__, forward.__defaults__, forward.__closure__)
    copy.__kwdefaults__ = forward.__kwdefaults__
    return copy


def _liger() -> Any:
    return importlib.import_module("liger_kernel.transformers.functional")  # it takes Triton, and seconds


def has_kernels(model: nn.Module) -> bool:
    """Whether any module of the model runs by another `forward` than its class's, of those that `set_kernels` sets."""
    return any("forward" in module.__dict__ for modules in _parts(model).values() for module in modules)
