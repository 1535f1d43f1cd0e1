"""Files of others: a place in, its bytes or text out, wherever it lies and however it is packed.

A place is a path, or a URL of a filesystem that pyarrow knows (file://, s3://, gs://). What gzip, zstd or bzip2 packed
is unpacked as it is read, told by how it begins; text is read in any UTF. Every refusal is an InputError that begins
with the place and ends with the next move.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote

import pyarrow as pa
from pyarrow import fs

from fireact_ray.core.errors import InputError
from fireact_ray.core.storage.buckets import bucket_of, is_object_uri
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.object_files import ObjectFiles

_BUFFER_BYTES = 1 << 20
_HEAD_BYTES = 512
_PACKED = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bz2"}
_ARCHIVES = {b"PK\x03\x04": "a zip archive", b"\xfd7zXZ\x00": "an xz file", b"7z\xbc\xaf": "a 7z archive"}


def kind_of(place: str) -> Literal["file", "folder"] | None:
    """None where nothing is there. What a shell pipes in is a file."""
    filesystem, path = _resolve(place)
    try:
        found = filesystem.get_file_info(path).type
    except OSError as error:
        raise _unreadable(place, error) from None
    if found == fs.FileType.NotFound:
        return None
    return "folder" if found == fs.FileType.Directory else "file"


def is_pipe(place: str) -> bool:
    """What can be read once: /dev/stdin behind a `|`, or what a shell makes of `<(...)`."""
    filesystem, path = _resolve(place)
    try:
        return bool(filesystem.get_file_info(path).type == fs.FileType.Unknown)
    except OSError as error:
        raise _unreadable(place, error) from None


def names_in(place: str) -> list[str]:
    """Sorted names of a folder's visible files, and of its folders with a slash behind them."""
    filesystem, path = _resolve(place)
    try:
        found = filesystem.get_file_info(fs.FileSelector(path))
    except OSError as error:
        raise _unreadable(place, error) from None
    names = (info.base_name + ("" if info.is_file else "/") for info in found)
    return sorted(name for name in names if not name.startswith("."))


def within(place: str, name: str) -> str:
    """The place of what a folder holds."""
    return (Folder(place) / name).uri if is_object_uri(place) else f"{place.rstrip('/')}/{name}"


def size_of(place: str) -> int:
    """Bytes of a file as it lies there; 0 where that is not known, as of what a shell pipes in."""
    filesystem, path = _resolve(place)
    return filesystem.get_file_info(path).size or 0


@contextmanager
def opened(
    place: str, *, archives: bool = False, on_read: Callable[[int], None] | None = None
) -> Iterator[io.BufferedReader]:
    """Its bytes, unpacked. They can be sought in where nothing was packed. An OSError within becomes an InputError.

    `archives`: also of a tar or zip, which is refused otherwise. `on_read` is told how many bytes were read of the file
    as it is.
    """
    filesystem, path = _resolve(place)
    try:
        with _file(filesystem, path) as file:
            stream = unpacked(io.BufferedReader(file if on_read is None else _Told(file, on_read), _BUFFER_BYTES))
            if not archives:
                _demand_no_archive(place, stream.peek(_HEAD_BYTES))
            yield stream
    except OSError as error:
        raise _unreadable(place, error) from None


def unpacked(stream: io.BufferedReader) -> io.BufferedReader:
    """What gzip, zstd or bzip2 packed into a stream, or that stream. Reading raises OSError where it breaks off."""
    head = stream.peek(_HEAD_BYTES)[:_HEAD_BYTES]
    codec = next((codec for magic, codec in _PACKED.items() if head.startswith(magic)), None)
    if codec is None:
        return stream
    return io.BufferedReader(pa.CompressedInputStream(pa.PythonFile(stream, mode="r"), codec), _BUFFER_BYTES)


class _Told(io.RawIOBase):
    """A file that tells how much of it is read."""

    def __init__(self, file: Any, on_read: Callable[[int], None]) -> None:
        self._file, self._on_read = file, on_read

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self._file.seek(offset, whence)
        return self.tell()

    def tell(self) -> int:
        return int(self._file.tell())

    def readinto(self, buffer: Any) -> int:
        n_read = int(self._file.readinto(buffer))
        self._on_read(n_read)
        return n_read


def read_text(place: str) -> str:
    """All of it, without byte order mark, line ends as they are."""
    with opened(place) as stream:
        data = stream.read()
    return decoded(place, data)


def decoded(place: str, data: bytes) -> str:
    try:
        return data.decode(encoding_of(data))
    except UnicodeDecodeError as error:
        name = error.encoding.upper()
        raise InputError(f"{place} is not {name} text (byte {error.start}). Write it as UTF-8.") from None


def encoding_of(head: bytes) -> str:
    """The UTF of a text that begins so, by its byte order mark or by where its first characters have zeros."""
    return json.detect_encoding(head)


def _resolve(place: str) -> tuple[fs.FileSystem, str]:
    if place.startswith("file:"):
        return fs.LocalFileSystem(), _path_of(place)
    if "://" not in place:
        return fs.LocalFileSystem(), str(Path(place).expanduser())
    if place.startswith(("http://", "https://")):
        raise InputError(f"{place}: nothing is read over HTTP. Download it, and give the file.")
    if is_object_uri(place):
        bucket, key = bucket_of(place)
        return fs.PyFileSystem(ObjectFiles(bucket)), key
    try:
        filesystem, path = fs.FileSystem.from_uri(place)
    except (pa.ArrowException, OSError, ValueError, ImportError) as error:
        raise _unreadable(place, error) from None
    return filesystem, path


def _path_of(url: str) -> str:
    """Of file:/a, file:///a and file://localhost/a."""
    rest = url.removeprefix("file:")
    host, slash, path = rest[2:].partition("/") if rest.startswith("//") else ("", "/", rest.lstrip("/"))
    if host not in ("", "localhost") or not slash:
        raise InputError(f"{url}: '{host}' is read as another machine. Give the whole path, as in file:///data/{host}.")
    return unquote(f"/{path}")


def _file(filesystem: fs.FileSystem, path: str) -> pa.NativeFile:
    is_pipe = filesystem.get_file_info(path).type == fs.FileType.Unknown
    return pa.BufferReader(Path(path).read_bytes()) if is_pipe else filesystem.open_input_file(path)


def _demand_no_archive(place: str, head: bytes) -> None:
    found = next((name for magic, name in _ARCHIVES.items() if head.startswith(magic)), None)
    if found is None and head[257:262] == b"ustar":
        found = "a tar archive"
    if found is not None:
        raise InputError(f"{place}: {found} is not unpacked here. Unpack it, and give the file or folder.")


def _unreadable(place: str, error: Exception) -> InputError:
    reason = getattr(error, "strerror", None) or " ".join(str(error).split())
    return InputError(
        f"{place}: cannot be read ({reason}). Give a file or folder that can, or a copy of it on this disk."
    )
