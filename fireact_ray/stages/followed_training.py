"""What the driver of a training writes beside the checkpoints: its log, the curve, files of trackers.

They grow line by line, which wants a disk. Where the run folder lies in a bucket they are written into a folder of this
machine, and the bucket follows: what it has not got does not count.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fireact_ray.core.errors import WriteFailed
from fireact_ray.core.storage.artifacts import INPUTS
from fireact_ray.core.storage.fetched import download
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.scratch import scratch_folder
from fireact_ray.stages.reported import SNAPSHOT

_SCRATCH = "fireact-training-"
_FOLLOW_S = 5.0
_OF_OTHERS = (SNAPSHOT, INPUTS)

logger = logging.getLogger(__name__)


@contextmanager
def written_here(checkpoints: Folder) -> Iterator[Path]:
    """Where the driver writes: the folder itself, or one of this machine with the files that the bucket has beside its
    checkpoints. What is made there is in the bucket afterwards, also where the training fails or is interrupted.

    Raises WriteFailed where it cannot be brought there.
    """
    if checkpoints.is_local:
        yield checkpoints.local_path
        return
    with scratch_folder(_SCRATCH) as here:
        follower = _Follower(here, checkpoints)
        follower.start()
        try:
            yield here
        except BaseException:
            _end_of_failed(follower)
            raise
        follower.end()


def _end_of_failed(follower: _Follower) -> None:
    try:
        follower.end()
    except (WriteFailed, OSError) as error:
        logger.error("train: the end of this session's log is lost: %s", error)


class _Follower:
    """Brings to the bucket what changes here, in a thread; `end` does so once more and says what failed."""

    def __init__(self, here: Path, there: Folder) -> None:
        self._here, self._there = here, there
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="follow-training", daemon=True)
        self._seen: dict[str, tuple[int, int]] = {}  # size and time of what is the same there

    def start(self) -> None:
        for name in self._there.names():
            if name not in _OF_OTHERS:
                download(self._there / name, self._here / name)
                self._seen[name] = _seen(self._here / name)
        self._thread.start()

    def end(self) -> None:
        self._over.set()
        self._thread.join()
        self._follow()

    def _run(self) -> None:
        while not self._over.wait(_FOLLOW_S):
            try:
                self._follow()
            except (WriteFailed, OSError) as error:
                logger.warning("train: %s. It is tried again", error)

    def _follow(self) -> None:
        files = {file.relative_to(self._here).as_posix(): file for file in self._here.rglob("*") if _counts(file)}
        for name, file in files.items():
            try:
                self._bring(name, file)
            except (WriteFailed, FileNotFoundError):
                if file.exists():  # not a tracker's, which has removed it since
                    raise
        for name in self._seen.keys() - files.keys():
            self._there.delete(name)
            del self._seen[name]

    def _bring(self, name: str, file: Path) -> None:
        seen = _seen(file)
        if self._seen.get(name) != seen:
            self._there.write_file(name, file)
            self._seen[name] = seen


def _counts(file: Path) -> bool:
    return file.is_file() and not file.name.startswith(".")


def _seen(file: Path) -> tuple[int, int]:
    about = file.stat()
    return about.st_size, about.st_mtime_ns
