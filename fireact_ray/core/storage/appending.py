"""A file that grows by whole lines, whose writer may die at any moment: what is kept is there for whoever reads it.

On a disk it is one file. `append` returns when the line is with the operating system, so it is kept at once. A lock
shows that its writer lives (`held`); the lock goes with the process, however that ends.

Nothing is appended to an object, so in a bucket a file is a row of segments, `NAME-000007.jsonl`, each written whole by
one `keep` with all that was appended until then. A hundred of them are written once more as one,
`NAME-000000-000099.jsonl`, and then deleted; where a writer died between, the small ones stand beside it and are passed
over.
"""

from __future__ import annotations

import errno
import fcntl
import re
import threading
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Protocol

from fireact_ray.core.errors import WriteFailed
from fireact_ray.core.storage.folder import Folder

SUFFIX = ".jsonl"
MERGED_SEGMENTS, MERGED_BYTES = 100, 8_000_000

_SEGMENT = re.compile(r"^(?P<name>.+)-(?P<first>\d{6})\.jsonl$")
_MERGED = re.compile(r"^(?P<name>.+)-(?P<first>\d{6})-(?P<last>\d{6})\.jsonl$")


class Appended(Protocol):
    """The file of one writer. Everything raises WriteFailed; nothing may then be appended any more."""

    kept_at_once: bool

    def append(self, line: bytes) -> None: ...

    def keep(self) -> None:
        """Returns when all that was appended before is kept. From any thread."""

    def close(self) -> None:
        """Keeps what is appended."""


def open_appended(folder: Folder, name: str) -> Appended:
    return AppendedFile(folder, name) if folder.is_local else AppendedSegments(folder, name)


def appended_lines(folder: Folder, begins: str = "") -> Iterator[bytes]:
    """Each line once, of the files whose names begin so; a torn last one is a line too. Writers may be at work."""
    names = [name for name in folder.names(SUFFIX) if name.startswith(begins)]
    if folder.is_local:
        yield from chain.from_iterable(map(folder.lines, names))
        return
    for writer in sorted(set(map(_writer, names))):
        yield from _lines_of(folder, writer, names)


def held(folder: Folder) -> list[str]:
    """Names of the files that a living process writes to. In a bucket, and on a disk without locks, nobody can tell."""
    if not folder.is_local:
        return []
    return [name for name in folder.names(SUFFIX) if _is_held(folder.local_path / name)]


def _is_held(path: Path) -> bool:
    try:
        with path.open("ab") as file:  # over NFS an exclusive lock is only for who can write
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # no locks, or not ours to write
        return False
    return False


def _lines_of(folder: Folder, writer: str, listed: list[str]) -> Iterator[bytes]:
    while True:
        names = [name for name in listed if _writer(name) == writer]
        merged = [name for name in names if _MERGED.match(name)]
        small = [name for name in names if _SEGMENT.match(name) and name not in merged]
        spans = list(map(_span, merged))
        try:
            alone = (name for name in small if not any(_span(name)[0] in span for span in spans))
            contents = list(folder.each(folder.read, alone))
        except FileNotFoundError:  # merged since they were listed
            listed = folder.names(SUFFIX)
            continue
        others = (name for name in names if name not in merged and name not in small)
        yield from chain.from_iterable(map(folder.lines, others))
        for content in chain(folder.each(folder.read, merged), contents):
            yield from content.removesuffix(b"\n").split(b"\n")
        return


def _writer(name: str) -> str:
    found = _MERGED.match(name) or _SEGMENT.match(name)
    return found["name"] if found else name


def _span(name: str) -> range:
    """The numbers of the segments that it holds."""
    found = _MERGED.match(name) or _SEGMENT.match(name)
    if found is None:
        return range(0)
    last = found.groupdict().get("last") or found["first"]
    return range(int(found["first"]), int(last) + 1)


class AppendedFile:
    kept_at_once = True

    def __init__(self, folder: Folder, name: str) -> None:
        home = folder.local_path
        home.mkdir(parents=True, exist_ok=True)
        self._file = (home / f"{name}{SUFFIX}").open("ab", buffering=0)
        with suppress(OSError):  # a disk without locks
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def append(self, line: bytes) -> None:
        try:
            whole = self._file.write(line) == len(line)
        except OSError as error:
            raise WriteFailed.of(self._file.name, error) from None
        if not whole:
            raise WriteFailed.of(self._file.name, OSError(errno.ENOSPC, ""))

    def keep(self) -> None:
        pass

    def close(self) -> None:
        self._file.close()


class AppendedSegments:
    kept_at_once = False

    def __init__(self, folder: Folder, name: str) -> None:
        self._folder, self._name = folder, name
        self._waiting = bytearray()
        self._since_merge: list[bytes] = []
        self._first, self._next = 0, 0  # of the segments that are not merged
        self._turn = threading.Lock()  # one write at a time, so that segments lie in the order of their numbers
        self._adding = threading.Lock()

    def append(self, line: bytes) -> None:
        with self._adding:
            self._waiting += line

    def keep(self) -> None:
        with self._turn:
            with self._adding:
                segment = bytes(self._waiting)
            if not segment:
                return
            self._folder.write(f"{self._name}-{self._next:06}{SUFFIX}", segment)
            with self._adding:
                del self._waiting[: len(segment)]  # only now: what could not be written is tried again
            self._next += 1
            self._since_merge.append(segment)
            if len(self._since_merge) >= MERGED_SEGMENTS or sum(map(len, self._since_merge)) >= MERGED_BYTES:
                self._merge()

    def close(self) -> None:
        self.keep()
        with self._turn:
            self._merge()

    def _merge(self) -> None:
        if len(self._since_merge) > 1:
            name = f"{self._name}-{self._first:06}-{self._next - 1:06}{SUFFIX}"
            self._folder.write(name, b"".join(self._since_merge))
            with suppress(OSError):  # those that stay are passed over
                self._folder.delete_all(
                    f"{self._name}-{number:06}{SUFFIX}" for number in range(self._first, self._next)
                )
        self._first, self._since_merge = self._next, []
