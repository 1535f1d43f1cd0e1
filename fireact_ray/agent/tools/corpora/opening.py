"""Files of a corpus, one stream after the other: of a file, a folder, a tar in whatever packing, a zip.

Archives are read through once, without being unpacked onto the disk, and each of their files is unpacked by how it
begins: HotpotQA's abstracts are a packed tar of packed files, Search-R1's wiki-18.jsonl.gz is a packed tar, too.
"""

from __future__ import annotations

import io
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO, cast

from fireact_ray.core.errors import InputError
from fireact_ray.core.paths import absolute
from fireact_ray.core.storage.source import kind_of, names_in, opened, unpacked, within

BROKEN = (OSError, EOFError, tarfile.TarError, zipfile.BadZipFile, zlib.error)  # what reading a damaged file raises


@dataclass(frozen=True, slots=True)
class Part:
    """A file by its place, and of an archive by its name in it. `stream` is read before the next part is asked for.

    `is_within`: a folder or an archive, of which not every file need be of the corpus.
    """

    name: str
    stream: io.BufferedReader
    is_within: bool


def files_of(place: str, besides: Container[str] = ()) -> list[str]:
    """The file itself, or all visible files in a folder and its folders, but for those `besides`, by absolute path.

    Raises InputError for a place where nothing is.
    """
    kind = kind_of(place)
    if kind is None:
        raise InputError(f"{place}: no such file or folder. Give a file, a folder or an archive of passages.")
    if kind == "file":
        return [] if absolute(place) in besides else [place]
    return [file for name in names_in(place) for file in files_of(within(place, name.rstrip("/")), besides)]


def parts_of(file: str, on_read: Callable[[int], None], *, is_within: bool) -> Iterator[Part]:
    """The file, or every visible one in an archive. `on_read` is told how many bytes of the file were read as it is.

    What is read may raise any of BROKEN.
    """
    with opened(file, archives=True, on_read=on_read) as stream:
        yield from _unfolded(file, stream, is_within=is_within)


def _unfolded(name: str, stream: io.BufferedReader, *, is_within: bool) -> Iterator[Part]:
    head = stream.peek(512)[:512]
    if head[257:262] == b"ustar":
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            for member in archive:
                file = archive.extractfile(member) if member.isfile() and not _is_hidden(member.name) else None
                if file is not None:
                    yield from _unfolded(f"{name}: {member.name}", _unpacked(file), is_within=True)
    elif head.startswith(b"PK\x03\x04") and stream.seekable():
        yield from _of_zip(name, stream)
    else:
        yield Part(name, stream, is_within)


def _of_zip(name: str, stream: io.BufferedReader) -> Iterator[Part]:
    try:
        with zipfile.ZipFile(stream) as files:
            for info in files.infolist():
                if not info.is_dir() and not _is_hidden(info.filename):
                    with files.open(info) as packed:
                        yield from _unfolded(f"{name}: {info.filename}", _unpacked(packed), is_within=True)
    except (RuntimeError, ValueError, struct.error) as error:  # a password, another packing, places that are none
        raise zipfile.BadZipFile(str(error)) from None


def _unpacked(file: IO[bytes]) -> io.BufferedReader:
    return unpacked(io.BufferedReader(cast(io.RawIOBase, file)))


def _is_hidden(name: str) -> bool:
    """Also what macOS adds to archives: `__MACOSX/...`, `._name`."""
    path = PurePosixPath(name)
    return path.name.startswith(".") or "__MACOSX" in path.parts
