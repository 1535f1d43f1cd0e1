"""How one model is spread over the workers of a training."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Size, Tensor

from fireact_ray.core.errors import InputError
from fireact_ray.training.config import TrainConfig
from fireact_ray.training.kernels import demand_kernels
from fireact_ray.training.precision import Precision
from fireact_ray.training.sharding.base import Here, Sharded


def open_sharded(config: TrainConfig, here: Here, precision: Precision) -> Sharded:
    """The base model of a training, loaded, made ready to be trained and spread as `config.sharding` says.

    Raises InputError as `find_base` and `demand_kernels` do and where one worker alone is to share, TrainingError as
    `prepare` does, such as for a target module that does not exist.
    """
    demand_kernels(config, here.device)
    if config.sharding != "ddp" and here.world_size == 1:
        raise InputError(
            f"train.sharding {config.sharding} spreads a model over several workers; there is one. "
            "Set train.workers to 2 or more, or train.sharding to ddp."
        )
    if config.sharding == "fsdp2":
        from fireact_ray.training.sharding.fsdp2 import open_fsdp2

        return open_fsdp2(config, here, precision)
    if config.sharding == "zero3":
        from fireact_ray.training.sharding.zero3 import open_zero3

        return open_zero3(config, here, precision)
    from fireact_ray.training.sharding.ddp import open_ddp

    return open_ddp(config, here, precision)


def saved_weights(sharding: str, checkpoint: Path, shapes: Mapping[str, Size]) -> dict[str, Tensor]:
    """What is trained, as a whole checkpoint holds it, whole and on the CPU; no worker is needed. `shapes`: of what is
    trained, by name."""
    if sharding == "fsdp2":
        from fireact_ray.training.sharding.fsdp2 import weights_of_fsdp2

        return weights_of_fsdp2(checkpoint, shapes)
    if sharding == "zero3":
        from fireact_ray.training.sharding.zero3 import weights_of_zero3

        return weights_of_zero3(checkpoint, shapes)
    from fireact_ray.training.sharding.ddp import weights_of_ddp

    return weights_of_ddp(checkpoint)
