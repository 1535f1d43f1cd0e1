"""A training whose run folder lies in a bucket: it works in a folder of this machine, and the bucket follows it.

Ray Train's checkpoints, memory-mapped weights and a growing log want a disk. What counts is the bucket all the same: a
training begins with what is there, and whatever this machine still had of an earlier try is not looked at. Each
checkpoint that is whole goes up with its card last; older ones go when it is there. So a machine that is lost costs the
steps since its last checkpoint, and the same command on another one goes on. At the end the model goes up, its card
last.
"""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fireact_ray.core.errors import InputError, WriteFailed
from fireact_ray.core.hashing import content_hash
from fireact_ray.core.storage.artifacts import MODEL_CARD
from fireact_ray.core.storage.fetched import download
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.node_cache import default_cache_dir, held
from fireact_ray.stages.shared_folder import other_nodes
from fireact_ray.training.checkpoint_folders import CARD, damage_of

_FOLLOW_S = 5.0
_REPORTED = "checkpoint_*"
_NOT_OURS = "checkpoint_manager_snapshot.json"  # Ray Train's own, of one session

logger = logging.getLogger(__name__)


@contextmanager
def worked_on_here(run: Folder) -> Iterator[Folder]:
    """A folder of this machine with what the bucket has of a training; what is made there is in the bucket afterwards,
    also where the training fails or is interrupted. Raises WriteFailed where that cannot be brought there."""
    home = default_cache_dir() / "trainings" / content_hash(run.shown)
    with held(home, f"another process of this machine, which trains for {run.shown}"):
        here = Folder(str(home / "run"))
        shutil.rmtree(here.local_path, ignore_errors=True)
        _bring(run, here)
        had_model = run.exists(f"model/{MODEL_CARD}")
        follower = _Follower(here.local_path / "checkpoints", run / "checkpoints")
        follower.start()
        try:
            yield here
        except BaseException:
            _end_of_failed(follower)
            raise
        follower.end()
        if not had_model:
            _upload_whole(here.local_path / "model", run / "model", MODEL_CARD)
        shutil.rmtree(here.local_path, ignore_errors=True)


def _end_of_failed(follower: _Follower) -> None:
    try:
        follower.end()
    except (WriteFailed, OSError) as error:
        logger.error("train: what this session made after its last checkpoint there is lost: %s", error)


def demand_one_machine(run: Folder, *, use_gpu: bool) -> None:
    """Raises InputError where workers could be on other nodes, which do not see this machine's folder."""
    if others := other_nodes({"CPU": 1.0, "GPU": float(use_gpu)}):
        raise InputError(
            f"output_dir: {run.shown} lies in a bucket, where all workers of a training have to be on the machine of "
            f"the command; this cluster has {', '.join(sorted(name for _, name in others))} too. Put output_dir on "
            "storage that every node mounts, or train on a cluster of one machine."
        )


def _bring(run: Folder, here: Folder) -> None:
    """Whole checkpoints, the log and the inputs; of a model that is there already its card alone."""
    checkpoints = (run / "checkpoints").files_below("")
    whole = {Path(file.name).parts[0] for file in checkpoints if Path(file.name).name == CARD}
    wanted = [f for f in checkpoints if "/" not in f.name or Path(f.name).parts[0] in whole]
    n_bytes = sum(file.n_bytes for file in wanted)
    if n_bytes:
        logger.info("train: %.2f GB of checkpoints are fetched from %s", n_bytes / 1e9, run.shown)
    for file in wanted:
        download(run / "checkpoints" / file.name, here.local_path / "checkpoints" / file.name)
    if run.exists(f"model/{MODEL_CARD}"):
        download(run / "model" / MODEL_CARD, here.local_path / "model" / MODEL_CARD)


def _upload_whole(folder: Path, into: Folder, last: str) -> None:
    """Its files, that which says that it is whole behind all others; nothing where it is not there."""
    if (folder / last).is_file():
        files = sorted(file for file in folder.rglob("*") if file.is_file() and file != folder / last)
        for file in [*files, folder / last]:
            into.write_file(file.relative_to(folder).as_posix(), file)


class _Follower:
    """Brings to the bucket what appears among the checkpoints, in a thread; `end` does so once more and says what
    failed."""

    def __init__(self, here: Path, there: Folder) -> None:
        self._here, self._there = here, there
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="follow-training", daemon=True)
        self._there_already = {path.name for path in here.glob(_REPORTED)}
        self._sizes: dict[str, tuple[int, int]] = {}

    def start(self) -> None:
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
        for checkpoint in sorted(self._here.glob(_REPORTED)):
            if checkpoint.name not in self._there_already and damage_of(checkpoint) is None:
                _upload_whole(checkpoint, self._there / checkpoint.name, CARD)
                self._there_already.add(checkpoint.name)
                self._drop_gone()
        for file in self._here.glob("*"):
            if file.is_file() and file.name != _NOT_OURS and not file.name.startswith("."):
                self._bring_file(file)

    def _bring_file(self, file: Path) -> None:
        about = file.stat()
        seen = (about.st_size, about.st_mtime_ns)
        if self._sizes.get(file.name) != seen:
            self._there.write_file(file.name, file)
            self._sizes[file.name] = seen

    def _drop_gone(self) -> None:
        """Those that this machine has no more, once a newer one is there: the card goes first."""
        files = self._there.files_below("")
        gone = {Path(f.name).parts[0] for f in files if f.name.startswith("checkpoint_")} - {
            path.name for path in self._here.glob(_REPORTED)
        }
        for name in sorted(gone):
            self._there.delete(f"{name}/{CARD}")
            self._there.delete_all(f.name for f in files if f.name.startswith(f"{name}/"))
            self._there_already.discard(name)
