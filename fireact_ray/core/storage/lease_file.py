"""The file of a lease, and how it is replaced only where it is still the one that was seen.

On a disk, those who replace it take turns by a lock on its folder; where the filesystem has no locks, the file that
stays decides. In a bucket the store itself decides, by a condition on the write.
"""

from __future__ import annotations

import fcntl
import os
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Protocol

from fireact_ray.core.errors import DataError, InputError
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.object_files import ObjectFiles

FILE = "lease.json"
_FREE = b"{}\n"  # stands in a bucket where nobody holds the lease: an object cannot be deleted on a condition
_SETTLED_S = 2.0  # after which a file on a filesystem without locks is the one that stays
_TRIES, _BETWEEN_S = 4, 1.0


@dataclass(frozen=True, slots=True)
class Seen:
    """`version`: by which a bucket knows this content."""

    content: bytes
    version: tuple[tuple[str, str], ...] = ()

    @property
    def is_free(self) -> bool:
        return self.content == _FREE


class LeaseFile(Protocol):
    def read(self) -> Seen | None:
        """None where there is none. Raises DataError where nobody can tell."""

    def replace(self, seen: Seen | None, content: bytes, wait: Callable[[float], object]) -> bool:
        """Whether `content` stands there now: it does not where something else than `seen` stood there.

        Raises DataError, InputError or OSError where it cannot be written.
        """

    def remove(self, seen: Seen) -> None:
        """Where it is still there."""


def lease_file(run: Folder) -> LeaseFile:
    objects = run.objects
    return FileLease(run) if objects is None else ObjectLease(run, *objects)


@dataclass(frozen=True, slots=True)
class FileLease:
    run: Folder

    def read(self) -> Seen | None:
        try:
            return Seen(self.run.read(FILE))
        except (FileNotFoundError, NotADirectoryError):  # what cannot be a folder is said by the write
            return None
        except OSError as error:
            raise _unreadable(self.run, error) from None

    def replace(self, seen: Seen | None, content: bytes, wait: Callable[[float], object]) -> bool:
        with self._turn() as alone:
            if self.read() != seen:
                return False
            self.run.write(FILE, content)
        if not alone:
            wait(_SETTLED_S)
        return self.read() == Seen(content)

    def remove(self, seen: Seen) -> None:
        if self.read() == seen:
            self.run.delete(FILE)

    @contextmanager
    def _turn(self) -> Iterator[bool]:
        """Alone among the processes that replace the file; False where the filesystem has no locks."""
        with ExitStack() as held:
            alone = False
            if self.run.is_local:
                with suppress(OSError):  # what keeps the folder from being written is said by the write itself
                    self.run.local_path.mkdir(parents=True, exist_ok=True)
                    folder = os.open(self.run.local_path, os.O_RDONLY)
                    held.callback(os.close, folder)
                    fcntl.flock(folder, fcntl.LOCK_EX)
                    alone = True
            yield alone


@dataclass(frozen=True, slots=True)
class ObjectLease:
    """What a write was answered is not believed where it can be ambiguous: the object itself is read again.

    An answer that is lost makes the client send the write again, which the store then refuses because of the first
    one. A store may also answer 409 or 503, and have written or not.
    """

    run: Folder
    files: ObjectFiles
    folder_key: str

    def read(self) -> Seen | None:
        try:
            content, version = self.files.read_versioned(self._key)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _unreadable(self.run, error) from None
        return Seen(content, tuple(sorted(version.items())))

    def replace(self, seen: Seen | None, content: bytes, wait: Callable[[float], object]) -> bool:
        failure: OSError | None = None
        for _ in range(_TRIES):
            try:
                written = self.files.put_if(self._key, content, None if seen is None else dict(seen.version))
            except PermissionError as error:
                raise InputError(f"{self.run.uri}: {error}. Give this process the right to write there.") from None
            except OSError as error:
                failure, written = error, None
            if written is not None:
                return True
            now = self.read()
            if now is not None and now.content == content:
                return True
            if now != seen:
                return False
            wait(_BETWEEN_S)
        if failure is not None:
            raise DataError(f"{self.run.uri}/{FILE}: cannot be written ({failure}). Run the same command again.")
        return False

    def remove(self, seen: Seen) -> None:
        self.replace(seen, _FREE, time.sleep)

    def demand_conditions(self) -> None:
        """Raises InputError where the store writes whatever the condition: then nothing keeps a second command out."""
        name = f".conditions-{uuid.uuid4().hex[:8]}"
        key = f"{self.folder_key}/{name}".lstrip("/")
        try:
            self.files.put(key, b"1")
            ignored = self.files.put_if(key, b"2", None) is not None
        except OSError as error:
            raise InputError(f"{self.run.uri}: cannot be written ({error}).") from None
        finally:
            with suppress(OSError):
                self.files.delete([key])
        if ignored:
            raise InputError(
                f"{self.run.uri}: this store ignores the conditions of writes (If-None-Match), so that nothing would "
                "keep two commands apart. Use one that heeds them, as S3, MinIO and Google's do, or a mounted folder."
            )

    @property
    def _key(self) -> str:
        return f"{self.folder_key}/{FILE}".lstrip("/")


def _unreadable(run: Folder, error: OSError) -> DataError:
    return DataError(f"{run.uri}/{FILE}: cannot be read ({error}). Give access to it, or delete it.")
