"""One worker of Ray Train: checks what it finds, then runs the training room's loop; each checkpoint goes to Ray.

The loop reads and writes folders of this machine. Where the run folder lies in a bucket, a checkpoint to go on from is
fetched, each worker uploads its part of those that it reports, and the first one the model.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
import ray.train
from ray.exceptions import RayError
from ray.train import Checkpoint
from ray.train.collective import broadcast_from_rank_zero

from fireact_ray.core.errors import FireActError, TrainingStopped, WriteFailed
from fireact_ray.core.storage.artifacts import MODEL_CARD
from fireact_ray.core.storage.buckets import StoreDenied
from fireact_ray.core.storage.fetched import fetched_while
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.scratch import scratch_folder
from fireact_ray.stages.actors.log_forwarding import forward_warnings
from fireact_ray.stages.actors.noticeboard import Noticeboard
from fireact_ray.stages.reported import newest_of_session
from fireact_ray.stages.wishes import Wishes, sigterm_heeded
from fireact_ray.training.checkpoint_folders import CARD
from fireact_ray.training.config import TrainConfig

_SCRATCH = "fireact-checkpoints-"
_TELLING_S = 10.0
_LASTING = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)


@dataclass(frozen=True, slots=True)
class Job:
    """What every worker is told. `began_from`: the checkpoint that this session began from, known to be whole."""

    config: dict[str, Any]
    run: Folder
    began_from: Folder | None
    threads: int | None
    board: Noticeboard

    @property
    def checkpoints(self) -> Folder:
        return self.run / "checkpoints"


def train_worker(loop_config: dict[str, Any]) -> None:
    """Returns where the training has ended, or where the driver wants it to stop; the model's folder tells them apart.

    Raises what keeps this worker from going on; where another try could not avoid it, the driver is told as well.
    """
    import torch
    from ray.train.torch import get_device

    job: Job = loop_config["job"]
    forward_warnings()
    if job.threads:
        torch.set_num_threads(job.threads)
    with _told(job.board), sigterm_heeded() as told_to_end:
        try:
            _train(job, get_device())
        except TrainingStopped:
            if told_to_end():
                raise  # and Ray Train begins again, in another process


def _train(job: Job, device: Any) -> None:
    from fireact_ray.stages.worker_checks import check_workers
    from fireact_ray.training.loop import train

    config = TrainConfig.from_dict(job.config)
    node = f"{ray.util.get_node_ip_address()} (node {ray.get_runtime_context().get_node_id()[:8]})"
    dataset = job.run / "dataset"
    n_workers = check_workers(dataset, config.base_model, job.checkpoints, device, node)
    leads = ray.train.get_context().get_world_rank() == 0
    resume_from = _agreed_checkpoint(job, leads=leads)
    if leads:
        job.board.post("workers begin", (n_workers, None if resume_from is None else resume_from.shown))
    with (
        scratch_folder(_SCRATCH) as scratch,
        _here(resume_from) as checkpoint,
        _written(job.run / "model", scratch) as model,
    ):
        train(
            config,
            dataset.uri,
            model,
            on_log=lambda event: job.board.post("log", event),
            on_checkpoint=lambda path, metrics: _report(path, metrics, job, leads=leads),
            resume_from=checkpoint,
            checkpoint_dir=scratch,
            device=device,
            wished=Wishes(job.board, leads=leads),
        )


def _agreed_checkpoint(job: Job, *, leads: bool) -> Folder | None:
    newest = newest_of_session(job.checkpoints, job.began_from) if leads else None
    chosen: Folder | None = broadcast_from_rank_zero(newest)
    return chosen


@contextmanager
def _here(checkpoint: Folder | None) -> Iterator[Path | None]:
    if checkpoint is None:
        yield None
        return
    with fetched_while(checkpoint.uri) as copy:
        yield copy


@contextmanager
def _written(model: Folder, scratch: Path) -> Iterator[Path]:
    """Where a worker writes the model, as one of them does; afterwards it is in its place, its card last."""
    if (bucket := model.objects) is None:
        yield model.local_path
        return
    yield scratch / "model"
    files, key = bucket
    with _no_other_try(model):
        files.put_folder(key, scratch / "model", MODEL_CARD)


def _report(path: Path | None, metrics: dict[str, Any], job: Job, *, leads: bool) -> None:
    """The folder comes into the run folder. Every rank reports, with a folder where it wrote something, or Ray Train
    waits for ever."""
    checkpoint = Checkpoint.from_directory(str(path)) if path else None
    with _no_other_try(job.checkpoints):
        ray.train.report(metrics, checkpoint=checkpoint, checkpoint_upload_fn=_uploading(job.checkpoints))
    if leads:
        job.board.post("checkpoint", metrics["step"])


def _uploading(checkpoints: Folder) -> Callable[[Checkpoint, str], Checkpoint] | None:
    """How a worker's part of a checkpoint gets into a bucket; None: as Ray Train copies files.

    It does so by pyarrow, which does not say when a file could not be closed; and it is then that an object is written.
    """
    if (bucket := checkpoints.objects) is None:
        return None
    files, key = bucket

    def upload(checkpoint: Checkpoint, name: str) -> Checkpoint:
        files.put_folder(f"{key}/{name}", Path(checkpoint.path), CARD)
        filesystem, place = (checkpoints / name).where
        return Checkpoint(place, filesystem)

    return upload


@contextmanager
def _no_other_try(there: Folder) -> Iterator[None]:
    """A disk or bucket that takes nothing is the driver's to know; else Ray Train begins again."""
    try:
        yield
    except StoreDenied as error:
        raise WriteFailed(f"{error}: a worker may not write there. Let it, and run the same command again.") from error
    except OSError as error:
        if error.errno not in _LASTING:
            raise
        raise WriteFailed.of(there.shown, error) from error


@contextmanager
def _told(board: Noticeboard) -> Iterator[None]:
    """An error of the package is the driver's to know: begun again, it would come again."""
    try:
        yield
    except TrainingStopped:
        raise
    except FireActError as error:
        with suppress(RayError):  # it has gone
            board.post_and_wait("failed", error, _TELLING_S)
        raise
