"""A file that grows beside its place, `NAME.part`, and is renamed there whole: nobody ever sees half of it.

One process at a time writes it. What a killed one left is there for the next one, which goes on or begins anew.
"""

from __future__ import annotations

import fcntl
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fireact_ray.core.errors import InputError, WriteFailed


def part_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.part")


@contextmanager
def part_file(path: Path, *, goes_on: bool = False) -> Iterator[io.BufferedRandom]:
    """The part of `path`, to be read and written; where it is left without an error, it has become `path`.

    `goes_on`: it holds what an earlier command left, and an error leaves it for the next; else it is empty at first,
    and an error removes it. Raises InputError where another process writes it, WriteFailed where it cannot be written.
    """
    part, is_whole = part_of(path), False
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.fdopen(os.open(part, os.O_RDWR | os.O_CREAT, 0o666), "r+b")
    except OSError as error:
        raise WriteFailed.of(str(part), error) from None
    try:
        _lock(file, part)
        try:
            if not goes_on:
                file.truncate()
            yield file
            file.flush()
            os.fsync(file.fileno())
            part.replace(path)
            is_whole = True
        except OSError as error:
            raise WriteFailed.of(str(part), error) from None
        finally:
            if not is_whole and not (goes_on and os.fstat(file.fileno()).st_size):
                part.unlink(missing_ok=True)
    finally:
        with suppress(OSError):  # of what could not be written, which was told
            file.close()


def write_whole(path: Path, text: str) -> None:
    """Raises as `part_file` does."""
    with part_file(path) as file:
        file.write(text.encode())


def _lock(file: io.BufferedRandom, part: Path) -> None:
    """Once it is ours, it may be in its place already: that of another process, which is not to be touched."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        is_part = part.exists() and os.path.samestat(part.stat(), os.fstat(file.fileno()))
    except BlockingIOError:
        is_part = False
    except OSError as error:
        raise WriteFailed.of(str(part), error) from None
    if not is_part:
        raise InputError(f"{part} is being written by another command. Wait for it, and give the same command again.")
