"""The run folder, on a disk, a mount or in a bucket (a path, s3://..., gs://...), or wherever else pyarrow reads.

    runs/<name>/recipe.yaml          resolved
                plan.parquet         every row that is planned
                progress.json        progress of the current session
                trajectories/        part-*.parquet, inputs.json, manifest.json
                journal/             every paid reply, before it is used
                dataset/             tokenized Parquet, drops.json, README.md (the card), manifest.json
                checkpoints/         of the student; log.jsonl, loss.png, and trackers' own files
                model/               the student; hosted/ of one that a provider trains
                evaluations/<name>/  plan, trajectories, journal, report.json, report.md; <name>@<condition>~<seed>/
                view/                the page of `fireact view`

What is written is in its place whole or not at all: on a disk under a temporary name and renamed, in a bucket by one
upload. Parts are named by their checksum. A folder's
`manifest.json` is written last: it holds the counts and the inputs that made them. Asking for other inputs in an old
folder is refused, by field name.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
import uuid
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from fireact_ray.core.errors import DataError, InputError, WriteFailed
from fireact_ray.core.hashing import content_hash
from fireact_ray.core.json_text import NotJson, parse
from fireact_ray.core.storage.buckets import bucket_of, is_object_uri
from fireact_ray.core.storage.object_files import ObjectFiles

_CHUNK_BYTES = 1 << 23
_CHECKSUM = re.compile(r"^part-.*-([0-9a-f]{8})\.parquet$")


@dataclass(frozen=True)
class Folder:
    """A folder on some filesystem; `uri` is what the user knows it by."""

    uri: str

    def __truediv__(self, name: str) -> Folder:
        place, mark, options = self.uri.partition("?") if not self.is_local else (self.uri, "", "")
        return Folder(f"{place.rstrip('/')}/{name}{mark}{options}")

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
    def objects(self) -> tuple[ObjectFiles, str] | None:
        """The files of its bucket and its key there; None where it lies in none. Raises InputError."""
        if not is_object_uri(self.uri):
            return None
        bucket, key = bucket_of(self.uri)
        return ObjectFiles(bucket), key

    def names(self, suffix: str = "") -> list[str]:
        """Sorted names of the visible files that end in `suffix`; empty where the folder does not exist."""
        filesystem, path = self._resolve()
        infos = filesystem.get_file_info(fs.FileSelector(path, allow_not_found=True))
        files = (info.base_name for info in infos if info.is_file)
        return sorted(name for name in files if name.endswith(suffix) and not name.startswith("."))

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
        with file.open("rb") as source:
            self._place(name, lambda sink: shutil.copyfileobj(source, sink, _CHUNK_BYTES))

    def write_json(self, name: str, value: Any) -> None:
        self.write(name, json.dumps(value, indent=2, ensure_ascii=False) + "\n")

    def write_table(self, name: str, table: pa.Table) -> None:
        self.write_tables(name, [table], table.schema)

    def write_tables(self, name: str, tables: Iterable[pa.Table], schema: pa.Schema) -> None:
        """One Parquet file of any size, a row group per table."""

        def put(sink: Any) -> None:
            with pq.ParquetWriter(sink, schema, compression="zstd") as writer:
                for table in tables:
                    writer.write_table(table)

        self._place(name, put)

    def write_part(self, prefix: str, tables: Iterable[pa.Table], schema: pa.Schema) -> str:
        """A Parquet file, a row group per table, that is named by its own checksum; returns the name."""
        sink = pa.BufferOutputStream()
        with pq.ParquetWriter(sink, schema, compression="zstd") as writer:
            for table in tables:
                writer.write_table(table)
        content = sink.getvalue()
        name = f"{prefix}-{zlib.crc32(content):08x}.parquet"
        self.write(name, content)
        return name

    def is_whole(self, name: str) -> bool:
        """A part has the checksum that it is named by; any other Parquet file can be read."""
        named = _CHECKSUM.search(name)
        if named is not None:
            return f"{self._crc32(name):08x}" == named.group(1)
        try:
            self.read_table(name)
        except DataError:
            return False
        return True

    def _crc32(self, name: str) -> int:
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

    def move(self, name: str, into: str) -> None:
        """Move a file into a folder beside it."""
        filesystem, path = self._resolve()
        filesystem.create_dir(f"{path}/{into}", recursive=True)
        filesystem.move(f"{path}/{name}", f"{path}/{into}/{name}")

    def read_table(self, name: str, columns: list[str] | None = None) -> pa.Table:
        """One Parquet file. Raises DataError where it is not a whole one."""
        filesystem, path = (self / name)._resolve()
        with self._reading(name):
            return pq.read_table(path, filesystem=filesystem, columns=columns)

    def read_batches(self, name: str, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
        """The same of a file of any size, a part at a time."""
        filesystem, path = (self / name)._resolve()
        with self._reading(name), filesystem.open_input_file(path) as file:
            yield from pq.ParquetFile(file).iter_batches(columns=columns)

    @contextmanager
    def _reading(self, name: str) -> Iterator[None]:
        try:
            yield
        except (pa.ArrowException, OSError) as error:
            reason = " ".join(str(error).split())
            raise DataError(
                f"{self.uri}/{name}: not a readable Parquet file ({reason}). "
                "`fireact generate` sets it aside and makes its rows again."
            ) from None

    def read_tables(self, columns: list[str] | None = None) -> Iterator[pa.Table]:
        """Every Parquet part, as `read_table` does."""
        return (self.read_table(name, columns) for name in self.names(".parquet"))

    def row_groups(self) -> list[RowGroup]:
        """Of every Parquet part: what can be read by itself."""
        filesystem, path = self._resolve()
        found: list[RowGroup] = []
        for name in self.names(".parquet"):
            with self._reading(name):
                about = pq.read_metadata(f"{path}/{name}", filesystem=filesystem)
            sizes = [about.row_group(number).num_rows for number in range(about.num_row_groups)]
            found += [RowGroup(self, name, number, n_rows) for number, n_rows in enumerate(sizes)]
        return found

    def read_schema(self, name: str) -> pa.Schema:
        filesystem, path = (self / name)._resolve()
        return pq.read_schema(path, filesystem=filesystem)

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
        try:
            if whole is not None:
                files.put(key, whole)
                return
            with tempfile.NamedTemporaryFile(prefix="fireact-upload-") as kept:
                put(kept)
                kept.flush()
                files.put(key, Path(kept.name))
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


@dataclass(frozen=True, slots=True)
class RowGroup:
    folder: Folder
    part: str
    number: int  # in its part
    n_rows: int

    def read(self) -> pa.Table:
        """Raises DataError where the part is damaged."""
        filesystem, path = (self.folder / self.part)._resolve()
        with self.folder._reading(self.part), filesystem.open_input_file(path) as file:
            return pq.ParquetFile(file).read_row_group(self.number)
