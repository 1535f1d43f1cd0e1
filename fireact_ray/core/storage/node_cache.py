"""What a machine keeps on a disk of its own, for all its processes, and makes again where it is gone."""

from __future__ import annotations

import fcntl
import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fireact_ray.core.errors import InputError
from fireact_ray.core.utils.waiting import said_while_waiting

_LOCK = "lock"


def default_cache_dir() -> Path:
    """$FIREACT_CACHE, or ~/.cache/fireact_ray."""
    given = os.environ.get("FIREACT_CACHE")
    return Path(given) if given else Path("~/.cache/fireact_ray").expanduser()


def demand_writable(folder: Path) -> None:
    """Make it. Raises InputError where nothing can be written there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"room")
            file.flush()
    except OSError as error:
        raise _unusable(f"cannot write {folder}", error) from None


@contextmanager
def held(folder: Path, what: str) -> Iterator[None]:
    """One process of this machine at a time is within, for each folder; the others wait, and say for `what`.

    The lock goes with its process, whatever ends it. Its file stays: its time is that of the last use, which
    `held_if_unused` tells. Raises InputError where nothing can be written or locked there.
    """
    demand_writable(folder)
    try:
        handle = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:  # another user's
        raise _unusable(f"cannot open {folder / _LOCK}", error) from None
    try:
        _wait_for(handle, folder, what)
        os.utime(handle)
        yield
    finally:
        os.close(handle)


@contextmanager
def held_if_unused(folder: Path, since: float) -> Iterator[bool]:
    """True where nobody has been within since that time (of the clock), and nobody can be until this ends."""
    try:
        handle = os.open(folder / _LOCK, os.O_RDWR)
    except OSError:  # not ours, or gone
        yield False
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield os.fstat(handle).st_mtime < since
    except BlockingIOError:
        yield False
    finally:
        os.close(handle)


def _wait_for(handle: int, folder: Path, what: str) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        over = threading.Event()
        with said_while_waiting("node", lambda: None if over.is_set() else what):
            fcntl.flock(handle, fcntl.LOCK_EX)
            over.set()
    except OSError as error:
        raise _unusable(f"cannot lock {folder / _LOCK}", error) from None


def _unusable(what: str, error: OSError) -> InputError:
    return InputError(f"{what} ({error.strerror}): set FIREACT_CACHE to a folder on a local disk that can be written.")
