"""Files of a bucket that libraries want on a disk: tokenizers, weights, a corpus. Fetched once for a machine.

A copy lies in this machine's cache under its place and the names, sizes and times of what it was made of, so that
another content at the same place is fetched anew, and one that a process has open is left alone. Copies that nobody
asked for in a month are removed when another one is made. What is read once, as a checkpoint is, goes with its last
reader instead.
"""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from fireact_ray.core.errors import InputError
from fireact_ray.core.hashing import content_hash
from fireact_ray.core.paths import last_name
from fireact_ray.core.storage.buckets import is_object_uri
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.folder_files import StoredFile
from fireact_ray.core.storage.node_cache import default_cache_dir, held

_FETCHED, _PASSING = "fetched", "passing"  # below the cache
_FOR_PEOPLE = ("README.md", ".png")  # rewritten when nothing else is
_UNUSED_S = 30 * 86_400.0
_AT_ONCE = 4
_CHUNK_BYTES = 1 << 23

logger = logging.getLogger(__name__)


def fetched(place: str, *, without: tuple[str, ...] = ()) -> str:
    """A file or folder of this machine that holds what is at `place`: a copy where that is in a bucket, else `place`.

    `without`: files that end so are not needed. Raises InputError where nothing is there, or there is no room for it.
    """
    if not is_object_uri(place):
        return place
    found = _found(place, (*without, *_FOR_PEOPLE))
    home = default_cache_dir() / _FETCHED / content_hash(found.folder.shown)
    copy = home / found.signature / last_name(found.folder.shown)
    with held(home, f"another process of this machine, which fetches {found.folder.shown}"):
        if not copy.exists():
            _fetch(found, copy)
            _drop_unused(home, but=copy.parent)
        os.utime(copy.parent)
    return str(copy)


@contextmanager
def fetched_while(place: str) -> Iterator[Path]:
    """A path of this machine where that is which is at `place`: a copy where that is in a bucket, which all processes
    share that are within, and which goes when the last one leaves. What killed ones left goes when another is made.

    Raises InputError as `fetched` does.
    """
    if not is_object_uri(place):
        yield Folder(place).local_path
        return
    found = _found(place, ())
    home = default_cache_dir() / _PASSING / content_hash([found.folder.shown, found.signature])
    _drop_left(home.parent, but=home)
    copy = home / "copy" / last_name(found.folder.shown)
    handle = _entered(home, copy, partial(_fetch, found, copy))
    try:
        yield copy
    finally:
        with suppress(BlockingIOError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(home, ignore_errors=True)
        os.close(handle)


def _entered(home: Path, copy: Path, make: Callable[[], None]) -> int:
    """A handle that keeps `home`, in which the copy is, from being dropped. `make`: what makes it, one at a time.

    A folder is its own lock, so that it goes as a whole; who has waited for one that is gone begins anew.
    """
    how = fcntl.LOCK_SH
    while True:
        home.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError), _locked(home, how) as handle:
            if os.path.samestat(os.fstat(handle), home.stat()):
                if copy.exists() and how == fcntl.LOCK_SH:
                    return os.dup(handle)  # which holds the same lock
                if how == fcntl.LOCK_EX and not copy.exists():
                    make()
                how = fcntl.LOCK_SH if copy.exists() else fcntl.LOCK_EX


@contextmanager
def _locked(folder: Path, how: int) -> Iterator[int]:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, how)
        yield handle
    finally:
        os.close(handle)


def _drop_left(passing: Path, but: Path) -> None:
    for home in passing.iterdir() if passing.is_dir() else ():
        if home != but:
            with suppress(FileNotFoundError, BlockingIOError), _locked(home, fcntl.LOCK_EX | fcntl.LOCK_NB):
                shutil.rmtree(home, ignore_errors=True)


def download(source: Folder, target: Path) -> None:
    """`source`: what is a file itself. Raises OSError."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with source.stream() as stream, target.open("wb") as sink:
        shutil.copyfileobj(stream, sink, _CHUNK_BYTES)


@dataclass(frozen=True, slots=True)
class _Found:
    """Files of a folder in a bucket, or one that is a file itself."""

    folder: Folder
    files: list[StoredFile]
    is_file: bool

    @property
    def signature(self) -> str:
        return content_hash([[file.name, file.n_bytes, file.modified_ns] for file in self.files])


def _found(place: str, without: tuple[str, ...]) -> _Found:
    """Raises InputError where nothing is there."""
    folder = Folder(place)
    try:
        files = [file for file in folder.files_below("") if not file.name.endswith(without)]
        about = None if files else folder.about()
    except OSError as error:
        raise InputError(f"{folder.shown}: cannot be read ({error}).") from None
    if files:
        return _Found(folder, files, is_file=False)
    if about is None:
        raise InputError(f"{folder.shown}: nothing is there. Name a folder or file that is.")
    return _Found(folder, [about], is_file=True)


def _fetch(found: _Found, copy: Path) -> None:
    folder, n_bytes, started = found.folder, sum(file.n_bytes for file in found.files), time.monotonic()
    part = copy.parent.with_name(f"{copy.parent.name}.part")
    shutil.rmtree(part, ignore_errors=True)  # what a killed process left
    part.mkdir(parents=True)
    if shutil.disk_usage(part).free < n_bytes:
        raise InputError(
            f"{folder.shown}: {n_bytes / 1e9:.1f} GB do not fit into {default_cache_dir()}. Make room there, or set "
            "FIREACT_CACHE to a folder of a larger disk."
        )
    logger.info("%s: %.2f GB are fetched into %s", folder.shown, n_bytes / 1e9, copy)

    def one(file: StoredFile) -> None:
        target = part / copy.name if found.is_file else part / copy.name / file.name
        source = folder if found.is_file else folder / file.name
        download(source, target)
        if (n_there := target.stat().st_size) != file.n_bytes:
            raise InputError(f"{source.shown}: changed while it was fetched ({n_there} bytes, {file.n_bytes} listed).")

    try:
        with ThreadPoolExecutor(_AT_ONCE) as fetchers:
            for _ in fetchers.map(one, found.files):
                pass
    except OSError as error:
        raise InputError(f"{folder.shown}: could not be fetched ({error}). Run the same command again.") from None
    part.replace(copy.parent)
    logger.info("%s: fetched in %.0f s", folder.shown, time.monotonic() - started)


def _drop_unused(home: Path, but: Path) -> None:
    for other in home.iterdir():
        if other.is_dir() and other != but and time.time() - other.stat().st_mtime > _UNUSED_S:
            shutil.rmtree(other, ignore_errors=True)
