"""The files of a folder on a disk, on a mount, in a bucket, or wherever else pyarrow reads.

What is written is in its place whole or not at all: on a disk under a temporary name and renamed, in a bucket by one
upload.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import uuid
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self, TypeVar

import pyarrow as pa
from pyarrow import fs

from fireact_ray.core.errors import DataError, InputError, WriteFailed
from fireact_ray.core.hashing import content_hash
from fireact_ray.core.json_text import NotJson, parse
from fireact_ray.core.paths import below, last_name
from fireact_ray.core.storage.buckets import bucket_of, is_object_uri
from fireact_ray.core.storage.object_files import ObjectFiles
from fireact_ray.core.utils.beside import side_by_side

_CHUNK_BYTES = 1 << 23
_READS_AT_ONCE = 16

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class FolderFiles:
    """A folder on some filesystem; `uri` is what the user knows it by."""

    uri: str

    def __truediv__(self, name: str) -> Self:
        return replace(self, uri=below(self.uri, name))

    @property
    def parent(self) -> Self:
        place, mark, options = (self.uri, "", "") if self.is_local else self.uri.partition("?")
        return replace(self, uri=f"{place.rstrip('/').rpartition('/')[0]}{mark}{options}")

    @property
    def is_local(self) -> bool:
        return "://" not in self.uri or self.uri.startswith("file://")

    @property
    def local_path(self) -> Path:
        """Raises InputError where the folder is not on a local filesystem."""
        if not self.is_local:
            raise InputError(f"{self.uri}: this needs a local or mounted folder, found a remote one.")
        return Path(self.uri.removeprefix("file://")).absolute()

    @property
    def place(self) -> str:
        """An absolute path, or its URI: where every process and machine finds it."""
        return str(self.local_path) if self.is_local else self.uri

    @property
    def shown(self) -> str:
        """Its URI for people, and for names made of it: without user and options."""
        place = self.uri if self.is_local else self.uri.partition("?")[0]
        scheme, mark, rest = place.partition("://")
        root, slash, path = rest.partition("/")
        return f"{scheme}{mark}{root.rpartition('@')[2]}{slash}{path}" if mark else place

    @property
    def name(self) -> str:
        return last_name(self.uri)

    @property
    def objects(self) -> tuple[ObjectFiles, str] | None:
        """The files of its bucket and its key there; None where it lies in none. Raises InputError."""
        if not is_object_uri(self.uri):
            return None
        bucket, key = bucket_of(self.uri)
        return ObjectFiles(bucket), key

    @property
    def where(self) -> tuple[fs.FileSystem, str]:
        """How others find it by pyarrow, in any process."""
        return self._resolve()

    def names(self, suffix: str = "") -> list[str]:
        """Sorted names of the visible files that end in `suffix`; empty where the folder does not exist."""
        return [file.name for file in self.files(suffix)]

    def files(self, suffix: str = "") -> list[StoredFile]:
        """The same with their sizes."""
        filesystem, path = self._resolve()
        infos = filesystem.get_file_info(fs.FileSelector(path, allow_not_found=True))
        found = [StoredFile(info.base_name, info.size, info.mtime_ns) for info in infos if info.is_file]
        visible = (file for file in found if file.name.endswith(suffix) and not file.name.startswith("."))
        return sorted(visible, key=lambda file: file.name)

    def folders(self, begins: str = "") -> list[str]:
        """Sorted names of the folders in it that begin so; in a bucket, of those that hold a file."""
        filesystem, path = self._resolve()
        infos = filesystem.get_file_info(fs.FileSelector(path, allow_not_found=True))
        found = sorted(info.base_name for info in infos if info.type is fs.FileType.Directory)
        named = [name for name in found if name.startswith(begins)]
        return named if self.is_local else [name for name in named if (self / name).files_below("")]

    def files_below(self, suffix: str) -> list[StoredFile]:
        """Of the files that end in `suffix`, here and in folders within, in the order of their names, part by part."""
        filesystem, path = self._resolve()
        infos = filesystem.get_file_info(fs.FileSelector(path, recursive=True, allow_not_found=True))
        found = (info for info in infos if info.is_file and info.base_name.endswith(suffix))
        files = [StoredFile(f.path.removeprefix(path).lstrip("/"), f.size, f.mtime_ns) for f in found]
        return sorted(files, key=lambda file: file.name.split("/"))

    @contextmanager
    def opened(self, name: str) -> Iterator[pa.NativeFile]:
        """To be read from anywhere in it. Raises OSError."""
        filesystem, path = (self / name)._resolve()
        with filesystem.open_input_file(path) as file:
            yield file

    def exists(self, name: str) -> bool:
        filesystem, path = (self / name)._resolve()
        return bool(filesystem.get_file_info(path).is_file)

    @contextmanager
    def stream(self) -> Iterator[pa.NativeFile]:
        """Of what is a file itself, read from its start. Raises OSError."""
        filesystem, path = self._resolve()
        with filesystem.open_input_stream(path) as stream:
            yield stream

    def about(self) -> StoredFile | None:
        """Of what is a file itself."""
        filesystem, path = self._resolve()
        info = filesystem.get_file_info(path)
        return StoredFile("", info.size, info.mtime_ns) if info.is_file else None

    def read(self, name: str) -> bytes:
        if (objects := (self / name).objects) is not None:
            files, key = objects
            return files.read(key)  # one request
        filesystem, path = (self / name)._resolve()
        with filesystem.open_input_stream(path) as stream:
            return bytes(stream.read())

    def read_json(self, name: str) -> Any:
        """Raises DataError where the file is damaged."""
        try:
            return parse(self.read(name))
        except NotJson as error:
            raise DataError(
                f"{self.uri}/{name}: damaged, not valid JSON ({error}). Restore it, or delete it."
            ) from None

    def write(self, name: str, content: bytes | str | pa.Buffer) -> None:
        """Whole or not at all. Raises WriteFailed."""
        data = content.encode() if isinstance(content, str) else content
        self._place(name, lambda sink: sink.write(data), memoryview(data).cast("B"))

    def write_file(self, name: str, file: Path) -> None:
        """A file of this machine, of any size; large ones go into a bucket in parts. Raises WriteFailed."""
        if (objects := (self / name).objects) is not None:
            files, key = objects
            with self._uploading(name):
                files.put(key, file)
            return
        with file.open("rb") as source:
            self._place(name, lambda sink: shutil.copyfileobj(source, sink, _CHUNK_BYTES))

    def write_json(self, name: str, value: Any) -> None:
        self.write(name, json.dumps(value, indent=2, ensure_ascii=False) + "\n")

    def each(self, read: Callable[[str], Answer], names: Iterable[str]) -> Iterator[Answer]:
        """What `read` makes of each of these files, in their order; where a read waits for a store, 16 wait at once."""
        return map(read, names) if self.is_local else side_by_side(read, names, _READS_AT_ONCE)

    def crc32(self, name: str) -> int:
        filesystem, path = (self / name)._resolve()
        crc = 0
        with filesystem.open_input_stream(path) as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                crc = zlib.crc32(chunk, crc)
        return crc

    def delete(self, name: str) -> None:
        if self.exists(name):
            filesystem, path = (self / name)._resolve()
            filesystem.delete_file(path)

    def delete_all(self, names: Iterable[str]) -> None:
        """Those that are there, in few requests where it lies in a bucket."""
        if (objects := self.objects) is None:
            for name in names:
                self.delete(name)
            return
        files, key = objects
        files.delete(f"{key}/{name}".lstrip("/") for name in names)

    def delete_folder(self, name: str) -> None:
        """With all that is in it."""
        filesystem, path = (self / name)._resolve()
        filesystem.delete_dir(path)

    def rename(self, name: str, to: str) -> None:
        """A file or folder in it; in a bucket a folder is copied file by file, and then deleted."""
        filesystem, path = self._resolve()
        filesystem.move(f"{path}/{name}", f"{path}/{to}")

    def move(self, name: str, into: str) -> None:
        """Move a file into a folder beside it."""
        filesystem, path = self._resolve()
        filesystem.create_dir(f"{path}/{into}", recursive=True)
        filesystem.move(f"{path}/{name}", f"{path}/{into}/{name}")

    def digest(self, suffixes: tuple[str, ...]) -> str:
        """Of the contents of the files that end so, whatever their names."""
        digests = sorted(
            hashlib.sha256(self.read(name)).hexdigest() for name in self.names() if name.endswith(suffixes)
        )
        return content_hash(digests)

    def lines(self, name: str) -> Iterator[bytes]:
        """Lines of a file of any size, without their ends; a torn last one is a line too."""
        filesystem, path = (self / name)._resolve()
        with filesystem.open_input_stream(path) as stream:
            rest = b""
            while chunk := stream.read(_CHUNK_BYTES):
                *whole, rest = (rest + chunk).split(b"\n")
                yield from whole
            if rest:
                yield rest

    def size(self, name: str) -> int:
        filesystem, path = (self / name)._resolve()
        return int(filesystem.get_file_info(path).size or 0)

    def _place(self, name: str, put: Callable[[Any], object], whole: memoryview | None = None) -> None:
        """`put` writes into what it is given. `whole`: what it would write, where that is known. Raises WriteFailed."""
        if (objects := (self / name).objects) is not None:
            self._upload(name, *objects, put, whole)
            return
        filesystem, folder = self._resolve()
        hidden = f"{folder}/.{name}.{uuid.uuid4().hex[:8]}"
        try:
            filesystem.create_dir(folder, recursive=True)
            with filesystem.open_output_stream(hidden) as sink:
                put(sink)
            filesystem.move(hidden, f"{folder}/{name}")
        except OSError as error:
            with suppress(OSError):  # what a full disk has of it would stay there
                filesystem.delete_file(hidden)
            raise WriteFailed.of(f"{self.uri}/{name}", error) from None

    def _upload(
        self, name: str, files: ObjectFiles, key: str, put: Callable[[Any], object], whole: memoryview | None
    ) -> None:
        with self._uploading(name):
            if whole is not None:
                files.put(key, whole)
                return
            with tempfile.NamedTemporaryFile(prefix="fireact-upload-") as kept:
                put(kept)
                kept.flush()
                files.put(key, Path(kept.name))

    @contextmanager
    def _uploading(self, name: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise WriteFailed(
                f"{(self / name).shown}: cannot be written ({error}). Run the same command again to go on."
            ) from None

    def _resolve(self) -> tuple[fs.FileSystem, str]:
        if self.is_local:
            return fs.LocalFileSystem(), str(self.local_path)
        if (objects := self.objects) is not None:
            files, key = objects
            return fs.PyFileSystem(files), key
        try:
            filesystem, path = fs.FileSystem.from_uri(self.uri)
        except (pa.ArrowInvalid, ValueError) as error:
            raise InputError(f"{self.uri}: not a folder that can be opened: {error}") from None
        return filesystem, path


@dataclass(frozen=True, slots=True)
class StoredFile:
    name: str  # from the folder on
    n_bytes: int
    modified_ns: int  # since 1970; whole seconds on S3
