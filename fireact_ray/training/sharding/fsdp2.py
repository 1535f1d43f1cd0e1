"""FSDP2: each worker holds a slice of every weight, of its gradient and of the optimizer's state. A layer's weights are
gathered while it works.

Gradients are added up over workers after each pass, not with the last one of a step: until then every worker would
hold those of the whole model, for which it may have no room.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
import torch.distributed.checkpoint as dcp
from torch import Tensor, nn
from torch.distributed.checkpoint import CheckpointException, HuggingFaceStorageReader, HuggingFaceStorageWriter
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor

from fireact_ray.core.errors import TrainingError
from fireact_ray.training.base import find_base
from fireact_ray.training.batching import Batch
from fireact_ray.training.config import TrainConfig
from fireact_ray.training.layers import decoder_layers
from fireact_ray.training.loss import TrainedTokenLoss
from fireact_ray.training.model import Prepared, prepare
from fireact_ray.training.precision import Precision
from fireact_ray.training.quantized import demand_sharded, load_quantized
from fireact_ray.training.sharding.base import Here, Sharded, make_optimizer
from fireact_ray.training.sharding.loading import empty_base, fill, prepare_empty
from fireact_ray.training.sharding.offload import is_offloaded

_FILE_BYTES = 1 << 30  # of a checkpoint's file: a worker holds two copies of it in host memory while it writes


def open_fsdp2(config: TrainConfig, here: Here, precision: Precision) -> Fsdp2:
    """Raises InputError for an incomplete base, TrainingError as `prepare`."""
    torch.manual_seed(config.seed)  # LoRA starts at random
    folder, on_gpu = find_base(config.base_model), here.device.type == "cuda"
    frozen_bf16 = precision.bf16 and config.adapts and on_gpu
    # On a CPU the clock may still decide for fp32; autocast, which can be left out, does it all there.
    policy = (
        MixedPrecisionPolicy(torch.bfloat16, torch.float32) if precision.bf16 and on_gpu else MixedPrecisionPolicy()
    )
    mesh = init_device_mesh(here.device.type, (here.world_size,))
    if config.tuning == "qlora":
        # Scales belong to whole matrices: each worker quantises them all, and keeps its slice of the bits.
        prepared = prepare(load_quantized(folder, here.device, bf16=frozen_bf16), config)
        sharded = Fsdp2(prepared, config, here, mesh, policy)
        demand_sharded(prepared.model)
        return sharded
    base = empty_base(folder, torch.bfloat16 if frozen_bf16 else torch.float32)
    modules = dict(base.named_modules())
    prepared = prepare_empty(base, config)
    sharded = Fsdp2(prepared, config, here, mesh, policy)
    fill(modules, folder, here.device)
    return sharded


def weights_of_fsdp2(folder: Path, shapes: Mapping[str, torch.Size]) -> dict[str, Tensor]:
    """What is trained, of a checkpoint, whole and on the CPU, put together without workers. `shapes`: by name."""
    state = {name: torch.empty(shape) for name, shape in shapes.items()}
    dcp.load(state, storage_reader=HuggingFaceStorageReader(str(folder)), no_dist=True)
    return state


class Fsdp2(Sharded):
    """`prepared`: weights on the meta device are real before the first pass, by `loading.fill`."""

    def __init__(
        self, prepared: Prepared, config: TrainConfig, here: Here, mesh: DeviceMesh, policy: MixedPrecisionPolicy
    ) -> None:
        self.prepared = prepared
        self._here = here
        self._compute_loss = TrainedTokenLoss(prepared.model).train()
        layers = decoder_layers(prepared.model)
        if not layers:
            name = type(prepared.model).__name__
            raise TrainingError(f"transformers marks no decoder layers in {name}. Use train.sharding ddp.")
        for layer in layers:
            fully_shard(layer, mesh=mesh, mp_policy=policy)
        fully_shard(self._compute_loss, mesh=mesh, mp_policy=policy)  # both ends of the model
        self._trained = {name: p for name, p in prepared.model.named_parameters() if p.requires_grad}
        fused = True if here.device.type == "cuda" else None
        offloaded = is_offloaded(config, here.device)
        self.optimizer = make_optimizer(prepared.model, config, fused=fused, offloaded=offloaded)

    def backward(self, batch: Batch, scale: float, *, bf16: bool, last: bool) -> Tensor:
        loss_sum = self.loss(batch, bf16=bf16)
        (loss_sum * scale).backward()
        return loss_sum.detach()

    def loss(self, batch: Batch, *, bf16: bool) -> Tensor:
        with torch.autocast(self._here.device.type, torch.bfloat16, enabled=bf16):
            loss_sum, _ = self._compute_loss(*batch)
        return loss_sum

    def update(self, rate: float, max_norm: float) -> Tensor:
        self._set_rate(rate)
        norm = nn.utils.clip_grad_norm_(self._trained.values(), max_norm)
        self.optimizer.step()
        self.forget_gradients()
        return norm.full_tensor()

    def forget_gradients(self) -> None:
        self.optimizer.zero_grad()

    def save(self, folder: Path) -> tuple[str, ...]:
        state = self._state()
        writer = HuggingFaceStorageWriter(str(folder), _in_files(state), save_distributed=True)
        dcp.save(state, storage_writer=writer)
        return tuple(sorted(file.name for file in folder.glob(f"shard-{self._here.rank + 1:05d}-*")))

    def load(self, folder: Path) -> None:
        self._begin_optimizer()
        state, reader = self._state(), HuggingFaceStorageReader(str(folder))
        if odd := sorted(state.keys() ^ reader.read_metadata().state_dict_metadata.keys()):
            raise TrainingError(f"The checkpoint's weights are not those of this model; only one side has {odd[:5]}.")
        try:
            dcp.load(state, storage_reader=reader)
        except CheckpointException as error:
            raise TrainingError(f"The checkpoint's weights are not those of this model: {error}") from error

    def trained_weights(self) -> dict[str, Tensor] | None:
        whole: dict[str, Tensor] = {}
        for name, weight in self._trained.items():
            gathered = weight.detach().full_tensor()  # by all, one after the other; the first worker keeps them
            if self._here.rank == 0:
                whole[name] = gathered.cpu()
        return whole if self._here.rank == 0 else None

    def _state(self) -> dict[str, Tensor]:
        """What is trained and the optimizer's state, in this worker's slices.

        They go into safetensors files. What DCP writes otherwise has an index that is read by unpickling, which runs
        whatever such a file says; checksums find damage, not malice.
        """
        state: dict[str, Tensor] = {name: weight.detach() for name, weight in self._trained.items()}
        for name, weight in self._trained.items():
            for key, value in self.optimizer.state[weight].items():
                state[f"{key} of {name}"] = value
        return state

    def _begin_optimizer(self) -> None:
        """Make the state that is loaded into, by a step that changes nothing."""
        self._set_rate(0.0)
        for weight in self._trained.values():
            weight.grad = torch.zeros_like(weight)
        self.optimizer.step()
        self.forget_gradients()


def _in_files(state: dict[str, Tensor]) -> dict[str, int]:
    """Of each tensor the number, from 1, of the file that it goes into."""
    numbers, held = {}, 0
    for name, tensor in state.items():
        local = tensor.to_local() if isinstance(tensor, DTensor) else tensor
        held += local.numel() * local.element_size()
        numbers[name] = 1 + held // _FILE_BYTES
    return numbers
