"""Files of a bucket that libraries want on a disk: tokenizers, weights, a corpus. Fetched once for a machine.

A copy lies in this machine's cache under its place and the names, sizes and times of what it was made of, so that
another content at the same place is fetched anew, and one that a process has open is left alone. Copies that nobody
asked for in a month are removed when another one is made.
"""

from __future__ import annotations

import logging
import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from fireact_ray.core.errors import InputError
from fireact_ray.core.hashing import content_hash
from fireact_ray.core.paths import last_name
from fireact_ray.core.storage.buckets import is_object_uri
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.folder_files import StoredFile
from fireact_ray.core.storage.node_cache import default_cache_dir, held

_FETCHED = "fetched"
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
    folder = Folder(place)
    try:
        files, is_file = _files_at(folder, (*without, *_FOR_PEOPLE))
    except OSError as error:
        raise InputError(f"{folder.shown}: cannot be read ({error}).") from None
    if not files:
        raise InputError(f"{folder.shown}: nothing is there. Name a folder or file that is.")
    home = default_cache_dir() / _FETCHED / content_hash(folder.shown)
    copy = home / content_hash([[f.name, f.n_bytes, f.modified_ns] for f in files]) / last_name(folder.shown)
    with held(home, f"another process of this machine, which fetches {folder.shown}"):
        if not copy.exists():
            _fetch(folder, files, copy, is_file=is_file)
            _drop_unused(home, but=copy.parent)
        os.utime(copy.parent)
    return str(copy)


def download(source: Folder, target: Path) -> None:
    """`source`: what is a file itself. Raises OSError."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with source.stream() as stream, target.open("wb") as sink:
        shutil.copyfileobj(stream, sink, _CHUNK_BYTES)


def _files_at(folder: Folder, without: tuple[str, ...]) -> tuple[list[StoredFile], bool]:
    found = [file for file in folder.files_below("") if not file.name.endswith(without)]
    if found:
        return found, False
    about = folder.about()
    return ([] if about is None else [about]), True


def _fetch(folder: Folder, files: list[StoredFile], copy: Path, *, is_file: bool) -> None:
    n_bytes, started = sum(file.n_bytes for file in files), time.monotonic()
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
        target = part / copy.name if is_file else part / copy.name / file.name
        source = folder if is_file else folder / file.name
        download(source, target)
        if (found := target.stat().st_size) != file.n_bytes:
            raise InputError(f"{source.shown}: changed while it was fetched ({found} bytes, {file.n_bytes} listed).")

    try:
        with ThreadPoolExecutor(_AT_ONCE) as fetchers:
            for _ in fetchers.map(one, files):
                pass
    except OSError as error:
        raise InputError(f"{folder.shown}: could not be fetched ({error}). Run the same command again.") from None
    part.replace(copy.parent)
    logger.info("%s: fetched in %.0f s", folder.shown, time.monotonic() - started)


def _drop_unused(home: Path, but: Path) -> None:
    for other in home.iterdir():
        if other.is_dir() and other != but and time.time() - other.stat().st_mtime > _UNUSED_S:
            shutil.rmtree(other, ignore_errors=True)
