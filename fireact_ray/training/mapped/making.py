"""Parquet in, a copy out: each row is read once, checked, and written as it comes; what is sorted is the index."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from fireact_ray.core.errors import DataError, WriteFailed
from fireact_ray.core.storage.fingerprint import dataset_fingerprint, row_digest
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.folder_files import StoredFile
from fireact_ray.training.mapped.reading import ReadRows, read_rows
from fireact_ray.training.mapped.rows import (
    ENTRY,
    INDEX,
    MANIFEST,
    ROWS,
    Entries,
    digest_of,
    encoded,
    ids_at,
    mapped,
    record_bytes,
)

_UNSORTED = "entries.bin"
_SORTED_AT_ONCE = 65_536

Order = npt.NDArray[np.uint64]  # (N,) numbers of rows


def make_copy(folder: Folder, files: Sequence[StoredFile], made_by: str, source: str, out: Path) -> None:
    """Copy all rows of `files`, which lie in `folder`, into the empty folder `out`.

    `made_by`: the renderer's fingerprint; `source`: the copy's name for the dataset. Raises DataError for what cannot
    be trained on, naming the row, and WriteFailed where the disk is full.
    """
    try:
        largest_id, keys = _write_rows(folder, files, out)
        if not len(keys):
            raise DataError(f"{folder.uri}: no rows in {len(files)} Parquet files. Convert trajectories into it first.")
        _write_index(out, keys)
        manifest = {
            "source": source,
            "fingerprint": _fingerprint(mapped(out / INDEX).view(ENTRY), made_by),
            "largest_id": largest_id,
            "index": digest_of(out / INDEX),
            "bytes": {name: (out / name).stat().st_size for name in (ROWS, INDEX)},
        }
        (out / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise WriteFailed(
            f"{out.parent}: the copy of {folder.uri} cannot be written ({reason}). It takes 5 bytes a token: make room "
            "there, or set FIREACT_CACHE to a folder on a larger local disk."
        ) from None
    finally:
        pa.default_memory_pool().release_unused()  # 50 MB and more, which the training would never use


def canonical_order(keys: pa.Array, content: Callable[[int], bytes]) -> Order:
    """By key, then content, then as they come.

    `keys`: binary UTF-8, in which the order of bytes is that of characters.
    """
    sorting = pc.array_sort_indices(keys)  # a stable one
    order: Order = sorting.to_numpy(zero_copy_only=False, writable=True)
    by_key = keys.take(sorting)
    alike = pc.equal(by_key.slice(1), by_key.slice(0, len(by_key) - 1)).to_numpy(zero_copy_only=False)
    edges = np.diff(alike.astype(np.int8), prepend=0, append=0)
    for start, end in zip(np.flatnonzero(edges == 1), np.flatnonzero(edges == -1) + 1, strict=True):
        order[start:end] = sorted(order[start:end].tolist(), key=content)
    return order


def _write_rows(folder: Folder, files: Sequence[StoredFile], out: Path) -> tuple[int, pa.Array]:
    """Records and their entries as the rows are read. Returns the largest of all ids, and the keys."""
    keys = [pa.array([], pa.large_binary())]
    largest_id = 0
    with (out / ROWS).open("wb") as records, (out / _UNSORTED).open("wb") as entries:
        for file in files:
            for read in read_rows(folder, file.name):
                names = [row.trajectory_id.encode() for row in read.rows]
                keys.append(pa.array(names, pa.large_binary()))
                entries.write(_entries(read, list(map(len, names)), records.tell()).tobytes())
                records.writelines(map(encoded, read.rows))
                largest_id = max(largest_id, read.largest_id)
    return largest_id, pa.concat_arrays(keys)


def _write_index(out: Path, keys: pa.Array) -> None:
    entries, content = mapped(out / _UNSORTED).view(ENTRY), mapped(out / ROWS)

    def ids(number: int) -> bytes:
        start, length, *_ = entries[number].item()
        return ids_at(content, start, length).tobytes()

    order = canonical_order(keys, ids)
    with (out / INDEX).open("wb") as stream:
        for at in range(0, len(order), _SORTED_AT_ONCE):
            stream.write(entries[order[at : at + _SORTED_AT_ONCE]].tobytes())
    (out / _UNSORTED).unlink()


def _entries(read: ReadRows, key_bytes: Sequence[int], start: int) -> Entries:
    """Where the records of `read` are written one behind the other, from byte `start` on."""
    entries = np.zeros(len(read.rows), ENTRY)
    entries["length"], entries["trained"], entries["key_bytes"] = read.sizes.lengths, read.sizes.trained, key_bytes
    sizes = record_bytes(entries)
    entries["start"] = start + np.cumsum(sizes) - sizes
    digests = (row_digest(row.trajectory_id, row.input_ids, row.loss_mask) for row in read.rows)
    entries["digest"] = np.frombuffer(b"".join(digests), ENTRY["digest"])
    return entries


def _fingerprint(index: Entries, made_by: str) -> str:
    return dataset_fingerprint((digest.tobytes() for digest in index["digest"]), made_by)
