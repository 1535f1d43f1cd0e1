"""Ray Train's trainer, ended by an interrupt as every other stage is.

Ray Train puts a handler of its own in the place of the command's, which outlives the training and raises nothing; and
a training that it ends by that comes out as an actor that died, or as sys.exit(0).

Nor does it start two actors of three seconds of CPU and more each: the one that deals out shards of Ray Data, since the
training room reads its rows itself, and, where Ray has no dashboard to ask, the one that would ask it every second
whether the controller lives.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import ray
from ray._private.worker import get_dashboard_url
from ray.exceptions import GetTimeoutError, RayActorError, RayError
from ray.train import Result, TrainingFailedError
from ray.train.v2._internal.callbacks.datasets import DatasetsCallback
from ray.train.v2._internal.callbacks.placement_group_callback import PlacementGroupCleanerCallback
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

from fireact_ray.core.errors import FireActError
from fireact_ray.core.utils.interrupts import interrupts_wait

_POLL_S = 0.5
_ENDING_S = 2.0
_ABORTING_S = 20.0  # how long the controller may take to end its workers
_SAVING_S = 600.0  # how long a step and a checkpoint may take

logger = logging.getLogger(__name__)


class InterruptibleTrainer(DataParallelTrainer):
    """`fit` raises KeyboardInterrupt after an interrupt, when the workers have saved and ended; at once after a second.

    `stop`: asks the workers to save and end; False where they have taken no step, so that there is nothing to save.
    `failure`: an error of the package that no other try would avoid, as soon as a worker has told it; `fit` raises it.
    """

    def __init__(
        self, *args: Any, stop: Callable[[], bool], failure: Callable[[], FireActError | None], **settings: Any
    ) -> None:
        super().__init__(*args, **settings)
        self._stop, self._failure = stop, failure
        self._controller: Any = None

    def fit(self) -> Result:
        with interrupts_wait() as interrupted, self._watched(interrupted):
            try:
                return super().fit()
            except (RayError, TrainingFailedError):
                if (failure := self._failure()) is not None:
                    raise failure from None
                raise

    def _create_default_callbacks(self) -> list[Any]:
        useless = (DatasetsCallback,) if get_dashboard_url() else (DatasetsCallback, PlacementGroupCleanerCallback)
        return [made for made in super()._create_default_callbacks() if not isinstance(made, useless)]

    def _register_sigint_handler(self, controller: Any) -> None:
        """Called by Ray's `fit` once the controller has been created, before it waits for it."""
        self._controller = controller

    @contextmanager
    def _watched(self, interrupted: Callable[[], bool]) -> Iterator[None]:
        over = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(interrupted, over), name="interrupt-training", daemon=True)
        watcher.start()
        try:
            yield
        except KeyboardInterrupt:  # the second one
            if self._controller is not None:
                ray.kill(self._controller)
            raise
        finally:
            over.set()
            watcher.join(_ENDING_S)

    def _watch(self, interrupted: Callable[[], bool], over: threading.Event) -> None:
        until: float | None = None  # the workers save
        while not over.wait(_POLL_S):
            if self._controller is None:
                continue
            if self._failure() is not None:
                break
            if until is not None and time.monotonic() > until:
                logger.warning("train: no checkpoint within %.0f s; the one before stands", _SAVING_S)
                break
            if until is None and interrupted():
                if not self._stop():
                    break
                until = time.monotonic() + _SAVING_S
                logger.info("train: interrupted; a checkpoint is saved after this step. Once more ends it at once")
        if not over.is_set():
            _abort(self._controller)


def _abort(controller: Any) -> None:
    with suppress(RayActorError, GetTimeoutError):  # it ends by ending its own process
        ray.get(controller.abort.remote(), timeout=_ABORTING_S)
    ray.kill(controller)  # its workers go with it
