"""ZeRO-3 by DeepSpeed: every worker holds a part of each parameter, of its gradient and of AdamW's moments.

Rajbhandari et al. 2020, https://arxiv.org/abs/1910.02054. A weight is gathered from all workers while it is used.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fireact_ray.core.errors import TrainingError
from fireact_ray.training.base import find_base
from fireact_ray.training.batching import Batch
from fireact_ray.training.config import TrainConfig
from fireact_ray.training.loss import TrainedTokenLoss
from fireact_ray.training.model import Prepared, prepare
from fireact_ray.training.precision import Precision
from fireact_ray.training.sharding.base import Here, Sharded, make_optimizer
from fireact_ray.training.sharding.deepspeed_settings import deepspeed_settings, import_deepspeed
from fireact_ray.training.sharding.offload import is_offloaded
from fireact_ray.training.sharding.zero3_loading import StoredWeights, partition, skeleton

_PART = re.compile(r"zero3-\d+-of-(\d+)\.pt")
_MOMENTS = ("exp_avg", "exp_avg_sq")


def open_zero3(config: TrainConfig, here: Here, precision: Precision) -> Zero3:
    # On a CPU the clock may still decide for fp32, so there it is autocast's business.
    in_bf16 = precision.bf16 and here.device.type == "cuda"
    return load_zero3(config, here, in_bf16=in_bf16, offloaded=is_offloaded(config, here.device))


def load_zero3(config: TrainConfig, here: Here, *, in_bf16: bool = False, offloaded: bool = False) -> Zero3:
    """`in_bf16`: what is gathered; of what is trained each worker has its part in fp32 beside that. `offloaded`: that
    part, its gradient and AdamW's moments are in host memory, and so is AdamW at work."""
    import_deepspeed(here.device)
    folder = find_base(config.base_model)
    base = skeleton(folder, here.device)
    stored = StoredWeights(folder, base)
    torch.manual_seed(config.seed)  # LoRA starts at random, as it does with DDP
    prepared = prepare(base, config)
    # Before the parameters are partitioned: weight decay goes by their shapes.
    optimizer = make_optimizer(prepared.model, config, fused=True if here.device.type == "cuda" else None)
    settings = deepspeed_settings(prepared.model, config, bf16=in_bf16, offloaded=offloaded)
    masters = partition(prepared.model, stored, here, settings, torch.bfloat16 if in_bf16 else torch.float32)
    return Zero3(prepared, optimizer, settings, here, masters)


def weights_of_zero3(folder: Path, shapes: Mapping[str, torch.Size]) -> dict[str, Tensor]:
    """What is trained, of a checkpoint, whole and on the CPU, put together without workers. `shapes`: by name."""
    files = sorted(file for file in folder.iterdir() if _PART.fullmatch(file.name))
    parts = [torch.load(file, map_location="cpu", weights_only=True, mmap=True)["weights"] for file in files]
    # A weight is cut along its numbers in their order; the last part is filled up.
    return {
        name: torch.cat([part[name] for part in parts])[: shape.numel()].view(shape) for name, shape in shapes.items()
    }


