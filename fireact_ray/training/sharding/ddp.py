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
from fireact_ray.training.quantized import load_quantized
from fireact_ray.training.sharding.base import Here, Sharded, make_optimizer
from fireact_ray.training.sharding.offload import is_offloaded

_WEIGHTS, _OPTIMIZER = "weights.safetensors", "state.pt"


def open_ddp(config: TrainConfig, here: Here, precision: Precision) -> Ddp:
    torch.manual_seed(config.seed)  # LoRA starts at random
    # What is trained stays fp32 (PEFT sees to that for adapters); a frozen base may as well be held in bf16. Not on a
    # CPU, where the clock may still decide for fp32.
    frozen_bf16 = precision.bf16 and config.adapts and here.device.type == "cuda"
    if config.tuning == "qlora":
        model = load_quantized(config.base_model, here.device, bf16=frozen_bf16)
    else:
        model = load_base(config.base_model, torch.bfloat16 if frozen_bf16 else torch.float32).to(here.device)
    return Ddp(prepare(model, config), config, here)


def weights_of_ddp(folder: Path) -> dict[str, Tensor]:
    """What is trained, of a checkpoint, on the CPU."""
    weights: dict[str, Tensor] = load_file(folder / _WEIGHTS)
    return weights


class Ddp(Sharded):
    """`prepared`: on `here.device`."""

    def __init__(self, prepared: Prepared, config: TrainConfig, here: Here) -> None:
        self.prepared = prepared
        # On a GPU the default makes lists of temporaries as large as all that is trained.
        on_gpu, offloaded = here.device.type == "cuda", is_offloaded(config, here.device)
        paged = on_gpu and config.tuning == "qlora" and not offloaded
        self.optimizer = make_optimizer(
            prepared.model, config, fused=True if on_gpu else None, offloaded=offloaded, paged=paged
        )
        self._here = here
        self._alone = TrainedTokenLoss(prepared.model).train()
        self._compute_loss = _shared(self._alone, here)

    def backward(self, batch: Batch, scale: float, *, bf16: bool, last: bool) -> Tensor:
        # Gradients are exchanged once, with the last batch; workers may differ in how many they have.
        with nullcontext() if last else self.without_exchange():
            with torch.autocast(self._here.device.type, torch.bfloat16, enabled=bf16):
                loss_sum, _ = self._compute_loss(*batch)
            (loss_sum * scale).backward()
        return loss_sum.detach()

    def loss(self, batch: Batch, *, bf16: bool) -> Tensor:
        with torch.autocast(self._here.device.type, torch.bfloat16, enabled=bf16):
            loss_sum, _ = self._alone(*batch)
        return loss_sum

    def update(self, rate: float, max_norm: float) -> Tensor:
        self._set_rate(rate)
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
        # To the CPU: moments of a paged optimizer still say that they are paged, which only a copy on the GPU forgets.
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
