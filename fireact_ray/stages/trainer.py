"""Ray Train's trainer, ended by an interrupt as every other stage is.

Ray Train puts a handler of its own in the place of the command's, which outlives the training and raises nothing; and
a training that it ends by that comes out as an actor that died, or as sys.exit(0).

Nor does it start the actor that deals out shards of Ray Data, since the training room reads its rows itself: that is
a process of three seconds of CPU per training.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayActorError
from ray.train import Result
from ray.train.torch import TorchTrainer
from ray.train.v2._internal.callbacks.datasets import DatasetsCallback

from fireact_ray.core.utils.interrupts import interrupts_wait

_POLL_S = 0.5
_ENDING_S = 2.0
_ABORTING_S = 20.0  # how long the controller may take to end its workers


class InterruptibleTrainer(TorchTrainer):
    """`fit` raises KeyboardInterrupt after an interrupt, when the workers have ended; their last checkpoint stands."""

    _controller: Any = None

    def fit(self) -> Result:
        with interrupts_wait() as interrupted, self._aborted_when(interrupted):
            return super().fit()

    def _create_default_callbacks(self) -> list[Any]:
        return [made for made in super()._create_default_callbacks() if not isinstance(made, DatasetsCallback)]

    def _register_sigint_handler(self, controller: Any) -> None:
        """Called by Ray's `fit` once the controller has been created, before it waits for it."""
        self._controller = controller

    @contextmanager
    def _aborted_when(self, interrupted: Callable[[], bool]) -> Iterator[None]:
        over = threading.Event()

        def watch() -> None:
            while not over.wait(_POLL_S):
                if interrupted() and self._controller is not None:
                    _abort(self._controller)
                    return

        watcher = threading.Thread(target=watch, name="interrupt-training", daemon=True)
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join(_ENDING_S)


def _abort(controller: Any) -> None:
    with suppress(RayActorError, GetTimeoutError):  # it ends by ending its own process
        ray.get(controller.abort.remote(), timeout=_ABORTING_S)
    ray.kill(controller)  # its workers go with it