class Zero3(Sharded):
    """`prepared`: its parameters are placeholders, each with its part in `ds_tensor`. `masters`: of what is trained,
    where those parts are bf16."""

    def __init__(
        self,
        prepared: Prepared,
        optimizer: torch.optim.AdamW,
        settings: dict[str, Any],
        here: Here,
        masters: dict[nn.Parameter, Tensor],
    ) -> None:
        import deepspeed
        from deepspeed.utils import safe_set_local_fp32_param

        self.prepared = prepared
        self.optimizer = optimizer
        self._here = here
        self._in_bf16: bool = settings["bf16"]["enabled"]
        self._names = {p: name for name, p in prepared.model.named_parameters() if p.requires_grad}
        self._engine, self._zero, *_ = deepspeed.initialize(
            model=TrainedTokenLoss(prepared.model).train(), optimizer=optimizer, config=settings
        )
        for parameter, master in masters.items():
            safe_set_local_fp32_param(parameter, master)

    def backward(self, batch: Batch, scale: float, *, bf16: bool, last: bool) -> Tensor:
        self._engine.set_gradient_accumulation_boundary(last)
        with _weights_let_go():
            loss_sum = self._loss(batch, bf16)
            self._engine.backward(loss_sum * scale, scale_wrt_gas=False)
        return loss_sum.detach()

    def loss(self, batch: Batch, *, bf16: bool) -> Tensor:
        with _weights_let_go():
            return self._loss(batch, bf16)

    def update(self, rate: float, max_norm: float) -> Tensor:
        self._set_rate(rate)
        self._zero.clip_grad = max_norm
        self._engine.step()
        if not self._engine.was_step_applied():  # DeepSpeed leaves such a step out
            raise TrainingError(
                "The gradients are not finite, on all workers together. Lower train.learning_rate, or look at the "
                "examples of this step."
            )
        return torch.as_tensor(self._engine.get_global_grad_norm(), device=self._here.device)

    def _loss(self, batch: Batch, bf16: bool) -> Tensor:
        with torch.autocast(self._here.device.type, torch.bfloat16, enabled=bf16 and not self._in_bf16):
            loss_sum, _ = self._engine(*batch)
        return loss_sum

    def forget_gradients(self) -> None:
        self._zero.zero_grad()

    def save(self, folder: Path) -> tuple[str, ...]:
        # DeepSpeed's own checkpoints hold pickled objects and want one folder for all workers.
        name = f"zero3-{self._here.rank:05d}-of-{self._here.world_size:05d}.pt"
        saved: dict[str, Any] = {kind: {} for kind in ("weights", *_MOMENTS)}
        for parts, weights in self._groups():
            state = self.optimizer.state[weights]
            saved["step"] = state["step"]  # in all groups the same
            for kind, vector in {"weights": weights.detach(), **{each: state[each] for each in _MOMENTS}}.items():
                saved[kind].update(zip(parts, vector.split(list(parts.values())), strict=True))
        torch.save(saved, folder / name)
        return (name,)

    def load(self, folder: Path) -> None:
        here = self._here
        made_by = {int(found[1]) for file in folder.iterdir() if (found := _PART.fullmatch(file.name))}
        if made_by != {here.world_size}:
            raise TrainingError(
                f"{folder} was made by {' or '.join(map(str, sorted(made_by)))} workers, now there are "
                f"{here.world_size}, and ZeRO-3 cannot cut it anew. Go on with as many as before; a training with "
                "sharding fsdp2 may change them."
            )
        file = folder / f"zero3-{here.rank:05d}-of-{here.world_size:05d}.pt"
        saved = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
        sizes = {name: size for parts, _ in self._groups() for name, size in parts.items()}
        if odd := sorted(dict(sizes.items() ^ {name: part.numel() for name, part in saved["weights"].items()}.items())):
            raise TrainingError(f"The checkpoint's weights are not those of this model; they differ in {odd[:5]}.")
        on_device = self.optimizer.defaults["fused"]
        for i, (parts, weights) in enumerate(self._groups()):
            weights.data.copy_(torch.cat([saved["weights"][name] for name in parts]))
            self._zero.fp16_partitioned_groups_flat[i].data.copy_(weights.data)  # what is gathered; in fp32 the same
            moments = {each: torch.cat([saved[each][name] for name in parts]).to(weights.device) for each in _MOMENTS}
            step = saved["step"].to(weights.device if on_device else "cpu", copy=True)
            self.optimizer.state[weights] = {"step": step, **moments}

    def trained_weights(self) -> dict[str, Tensor] | None:
        from deepspeed.utils import safe_get_full_fp32_param

        whole = {}
        for parameter, name in self._names.items():
            weight = safe_get_full_fp32_param(parameter).detach()  # all workers take part
            if self._here.rank == 0:
                whole[name] = weight.cpu()
        return whole if self._here.rank == 0 else None

    def _groups(self) -> Iterator[tuple[dict[str, int], Tensor]]:
        """The vectors that AdamW works on, of this worker's parts behind one another; with their names and lengths."""
        for parameters, weights in zip(self._zero.fp16_groups, self._zero.fp32_partitioned_groups_flat, strict=True):
            yield {self._names[p]: p.ds_tensor.ds_numel for p in parameters}, weights


@contextmanager
def _weights_let_go() -> Iterator[None]:
    """Linear layers that do not keep the gathered weight until the backward pass, as torch's own do by a view of it."""
    from deepspeed.runtime.zero.linear import zero3_linear_wrap

    usual = nn.functional.linear
    nn.functional.linear = zero3_linear_wrap
    try:
        yield
    finally:
        nn.functional.linear = usual
