"""A released archive -> those of its files that the task's loader reads, each whole or not there."""

from __future__ import annotations

import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import IO

from fireact_ray.core.errors import DataError, InputError
from fireact_ray.core.storage.part_file import part_file

_CHUNK = 1 << 20


def unpack(archive: Path, wanted: Mapping[str, str], folder: Path) -> list[Path]:
    """Write the files that match a pattern of `wanted` (from the right: `dev/*_dev.csv`) into its place below `folder`.

    Only a file's own name is taken from the archive, so that none can be written elsewhere. Raises DataError for a
    broken archive, of which nothing is left, and where a pattern matches nothing; InputError for another file of that
    name.
    """
    written: list[Path] = []
    new: list[Path] = []
    missing = set(wanted)
    try:
        for name, size, file in _files(archive):
            pattern = next((pattern for pattern in wanted if PurePosixPath(name).match(pattern)), None)
            if pattern is None or PurePosixPath(name).name.startswith("."):
                continue
            path = folder / wanted[pattern] / PurePosixPath(name).name
            if _write(archive, file, size, path):
                new.append(path)
            written.append(path)
            missing.discard(pattern)
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
        _remove(new)  # a checksum at the end may be that of all of them
        raise _broken(archive, error) from None
    except DataError:
        _remove(new)
        raise
    if missing:
        raise DataError(f"{archive} holds no {', '.join(sorted(missing))}. Give the archive as it was released.")
    return written


def _write(archive: Path, file: IO[bytes], size: int, path: Path) -> bool:
    """Whether it was not there. What is there already stays, if it is the same."""
    if path.exists():
        if path.stat().st_size != size or not _is_same(archive, file, path):
            raise InputError(f"{path} is there already, and is another file than that of {archive}. Move it away.")
        return False
    with part_file(path) as part:
        for chunk in _chunks(archive, file):
            part.write(chunk)
    return True


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def _is_same(archive: Path, file: IO[bytes], path: Path) -> bool:
    with path.open("rb") as there:
        return all(there.read(len(chunk)) == chunk for chunk in _chunks(archive, file))


def _chunks(archive: Path, file: IO[bytes]) -> Iterator[bytes]:
    """A checksum that fails is an OSError of the archive, and none of the file that is written."""
    try:
        while chunk := file.read(_CHUNK):
            yield chunk
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
        raise _broken(archive, error) from None


def _broken(archive: Path, error: Exception) -> DataError:
    return DataError(f"{archive}: broken archive ({error}). Remove it, and get it again.")


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
        while tar.fileobj is not None and tar.fileobj.read(_CHUNK):
            pass  # to the end, where gzip and its like have their checksum
