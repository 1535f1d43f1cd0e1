"""The peak memory of a real training step, traced without weights, without the hardware and without the other workers.

Tensors are fake (shapes, no data), so a model of any size costs seconds of CPU; so are the workers that this one
exchanges with. What runs is the code that trains: `prepare`, `TrainedTokenLoss`, autocast, `Stepper`, DDP or FSDP2.
Four things are made as they are on a GPU: the base's dtype (the loop's choice), attention (the kernel), dropout (one
fused operation there) and the optimizer (fused there, without temporaries).

Run with a folder of tests in PYTHONPATH it prints the table of docs/results.md: every shipped recipe at full depth by
FSDP2 over eight workers, traced (three and four layers, and as many steps of their difference) and planned.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self
from unittest.mock import patch

import numpy as np
import torch
import torch.distributed as dist
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy
from torch.distributed.tensor import DTensor
from torch.overrides import TorchFunctionMode
from torch.testing._internal.distributed.fake_pg import FakeStore
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers import AutoConfig, AutoModelForCausalLM

from fireact_ray.training import attention
from fireact_ray.training.batching import plan_steps
from fireact_ray.training.config import TrainConfig
from fireact_ray.training.data import Row, Sizes
from fireact_ray.training.model import Prepared, prepare
from fireact_ray.training.sharding.base import Here, Sharded
from fireact_ray.training.sharding.ddp import Ddp
from fireact_ray.training.sharding.fsdp2 import Fsdp2
from fireact_ray.training.stepping import Stepper


def traced_peak(shape: dict[str, Any], config: TrainConfig, *, rows: int, length: int, workers: int = 1) -> int:
    """Bytes in one worker at the highest point of two steps of two micro-batches of `rows` rows of `length` tokens
    each, half of them trained. `shape`: a model's config.json. Several `workers` share the model as `config` says."""
    config = config.changed(global_batch_size=2 * rows * workers, micro_batch_tokens=rows * length)
    n_trained = length // 2
    row = Row("r", np.zeros(length, np.int32), np.array([0] * (length - n_trained) + [1] * n_trained, np.int8))
    here = Here(0, workers, torch.device("cpu"))
    prepared = _on_meta(shape, config)
    fake = FakeTensorMode(allow_non_fake_inputs=True)
    dropout = patch.object(nn.functional, "dropout", _fused_dropout)
    kernel = patch.object(attention, "_has_kernel", lambda query: True)
    with _mesh_of(workers) as mesh, fake, _KnownRows(rows * n_trained), dropout, kernel:
        _materialize(prepared.model)
        data = [row] * (2 * rows * workers)
        sharded = _sharded(prepared, config, here, mesh)
        stepper = Stepper(sharded, data, config, here)
        for group in sharded.optimizer.param_groups:
            group["fused"] = True
        with _LiveBytes() as live:
            live.count(list(prepared.model.parameters()))
            for _ in range(2):
                step = next(plan_steps(Sizes.of(data), config, 0, workers, varlen=prepared.varlen))
                assert [sum(map(len, batch)) for batch in step.share.micro_batches] == [rows, rows]
                stepper.take(stepper.ready(step), 1e-4, bf16=True)
        return live.peak


def _sharded(prepared: Prepared, config: TrainConfig, here: Here, mesh: DeviceMesh) -> Sharded:
    if config.sharding == "ddp":
        return Ddp(prepared, config, here)
    return Fsdp2(prepared, config, here, mesh, MixedPrecisionPolicy(torch.bfloat16, torch.float32))


@contextmanager
def _mesh_of(workers: int) -> Iterator[DeviceMesh]:
    """Workers that are not there: what this one would get from them has the right shape."""
    dist.init_process_group("fake", rank=0, world_size=workers, store=FakeStore())
    try:
        yield init_device_mesh("cpu", (workers,))
    finally:
        dist.destroy_process_group()


class _LiveBytes(TorchDispatchMode):
    """Bytes of all tensors that live, after each operation; views share their storage, and FSDP2 empties storages that
    it will fill again."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._sizes: dict[int, int] = {}
        resize = self._resize  # as a function: a method of this object would not be given the storage
        self._patched = patch.object(torch.UntypedStorage, "resize_", lambda storage, size: resize(storage, size))

    def count(self, made: Any) -> None:
        for tensor in tree_leaves(made):
            if isinstance(tensor, DTensor):
                tensor = tensor.to_local()
            if isinstance(tensor, torch.Tensor):
                storage = tensor.untyped_storage()
                if id(storage) not in self._sizes:
                    self._sizes[id(storage)] = 0
                    weakref.finalize(storage, self._forget, id(storage))
                self._is_now(storage)

    def _is_now(self, storage: torch.UntypedStorage) -> None:
        self.now += storage.nbytes() - self._sizes[id(storage)]
        self._sizes[id(storage)] = storage.nbytes()
        self.peak = max(self.peak, self.now)

    def _forget(self, known: int) -> None:
        self.now -= self._sizes.pop(known)

    def _resize(self, storage: torch.UntypedStorage, size: int) -> None:
        torch._C.StorageBase.resize_(storage, size)
        if id(storage) in self._sizes:
            self._is_now(storage)

    def __enter__(self) -> Self:
        self._patched.start()
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        self._patched.stop()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        self.count(made)
        return made


def _on_meta(shape: dict[str, Any], config: TrainConfig) -> Prepared:
    dtype = torch.bfloat16 if config.tuning == "lora" else torch.float32  # as open_ddp has it on a GPU
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(**shape), dtype=dtype)
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


def _table() -> None:
    from model_configs import CONFIGS

    from fireact_ray.core.utils.markdown import markdown_table
    from fireact_ray.recipe.loader import load_recipe
    from fireact_ray.training.config import TrainSettings
    from fireact_ray.training.forecast.activations import Load
    from fireact_ray.training.forecast.memory import GIB, Layout, plan_memory
    from fireact_ray.training.forecast.model_shape import ModelShape

    rows = []
    for name, whole in CONFIGS.items():
        settings = load_recipe(name).train.model_dump(include=set(TrainSettings.model_fields))
        for tuning in ("lora", "full"):
            config = TrainConfig.from_dict({**settings, "base_model": "any", "sharding": "fsdp2", "tuning": tuning})
            three, four = (
                traced_peak(whole | {"num_hidden_layers": n}, config, rows=2, length=2048, workers=8) for n in (3, 4)
            )
            traced = three + (whole["num_hidden_layers"] - 3) * (four - three)
            layout, load = Layout(workers=8, sharding="fsdp2"), Load(1, config.micro_batch_tokens)
            planned = plan_memory(ModelShape.from_config(whole), config, layout, load).tensors
            sizes = (f"{traced / GIB:.1f}", f"{planned / GIB:.1f}", f"{planned / traced - 1:+.1%}")
            rows.append((f"{name}, {tuning}", *sizes))
    sys.stdout.write(markdown_table(("recipe, tuning", "traced, GiB", "planned, GiB", ""), rows) + "\n")


if __name__ == "__main__":
    _table()
