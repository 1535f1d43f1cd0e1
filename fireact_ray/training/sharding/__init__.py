"""How one model is spread over the workers of a training."""

from __future__ import annotations

from fireact_ray.training.config import TrainConfig
from fireact_ray.training.precision import Precision
from fireact_ray.training.sharding.base import Here, Sharded
from fireact_ray.training.sharding.ddp import open_ddp


def open_sharded(config: TrainConfig, here: Here, precision: Precision) -> Sharded:
    """The base model of a training, loaded, made ready to be trained and spread as `config.sharding` says.

    Raises InputError as `find_base` does, TrainingError for a target module that does not exist.
    """
    return open_ddp(config, here, precision)
