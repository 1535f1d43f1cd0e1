"""A released archive -> those of its files that the task's loader reads, each whole or not there."""

from __future__ import annotations

import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import IO

from fireact_ray.core.errors import DataError, InputError
from fireact_ray.core.storage.part_file import part_file


def unpack(archive: Path, wanted: Mapping[str, str], folder: Path) -> list[Path]:
    """Write the files that match a pattern of `wanted` (from the right: `dev/*_dev.csv`) into its place below `folder`.

    Only a file's own name is taken from the archive, so that none can be written elsewhere. Raises DataError for a
    broken archive, and where a pattern matches nothing; InputError for another file of that name.
    """
    written: list[Path] = []
    missing = set(wanted)
    try:
        for name, size, file in _files(archive):
            pattern = next((pattern for pattern in wanted if PurePosixPath(name).match(pattern)), None)
            if pattern is None or PurePosixPath(name).name.startswith("."):
                continue
            path = folder / wanted[pattern] / PurePosixPath(name).name
            if path.exists() and path.stat().st_size != size:
                raise InputError(f"{path} is there already, and is another file than that of {archive}. Move it away.")
            with part_file(path) as part:
                shutil.copyfileobj(file, part)
            written.append(path)
            missing.discard(pattern)
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
        raise DataError(f"{archive}: broken archive ({error}). Remove it, and get it again.") from None
    if missing:
        raise DataError(f"{archive} holds no {', '.join(sorted(missing))}. Give the archive as it was released.")
    return written


def _files(archive: Path) -> Iterator[tuple[str, int, IO[bytes]]]:
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as packed:
            for info in packed.infolist():
                if not info.is_dir():
                    with packed.open(info) as file:
                        yield info.filename, info.file_size, file
        return
    with tarfile.open(archive) as tar:
        for member in tar:
            found = tar.extractfile(member) if member.isfile() else None
            if found is not None:
                yield member.name, member.size, found
