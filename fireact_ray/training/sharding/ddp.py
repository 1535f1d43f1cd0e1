"""DDP: every worker holds the whole model, and gradients are averaged. One worker alone is the same, unwrapped."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from fireact_ray.core.errors import TrainingError
from fireact_ray.training.batching import Batch
from fireact_ray.training.config import TrainConfig
from fireact_ray.training.loss import TrainedTokenLoss
from fireact_ray.training.model import Prepared, load_base, prepare
from fireact_ray.training.precision import Precision
from fireact_ray.training.sharding.base import Here, Sharded, make_optimizer

_WEIGHTS, _OPTIMIZER = "weights.safetensors", "state.pt"


def open_ddp(config: TrainConfig, here: Here, precision: Precision) -> Ddp:
    torch.manual_seed(config.seed)  # LoRA starts at random
    # What is trained stays fp32 (PEFT sees to that for adapters); a frozen base may as well be held in bf16. Not on a
    # CPU, where the clock may still decide for fp32.
    frozen_bf16 = precision.bf16 and config.tuning == "lora" and here.device.type == "cuda"
    model = load_base(config.base_model, torch.bfloat16 if frozen_bf16 else torch.float32)
    return Ddp(prepare(model.to(here.device), config), config, here)


class Ddp(Sharded):
    """`prepared`: on `here.device`."""

    def __init__(self, prepared: Prepared, config: TrainConfig, here: Here) -> None:
        self.prepared = prepared
        # On a GPU the default makes lists of temporaries as large as all that is trained.
        self.optimizer = make_optimizer(prepared.model, config, fused=True if here.device.type == "cuda" else None)
        self._here = here
        self._compute_loss = _shared(TrainedTokenLoss(prepared.model).train(), here)

    def backward(self, batch: Batch, scale: float, *, bf16: bool, last: bool) -> Tensor:
        # Gradients are exchanged once, with the last batch; workers may differ in how many they have.
        with nullcontext() if last else self.without_exchange():
            with torch.autocast(self._here.device.type, torch.bfloat16, enabled=bf16):
                loss_sum, _ = self._compute_loss(*batch)
            (loss_sum * scale).backward()
        return loss_sum.detach()

    def update(self, rate: float, max_norm: float) -> Tensor:
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        norm = nn.utils.clip_grad_norm_(self.prepared.model.parameters(), max_norm)
        self.optimizer.step()
        self.forget_gradients()
        return norm

    def forget_gradients(self) -> None:
        self.optimizer.zero_grad()

    def save(self, folder: Path) -> tuple[str, ...]:
        if self._here.rank != 0:
            return ()
        save_file({name: p.contiguous() for name, p in self._trained().items()}, folder / _WEIGHTS)
        torch.save(self.optimizer.state_dict(), folder / _OPTIMIZER)
        return _WEIGHTS, _OPTIMIZER

    def load(self, folder: Path) -> None:
        state = torch.load(folder / _OPTIMIZER, map_location="cpu", weights_only=True)
        weights, parameters = load_file(folder / _WEIGHTS), self._trained()
        if parameters.keys() != weights.keys():
            odd = sorted(parameters.keys() ^ weights.keys())[:5]
            raise TrainingError(f"The checkpoint's weights are not those of this model; only one side has {odd}.")
        for name, parameter in parameters.items():
            parameter.copy_(weights[name])
        self.optimizer.load_state_dict(state)

    def trained_weights(self) -> dict[str, Tensor] | None:
        return self._trained() if self._here.rank == 0 else None

    @contextmanager
    def without_exchange(self) -> Iterator[None]:
        if isinstance(self._compute_loss, DistributedDataParallel):
            with self._compute_loss.no_sync():
                yield
        else:
            yield

    def _trained(self) -> dict[str, Tensor]:
        # named_parameters names a shared (tied) weight once, which is also what safetensors asks for.
        return {name: p.detach() for name, p in self.prepared.model.named_parameters() if p.requires_grad}


def _shared(compute_loss: nn.Module, here: Here) -> nn.Module:
    if here.world_size == 1:
        return compute_loss
    devices = [here.device] if here.device.type == "cuda" else None
    return DistributedDataParallel(compute_loss, device_ids=devices, forward_sync_buffers=False)
