"""A training by Ray Train: its workers begin again where one is lost, and end where the command is interrupted."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ray.train
from ray.train import CheckpointConfig, FailureConfig, RunConfig, ScalingConfig
from ray.train.v2._internal.constants import WORKER_GROUP_START_TIMEOUT_S_ENV_VAR

from fireact_ray.core.errors import FireActError, TrainingError, WriteFailed
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.utils.waiting import said_while_waiting
from fireact_ray.recipe.training import TrainSection
from fireact_ray.stages.actors.noticeboard import read_by
from fireact_ray.stages.actors.resources import pending
from fireact_ray.stages.ray_session import own_error
from fireact_ray.stages.torch_group import TorchGroupConfig
from fireact_ray.stages.train_worker import Job, train_worker
from fireact_ray.stages.trainer import InterruptibleTrainer
from fireact_ray.stages.wishes import HeedSigterm
from fireact_ray.stages.worker_facts import unheard
from fireact_ray.training.checkpoint_folders import KEPT
from fireact_ray.training.config import TrainConfig
from fireact_ray.training.progress.entries import TrainEntry
from fireact_ray.training.progress.session import LOG

_START_S = "20"
_LOOK_FOR_NODES_S = 60.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Told:
    """Who is called with each entry, and with the step of each checkpoint that lies in the run folder."""

    entry: Callable[[TrainEntry], None]
    checkpoint: Callable[[int], None]


def fit(
    section: TrainSection,
    config: TrainConfig,
    run: Folder,
    began_from: Folder | None,
    told: Told,
) -> None:
    """Train on the dataset of a run until the model is there. `began_from`: a checkpoint known to be whole, of an
    earlier session. `told`: whom the workers tell.

    Raises KeyboardInterrupt after an interrupt, behind a checkpoint of the last step; InputError or TrainingError where
    another try would not help, or where there have been `section.max_failures` already.
    """
    filesystem, place = run.where
    heard = _Heard(told)
    with read_by(heard) as board:
        job = Job(
            config=config.to_dict(),
            run=run,
            began_from=began_from,
            threads=section.threads_per_worker,
            board=board,
        )

        def stop() -> bool:
            board.ask_to_stop()
            return heard.first_step.is_set()

        trainer = InterruptibleTrainer(
            train_worker,
            train_loop_config={"job": job},
            backend_config=TorchGroupConfig(backend="nccl" if section.use_gpu else "gloo"),
            scaling_config=scaling_of(section),
            run_config=RunConfig(
                name=job.checkpoints.name,
                storage_path=place,
                storage_filesystem=filesystem,
                failure_config=FailureConfig(max_failures=section.max_failures),
                checkpoint_config=CheckpointConfig(num_to_keep=KEPT),
                callbacks=[HeedSigterm()],
            ),
            stop=stop,
            failure=lambda: heard.failure,
        )
        logger.info("train: Ray Train, %s workers, %s", section.workers, section.tuning)
        _run(trainer, section, heard)


def _run(trainer: InterruptibleTrainer, section: TrainSection, heard: _Heard) -> None:
    each = {"GPU": 1.0} if section.use_gpu else {"CPU": 1.0}  # what Ray Train takes for a worker

    def waited_for() -> str | None:
        return None if heard.first_step.is_set() else pending(section.workers.min, "workers of Ray Train", each)

    try:
        with said_while_waiting("train", waited_for):
            trainer.fit()
    except ray.train.TrainingFailedError as error:
        known = _own(error) or _unconnected(error, use_gpu=section.use_gpu)
        raise known or TrainingError(f"Training failed: {error}") from error


def _own(error: ray.train.TrainingFailedError) -> FireActError | None:
    failures = error.worker_failures.values() if isinstance(error, ray.train.WorkerGroupError) else (error,)
    return next((own for failure in failures if (own := own_error(failure)) is not None), None)


class _Heard:
    """What the workers have told so far."""

    def __init__(self, told: Told) -> None:
        self.first_step = threading.Event()
        self.failure: FireActError | None = None
        self._told = told
        self._have_begun = False
        self._precision: str | None = None

    def __call__(self, kind: str, content: Any) -> None:
        if kind == "workers begin":
            if self._have_begun:
                n_workers, resume_from = content
                logger.warning("train: begins again from %s, workers: %d", resume_from or "the first step", n_workers)
            self._have_begun = True
            self.first_step.clear()
        elif kind == "first step":
            self.first_step.set()
        elif kind == "failed":
            self.failure = self.failure or content
        elif kind == "checkpoint":
            self._told.checkpoint(content)
        else:
            try:
                self._show(content)
            except OSError as error:
                self.failure = self.failure or WriteFailed.of(LOG, error)

    def _show(self, entry: TrainEntry) -> None:
        if self._precision is None:
            self._precision = entry["precision"]
            logger.info("train: precision %s", self._precision)
        self._told.entry(entry)


def scaling_of(section: TrainSection) -> ScalingConfig:
    """What Ray Train is asked for: so many workers, or as many of a range as there is room for."""
    workers = section.workers
    if workers.min == workers.max:
        return ScalingConfig(num_workers=workers.min, use_gpu=section.use_gpu)
    # How long it tries for as many workers as before, when a node is lost, until it takes what there is.
    os.environ.setdefault(WORKER_GROUP_START_TIMEOUT_S_ENV_VAR, _START_S)
    return ScalingConfig(
        num_workers=(workers.min, workers.max),
        use_gpu=section.use_gpu,
        elastic_resize_monitor_interval_s=_LOOK_FOR_NODES_S,
    )


def _unconnected(error: ray.train.TrainingFailedError, *, use_gpu: bool) -> TrainingError | None:
    """Where the process group could not be made, which Ray Train does before a worker's own code begins."""
    text = str(error)
    if not isinstance(error, ray.train.ControllerError) or "init_process_group" not in text:
        return None
    why = text.strip().splitlines()[-1]
    if "no GPUs found" in text:
        return TrainingError(
            f"train.use_gpu: torch sees no GPU in a worker: {why} Install a torch that is made for it."
        )
    return unheard("nccl" if use_gpu else "gloo", why)
