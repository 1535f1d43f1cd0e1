"""The process group of torch that Ray Train's workers share, made by what Ray has for it, in the workers alone.

Ray's own TorchTrainer loads torch in the driver and in the controller, too: seconds of CPU and hundreds of MB in each,
for nothing that they compute, and the workers wait for the controller's.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import GetTimeoutError
from ray.train._internal.utils import get_address_and_port
from ray.train.backend import Backend, BackendConfig
from ray.train.v2._internal.util import TrainingFramework

_LEAVING_S = 30.0

logger = logging.getLogger(__name__)


class TorchGroup(Backend):
    """Each worker joins before its training begins, and leaves after it."""

    share_cuda_visible_devices = True

    def on_start(self, worker_group: Any, backend_config: BackendConfig) -> None:
        """Raises what torch raised in a worker that could not join."""
        assert isinstance(backend_config, TorchGroupConfig)
        where, n = worker_group.execute_single(0, get_address_and_port), len(worker_group)
        settings = {"backend": backend_config.backend, "timeout_s": backend_config.timeout_s, "n_workers": n}
        ray.get([worker_group.execute_single_async(rank, _join, rank, where, **settings) for rank in range(n)])

    def on_shutdown(self, worker_group: Any, backend_config: BackendConfig) -> None:
        try:
            ray.get(worker_group.execute_async(_leave, destroy=len(worker_group) > 1), timeout=_LEAVING_S)
        except GetTimeoutError:
            logger.warning("train: the workers did not leave their process group within %.0f s", _LEAVING_S)


@dataclass(frozen=True)
class TorchGroupConfig(BackendConfig):
    """`backend`: gloo or nccl. `timeout_s`: of one collective operation."""

    backend: str
    timeout_s: int = 1800

    @property
    def backend_cls(self) -> type[TorchGroup]:
        return TorchGroup

    @property
    def train_func_context(self) -> Any:
        return _on_its_gpu

    @property
    def framework(self) -> TrainingFramework:
        return TrainingFramework.TORCH

    def to_dict(self) -> dict[str, Any]:
        return {"backend": self.backend, "timeout_s": self.timeout_s}


@contextmanager
def _on_its_gpu() -> Iterator[None]:
    """In a worker: torch's current device is its GPU, where it has one."""
    from ray.train.torch.config import TorchConfigContextManager

    with TorchConfigContextManager():
        yield


def _join(rank: int, where: tuple[str, int], *, backend: str, timeout_s: int, n_workers: int) -> None:
    """In a worker. `where`: address and port of the first one."""
    from ray.train.torch import config

    os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"] = where[0], str(where[1])
    config._set_torch_distributed_env_vars()
    config._setup_torch_process_group(backend, rank, n_workers, "env://", timeout_s)


def _leave(*, destroy: bool) -> None:
    """In a worker."""
    from ray.train.torch import config

    config._shutdown_torch(destroy_process_group=destroy)
