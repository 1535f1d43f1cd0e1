"""Trackers by their names: refused before anything starts where one is not installed or cannot be opened."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec

from fireact_ray.core.errors import FireActError, InputError
from fireact_ray.training.trackers.base import TRACKERS, Opener, Outcome, Tracked, Tracker
from fireact_ray.training.trackers.mlflow_tracker import open_mlflow
from fireact_ray.training.trackers.sending import Sender, words_of
from fireact_ray.training.trackers.tensorboard_tracker import open_tensorboard
from fireact_ray.training.trackers.trackio_tracker import open_trackio
from fireact_ray.training.trackers.wandb_tracker import demand_key, open_wandb

log = logging.getLogger(__name__)

_OPENERS: dict[str, Opener] = {
    "tensorboard": open_tensorboard,
    "wandb": open_wandb,
    "mlflow": open_mlflow,
    "trackio": open_trackio,
}


def demand_trackers(names: Sequence[str]) -> None:
    """Raises InputError, naming what to install, where the package of a tracker is not there, or its key."""
    packages = [package for module, package in map(TRACKERS.__getitem__, names) if find_spec(module) is None]
    if packages:
        raise InputError(
            f"train.trackers names {', '.join(names)}; not installed here: {', '.join(packages)}. "
            f"Run `pip install {' '.join(packages)}`, or leave them out."
        )
    if "wandb" in names:
        demand_key()


@contextmanager
def open_trackers(
    names: Sequence[str], tracked: Tracked, told_to: int, openers: Mapping[str, Opener] = _OPENERS
) -> Iterator[Sender]:
    """Each in the run that it has of this training, which is closed at the end. `told_to`: the last step that an
    earlier session told of, 0 where this is the first.

    Raises InputError where one cannot be opened for a new training. One that goes on does so without it: a tracker
    that is out of order must not keep a training from being resumed.
    """
    trackers: dict[str, Tracker] = {}
    sender = Sender(trackers, told_to)
    outcome: Outcome = "failed"
    try:
        for name in names:
            try:
                trackers[name] = _opened(name, tracked, openers)
            except InputError as error:
                if not told_to:
                    raise
                log.warning("%s The training goes on without it", error)
        sender.start()
        yield sender
        outcome = "finished"
    except KeyboardInterrupt:
        outcome = "killed"
        raise
    finally:
        sender.close(outcome)


def _opened(name: str, tracked: Tracked, openers: Mapping[str, Opener]) -> Tracker:
    try:
        return openers[name](tracked)
    except FireActError:
        raise
    except Exception as error:
        raise InputError(
            f"train.trackers: {name} cannot be opened: {words_of(error)}. Put that right, or leave {name} out."
        ) from error
