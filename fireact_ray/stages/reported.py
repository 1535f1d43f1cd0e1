"""The checkpoints that Ray Train has put into a run folder, and which of them a training goes on from.

A worker's report is first a folder in the run folder, and only then something that Ray Train knows of: it asks each
worker for one report every two seconds. What is reported faster, and what was reported just before a worker died, is
whole on disk and unknown to Ray Train, which would go on from up to two checkpoints before. So the folders are asked,
not Ray Train; a checkpoint proves by its own checksums that it is whole.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from pathlib import Path

from fireact_ray.training.checkpoint_folders import KEPT, damage_of, newest_whole, step_of

logger = logging.getLogger(__name__)

_REPORTED = "checkpoint_*/"  # folders, as Ray Train names them
_SNAPSHOT = "checkpoint_manager_snapshot.json"

Foreign = Callable[[Path], str | None]


def has_any(folder: Path) -> bool:
    return any(folder.glob(_REPORTED))


def begin_session(folder: Path, foreign: Foreign) -> Path | None:
    """The newest checkpoint of earlier sessions that can be gone on from; before Ray Train starts.

    `foreign`: says of a whole one why it is of another training. Such, and damaged ones, are set aside with a warning.
    Ray Train would take what its snapshot names, whole or not, so the snapshot goes; a session writes its own. What it
    does not name is the half of a checkpoint whose copying was cut short, or a whole one that was to be reported.
    """
    named = _named(folder)
    for checkpoint in folder.glob(_REPORTED):
        if checkpoint.name not in named and damage_of(checkpoint) is not None:
            shutil.rmtree(checkpoint)
    newest = newest_whole(folder.glob(_REPORTED), foreign)
    (folder / _SNAPSHOT).unlink(missing_ok=True)
    drop_old(folder)
    return newest


def newest_of_session(folder: Path, known_whole: Path | None) -> Path | None:
    """The newest checkpoint that can be read, asked by one worker whenever workers begin.

    `known_whole`: what this session began from. A damaged one that Ray Train manages is passed over with a warning, but
    stays where it is: Ray Train fails where one is gone that it wants to delete. Others that are damaged or old go.
    """
    managed = _named(folder)
    newest: Path | None = None
    n_left = 0
    for checkpoint in sorted(folder.glob(_REPORTED), key=step_of, reverse=True):
        damage = None if newest or checkpoint == known_whole else damage_of(checkpoint)
        if damage is None and n_left < KEPT:
            newest, n_left = newest or checkpoint, n_left + 1
        elif checkpoint.name not in managed:
            shutil.rmtree(checkpoint)
        elif damage is not None:
            logger.warning("checkpoint %s: %s. The one before is used", checkpoint, damage)
    return newest


def after_step(folder: Path, step: int) -> Path | None:
    """The whole checkpoint after so many steps; None where it is not there, or not yet whole."""
    found = (checkpoint for checkpoint in folder.glob(_REPORTED) if step_of(checkpoint)[0] == step)
    return next((checkpoint for checkpoint in found if damage_of(checkpoint) is None), None)


def drop_old(folder: Path) -> None:
    """Between sessions: Ray Train knows, and drops, those of its own session only."""
    for old in sorted(folder.glob(_REPORTED), key=step_of)[:-KEPT]:
        shutil.rmtree(old)


def _named(folder: Path) -> str:
    """What Ray Train knows of: the text of its snapshot, in which the names stand."""
    snapshot = folder / _SNAPSHOT
    return snapshot.read_text(encoding="utf-8", errors="replace") if snapshot.is_file() else ""
