"""Objects as pyarrow sees files: folders are what keys have in common, an object is there whole or not at all.

No folder is ever made, and nothing is renamed: what is written appears in its place when all of it has arrived.
"""

from __future__ import annotations

import io
import shutil
import tempfile
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import obstore
import pyarrow as pa
from obstore.exceptions import AlreadyExistsError, PreconditionError
from pyarrow import fs

from fireact_ray.core.storage.buckets import Bucket, asked, store_of

_BUFFER_BYTES = 1 << 23
_COPIED_BYTES = 5_000_000_000  # by one request, on S3


class ObjectFiles(fs.FileSystemHandler):
    """The objects of one bucket; paths are keys. It is opened anew in each process, with the credentials there."""

    def __init__(self, bucket: Bucket) -> None:
        self.bucket = bucket

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ObjectFiles) and other.bucket == self.bucket

    def __hash__(self) -> int:
        return hash(self.bucket)

    # What callers use.

    def read(self, path: str) -> bytes:
        store = self._store(path)
        return asked(self._shown(path), lambda: bytes(obstore.get(store, path).bytes()))

    def read_versioned(self, path: str) -> tuple[bytes, dict[str, str]]:
        """With what tells this content from a later one."""
        store = self._store(path)

        def call() -> tuple[bytes, dict[str, str]]:
            found = obstore.get(store, path)
            return bytes(found.bytes()), _version(found.meta)

        return asked(self._shown(path), call)

    def put(self, path: str, content: Any) -> None:
        """`content`: bytes, or the Path of a file here, which is sent in parts."""
        store = self._store(path)
        asked(self._shown(path), lambda: obstore.put(store, path, content))

    def put_folder(self, path: str, folder: Path, last: str) -> None:
        """The files of a folder here, that of the name `last` behind all others."""
        files = sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())
        for name in sorted(files, key=lambda name: name == last):
            self.put(f"{path}/{name}", folder / name)

    def put_if(self, path: str, content: bytes, version: dict[str, str] | None) -> dict[str, str] | None:
        """Write where the object is still of this version (None: where there is none); returns the new version.

        None where it is not; which may also be because of this very write, whose answer was lost, and which was sent
        again. Raises OSError where nobody can tell whether it was written.
        """
        mode: Any = "create" if version is None else version
        store = self._store(path)

        def call() -> dict[str, str] | None:
            try:
                return _version(obstore.put(store, path, content, mode=mode))
            except (AlreadyExistsError, PreconditionError):
                return None
            except FileNotFoundError:
                if version is None:
                    raise
                return None

        return asked(self._shown(path), call)

    def delete(self, paths: Iterable[str]) -> None:
        """Those that are there."""
        keys = list(paths)
        if keys:
            store = self._store(keys[0])
            asked(self._shown(keys[0]), lambda: obstore.delete(store, keys))

    # What pyarrow asks.

    def get_type_name(self) -> str:
        return f"fireact-{self.bucket.scheme}"

    def normalize_path(self, path: str) -> str:
        return path.strip("/")

    def get_file_info(self, paths: list[str]) -> list[fs.FileInfo]:
        return [self._info(path) for path in paths]

    def get_file_info_selector(self, selector: fs.FileSelector) -> list[fs.FileInfo]:
        base = selector.base_dir.strip("/")
        found, folders = asked(self._shown(base), partial(_listed, self._store(base), base, selector.recursive))
        infos = [_file_info(meta) for meta in found if not _is_mark(meta, base, folders)]
        if not infos and not folders and base and not selector.allow_not_found:
            raise FileNotFoundError(f"{self._shown(base)}: nothing is there")
        return infos + [fs.FileInfo(folder, fs.FileType.Directory) for folder in sorted(folders)]

    def create_dir(self, path: str, recursive: bool) -> None:
        pass

    def delete_dir(self, path: str) -> None:
        self.delete(self._below(path))

    def delete_dir_contents(self, path: str, missing_dir_ok: bool = False) -> None:
        self.delete_dir(path)

    def delete_root_dir_contents(self) -> None:
        raise NotImplementedError("a whole bucket is never emptied")

    def delete_file(self, path: str) -> None:
        self.delete([path])

    def move(self, src: str, dest: str) -> None:
        """A file, or a folder: what is at `src` goes when all of it is at `dest`."""
        moved = self._below(src) or [src]
        for path in moved:
            self.copy_file(path, dest + path.removeprefix(src))
        self.delete(moved)

    def copy_file(self, src: str, dest: str) -> None:
        store = self._store(src)
        if int(self._info(src).size or 0) <= _COPIED_BYTES:
            asked(self._shown(src), lambda: obstore.copy(store, src, dest))
            return
        with tempfile.NamedTemporaryFile(prefix="fireact-object-") as kept, self.open_input_file(src) as source:
            shutil.copyfileobj(source, kept, _BUFFER_BYTES)
            kept.flush()
            self.put(dest, Path(kept.name))

    def open_input_stream(self, path: str) -> pa.NativeFile:
        return self.open_input_file(path)

    def open_input_file(self, path: str) -> pa.NativeFile:
        """A small one is read with the request that opens it; every part of a large one by a request of its own."""
        store = self._store(path)

        def call() -> pa.Buffer | None:
            found = obstore.get(store, path)
            return pa.py_buffer(bytes(found.bytes())) if found.meta["size"] <= _BUFFER_BYTES else None

        if (content := asked(self._shown(path), call)) is not None:
            return pa.BufferReader(content)
        file = asked(self._shown(path), lambda: obstore.open_reader(store, path, buffer_size=_BUFFER_BYTES))
        return pa.PythonFile(_Reader(file, self._shown(path)), mode="r")

    def open_output_stream(self, path: str, metadata: Any = None) -> pa.NativeFile:
        return pa.PythonFile(_Writer(self, path), mode="w")

    def open_append_stream(self, path: str, metadata: Any = None) -> pa.NativeFile:
        raise NotImplementedError("nothing is appended to an object")

    def _below(self, path: str) -> list[str]:
        infos = self.get_file_info_selector(fs.FileSelector(path, allow_not_found=True, recursive=True))
        return [info.path for info in infos if info.is_file]

    def _info(self, path: str) -> fs.FileInfo:
        store = self._store(path)

        def call() -> fs.FileInfo:
            if not path:
                return fs.FileInfo(path, fs.FileType.Directory)
            try:
                return _file_info({**obstore.head(store, path), "path": path})
            except FileNotFoundError:
                below = next(iter(obstore.list(store, path, chunk_size=1)), None)
                return fs.FileInfo(path, fs.FileType.Directory if below else fs.FileType.NotFound)

        return asked(self._shown(path), call)

    def _store(self, path: str) -> Any:
        return store_of(self.bucket, path.rpartition("/")[0])

    def _shown(self, path: str) -> str:
        return f"{self.bucket}/{path}"


