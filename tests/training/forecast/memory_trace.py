"""The peak memory of a real training step, traced without weights and without the hardware.

Tensors are fake (shapes, no data), so a model of any size costs seconds of CPU. What runs is the code that trains:
`prepare`, `TrainedTokenLoss`, autocast and `Stepper`. Three things are made as they are on a GPU: the base's dtype (the
loop's choice), dropout (one fused operation there) and the optimizer (fused there, without temporaries).
"""

from __future__ import annotations

import weakref
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakIdKeyDictionary
from transformers import AutoConfig, AutoModelForCausalLM

from fireact_ray.training.batching import plan_steps
from fireact_ray.training.config import TrainConfig
from fireact_ray.training.data import Row
from fireact_ray.training.model import Prepared, prepare
from fireact_ray.training.sharding.base import Here
from fireact_ray.training.sharding.ddp import Ddp
from fireact_ray.training.stepping import Stepper


def traced_peak(shape: dict[str, Any], config: TrainConfig, *, lines: int, length: int, checkpointing: bool) -> int:
    """Bytes at the highest point of two steps of two micro-batches of `lines` rows of `length` tokens each, half of
    them trained. `shape`: a model's config.json."""
    config = config.changed(global_batch_size=2 * lines, micro_batch_tokens=lines * length)
    n_trained = length // 2
    row = Row("r", np.zeros(length, np.int32), np.array([0] * (length - n_trained) + [1] * n_trained, np.int8))
    here = Here(0, 1, torch.device("cpu"))
    prepared = _on_meta(shape, config, checkpointing)
    fake = FakeTensorMode(allow_non_fake_inputs=True)
    with fake, _KnownRows(lines * n_trained), patch.object(nn.functional, "dropout", _fused_dropout):
        _materialize(prepared.model)
        rows = [row] * (2 * lines)
        ddp = Ddp(prepared, config, here)
        stepper = Stepper(ddp, rows, config, here)
        for group in ddp.optimizer.param_groups:
            group["fused"] = True
        with _LiveBytes() as live:
            live.count(list(prepared.model.parameters()))
            for _ in range(2):
                step = next(plan_steps(rows, config))
                assert [len(batch) for batch in step.share.micro_batches] == [lines, lines]
                stepper.take(step, 1e-4, bf16=True)
        return live.peak


class _LiveBytes(TorchDispatchMode):
    """Bytes of all tensors that live, after each operation; views share their storage."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._seen = WeakIdKeyDictionary()

    def count(self, made: Any) -> None:
        for tensor in tree_leaves(made):
            if isinstance(tensor, torch.Tensor) and (storage := tensor.untyped_storage()) not in self._seen:
                self._seen[storage] = True
                self.now += storage.nbytes()
                weakref.finalize(storage, self._free, storage.nbytes())
        self.peak = max(self.peak, self.now)

    def _free(self, n: int) -> None:
        self.now -= n

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        self.count(made)
        return made


def _on_meta(shape: dict[str, Any], config: TrainConfig, checkpointing: bool) -> Prepared:
    dtype = torch.bfloat16 if config.tuning == "lora" else torch.float32  # as open_ddp has it on a GPU
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(**shape), dtype=dtype)
    if checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    return prepare(model, config)


def _materialize(model: nn.Module) -> None:
    """In place of each tensor of the meta device, and of PEFT's real ones, a fake one of its shape and dtype."""
    made: dict[int, nn.Parameter] = {}  # tied ones stay tied
    for module in model.modules():
        for name, old in module._parameters.items():
            if old is not None:
                new = nn.Parameter(torch.empty(old.shape, dtype=old.dtype), requires_grad=old.requires_grad)
                module._parameters[name] = made.setdefault(id(old), new)
        for name, old in module._buffers.items():
            if old is not None:
                module._buffers[name] = torch.empty(old.shape, dtype=old.dtype)


def _fused_dropout(x: torch.Tensor, p: float, training: bool, inplace: bool) -> torch.Tensor:
    return torch.native_dropout(x, p, training)[0]


class _KnownRows(TorchFunctionMode):
    """Selecting by a mask gives `n_trained` rows: nobody knows how many a fake mask marks."""

    def __init__(self, n_trained: int) -> None:
        super().__init__()
        self._n = n_trained

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is torch.Tensor.__getitem__ and isinstance(args[1], torch.Tensor) and args[1].dtype == torch.bool:
            where = torch.zeros(self._n, dtype=torch.long)
            args = (args[0], (where,) * args[1].ndim)
        return func(*args, **kwargs)
