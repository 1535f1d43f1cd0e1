"""log.jsonl and loss.png, which lie beside the checkpoints: the same by Ray Train and by torchrun."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from fireact_ray.training.model_card import LOSS_CURVE
from fireact_ray.training.progress.curve import draw_losses
from fireact_ray.training.progress.entries import AgentMetrics, LogFile, TrainEntry, read_log

LOG, LOG_BEFORE = "log.jsonl", "log-before.jsonl"


def begin_log(checkpoints: Path, *, goes_on: bool) -> list[TrainEntry]:
    """The entries of a training so far, in a folder that is there afterwards.

    `goes_on`: from a checkpoint. Otherwise the log of an attempt that came to none is no part of this training.
    """
    checkpoints.mkdir(parents=True, exist_ok=True)
    log = checkpoints / LOG
    if not goes_on and log.exists():
        log.replace(checkpoints / LOG_BEFORE)
    return read_log(log)


@contextmanager
def written_log(checkpoints: Path, title: str) -> Iterator[Callable[[TrainEntry | AgentMetrics], None]]:
    """Gives what is to be called with each line. However the training ends, the curve of all its sessions is drawn."""
    with closing(LogFile(checkpoints / LOG)) as log:
        try:
            yield log.write
        finally:
            draw_losses(read_log(checkpoints / LOG), checkpoints / LOSS_CURVE, title)