class _Reader(io.RawIOBase):
    """Whose errors are OSErrors."""

    def __init__(self, file: Any, place: str) -> None:
        self._file, self._place = file, place

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        return int(self._file.seek(offset, whence))

    def tell(self) -> int:
        return int(self._file.tell())

    def read(self, size: int | None = -1) -> bytes:
        wanted = None if size is None or size < 0 else size
        return asked(self._place, lambda: bytes(self._file.read(wanted)))

    def size(self) -> int:
        return int(self._file.size())


class _Writer(io.RawIOBase):
    """Kept here until it is closed, then sent. `with` says where that fails, `pyarrow.fs.copy_files` does not."""

    def __init__(self, files: ObjectFiles, path: str) -> None:
        self._files, self._path = files, path
        self._kept = tempfile.NamedTemporaryFile(prefix="fireact-object-")  # noqa: SIM115 (closed with this)

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        return self._kept.write(data)

    def tell(self) -> int:
        return self._kept.tell()

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._kept.flush()
            with self._kept:
                self._files.put(self._path, Path(self._kept.name))


def _listed(store: Any, base: str, recursive: bool) -> tuple[list[Any], set[str]]:
    """Objects, and the folders that hold some."""
    if not recursive:
        listing = obstore.list_with_delimiter(store, base or None)
        return list(listing["objects"]), set(listing["common_prefixes"])
    found = [meta for chunk in obstore.list(store, base or None) for meta in chunk]
    return found, set().union(*(_folders_between(base, meta["path"]) for meta in found))


def _version(found: Any) -> dict[str, str]:
    return {name: found[name] for name in ("e_tag", "version") if found.get(name)}


def _file_info(meta: Any) -> fs.FileInfo:
    mtime = meta["last_modified"]
    return fs.FileInfo(meta["path"], fs.FileType.File, size=meta["size"], mtime=mtime)


def _is_mark(meta: Any, base: str, folders: set[str]) -> bool:
    """The empty object by which other programs keep an empty folder, whose key ends in a slash."""
    return meta["size"] == 0 and (meta["path"] == base or meta["path"] in folders)


def _folders_between(base: str, path: str) -> set[str]:
    parts = path.split("/")
    first = len(base.split("/")) + 1 if base else 1
    return {"/".join(parts[:n]) for n in range(first, len(parts))}
