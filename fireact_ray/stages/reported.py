"""The checkpoints that Ray Train has put into a run folder, and which of them a training goes on from.

A worker's report is first a folder in the run folder, and only then something that Ray Train knows of: it asks each
worker for one report every two seconds. What is reported faster, and what was reported just before a worker died, is
whole there and unknown to Ray Train, which would go on from up to two checkpoints before. So the folders are asked, not
Ray Train; a checkpoint proves by its own checksums that it is whole.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from fireact_ray.core.storage.folder import Folder
from fireact_ray.training.checkpoint_folders import KEPT, damage_of, newest_whole, step_of

logger = logging.getLogger(__name__)

REPORTED = "checkpoint_"  # so Ray Train calls folders
SNAPSHOT = "checkpoint_manager_snapshot.json"

Foreign = Callable[[Folder], str | None]


def has_any(folder: Folder) -> bool:
    return bool(folder.folders(REPORTED))


def begin_session(folder: Folder, foreign: Foreign) -> Folder | None:
    """The newest checkpoint of earlier sessions that can be gone on from; before Ray Train starts.

    `foreign`: says of a whole one why it is of another training. Such, and damaged ones, are set aside with a warning.
    Ray Train would take what its snapshot names, whole or not, so the snapshot goes; a session writes its own. What it
    does not name is the half of a checkpoint whose copying was cut short, or a whole one that was to be reported.
    """
    named = _named(folder)
    for checkpoint in _reported(folder):
        if checkpoint.name not in named and damage_of(checkpoint) is not None:
            folder.delete_folder(checkpoint.name)
    newest = newest_whole(_reported(folder), foreign)
    folder.delete(SNAPSHOT)
    drop_old(folder)
    return newest


def newest_of_session(folder: Folder, known_whole: Folder | None) -> Folder | None:
    """The newest checkpoint that can be read, asked by one worker whenever workers begin.

    `known_whole`: what this session began from. A damaged one that Ray Train manages is passed over with a warning, but
    stays where it is: Ray Train fails where one is gone that it wants to delete. Others that are damaged or old go.
    """
    managed = _named(folder)
    newest: Folder | None = None
    n_left = 0
    for checkpoint in sorted(_reported(folder), key=step_of, reverse=True):
        damage = None if newest or checkpoint == known_whole else damage_of(checkpoint)
        if damage is None and n_left < KEPT:
            newest, n_left = newest or checkpoint, n_left + 1
        elif checkpoint.name not in managed:
            folder.delete_folder(checkpoint.name)
        elif damage is not None:
            logger.warning("checkpoint %s: %s. The one before is used", checkpoint.shown, damage)
    return newest


def after_step(folder: Folder, step: int) -> Folder | None:
    """The whole checkpoint after so many steps; None where it is not there, or not yet whole."""
    found = (checkpoint for checkpoint in _reported(folder) if step_of(checkpoint)[0] == step)
    return next((checkpoint for checkpoint in found if damage_of(checkpoint) is None), None)


def drop_old(folder: Folder) -> None:
    """Between sessions: Ray Train knows, and drops, those of its own session only."""
    for old in sorted(_reported(folder), key=step_of)[:-KEPT]:
        folder.delete_folder(old.name)


def _reported(folder: Folder) -> list[Folder]:
    return [folder / name for name in folder.folders(REPORTED)]


def _named(folder: Folder) -> str:
    """What Ray Train knows of: the text of its snapshot, in which the names stand."""
    return folder.read(SNAPSHOT).decode(errors="replace") if folder.exists(SNAPSHOT) else ""
