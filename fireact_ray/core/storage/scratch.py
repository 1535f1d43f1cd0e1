"""Temporary folders that go with their process, or soon after: what `kill -9` left, the next one sweeps away."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_NEW_S = 60.0  # so long a folder may be without its lock


@contextmanager
def scratch_folder(prefix: str) -> Iterator[Path]:
    """A folder for this process alone. Its lock goes with the process, whatever ends it."""
    sweep(prefix)
    with tempfile.TemporaryDirectory(prefix=prefix) as name:
        handle = os.open(name, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield Path(name)
        finally:
            os.close(handle)


def sweep(prefix: str) -> None:
    """Remove the folders of dead processes."""
    for folder in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        try:
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except OSError:  # it is gone, or not ours
            continue
        try:
            if time.time() - os.fstat(handle).st_mtime > _NEW_S:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
        except BlockingIOError:  # its process lives
            continue
        finally:
            os.close(handle)
