"""Folders that are either whole or not there."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from fireact_ray.core.errors import WriteFailed

_FULL_BYTES = 1 << 20


@contextmanager
def whole_folder(final: Path) -> Iterator[Path]:
    """A hidden sibling to write into; it becomes `final` when the block ends, and goes when the block fails.

    A `final` from an earlier run is replaced. One writer per folder at a time: what a killed one left is
    removed. Raises WriteFailed where the disk is full.
    """
    final.parent.mkdir(parents=True, exist_ok=True)
    temporary, replaced = _hidden(final)
    for leftover in (temporary, replaced):
        shutil.rmtree(leftover, ignore_errors=True)
    temporary.mkdir()
    try:
        with _told_when_full(temporary):
            yield temporary
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    _put_in_place(temporary, final)


@contextmanager
def whole_folder_of_all(final: Path, *, leads: bool, wait: Callable[[], None]) -> Iterator[Path]:
    """As `whole_folder`, for workers that write at the same time, into one folder of that name or each into its own.

    `leads`: true for exactly one of them. `wait` returns when all have called it.
    """
    if leads:
        with whole_folder(final) as temporary:
            wait()  # the others may find it there
            yield temporary
            wait()  # all have written
        wait()
        return
    wait()
    temporary, _ = _hidden(final)
    temporary.mkdir(parents=True, exist_ok=True)
    with _told_when_full(temporary):
        yield temporary
    wait()
    wait()  # where it was the leader's as well, it is in place by now
    if temporary.exists():
        _put_in_place(temporary, final)


@contextmanager
def _told_when_full(folder: Path) -> Iterator[None]:
    """torch and safetensors say it each in another way, or say only that they could not write."""
    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:
        is_full = getattr(error, "errno", None) == errno.ENOSPC or os.strerror(errno.ENOSPC) in str(error)
        if is_full or shutil.disk_usage(folder).free < _FULL_BYTES:
            raise WriteFailed.of(str(folder.parent), OSError(errno.ENOSPC, "")) from error
        raise


def _hidden(final: Path) -> tuple[Path, Path]:
    """Where it is written, and where the one goes that it replaces."""
    return final.with_name(f".{final.name}.tmp"), final.with_name(f".{final.name}.old")


def _put_in_place(temporary: Path, final: Path) -> None:
    replaced = _hidden(final)[1]
    if final.exists():
        final.rename(replaced)  # a folder cannot be renamed onto a filled one
    temporary.rename(final)
    shutil.rmtree(replaced, ignore_errors=True)
