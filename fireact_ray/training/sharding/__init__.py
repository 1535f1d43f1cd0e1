"""How one model is spread over the workers of a training."""

from __future__ import annotations

from fireact_ray.core.errors import InputError
from fireact_ray.training.config import TrainConfig
from fireact_ray.training.precision import Precision
from fireact_ray.training.sharding.base import Here, Sharded


def open_sharded(config: TrainConfig, here: Here, precision: Precision) -> Sharded:
    """The base model of a training, loaded, made ready to be trained and spread as `config.sharding` says.

    Raises InputError as `find_base` does and where one worker alone is to share, TrainingError for a target module that
    does not exist.
    """
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
