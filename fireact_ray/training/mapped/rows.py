"""The files of a copy, and the rows in them: mapped, checked as they are read, never all in memory.

rows.bin        a record per row, as they were read: ids (4 bytes a token), mask (1), key, filled up to 4 bytes
index.bin       an ENTRY per row, in canonical order
manifest.json   written last: which dataset it is a copy of, counts, the digest of the index, sizes
"""

from __future__ import annotations

import hashlib
import mmap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from fireact_ray.core.errors import DataError
from fireact_ray.core.json_text import NotJson, parse
from fireact_ray.core.storage.fingerprint import DIGEST_BYTES, row_digest
from fireact_ray.training.data import Row, Sizes

ROWS, INDEX, MANIFEST = "rows.bin", "index.bin", "manifest.json"
ALIGNED = 4  # bytes: where a record may begin, so that its ids can be seen as they are
ENTRY = np.dtype(
    [("start", "<i8"), ("length", "<i4"), ("trained", "<i4"), ("key_bytes", "<i4"), ("digest", f"V{DIGEST_BYTES}")]
)
OF_ANOTHER = "the dataset is another by now"
_CHUNK_BYTES = 1 << 20

Bytes = npt.NDArray[np.uint8]
Entries = npt.NDArray[np.void]  # (N,)


def encoded(row: Row) -> bytes:
    """Its record."""
    record = row.input_ids.tobytes() + row.loss_mask.tobytes() + row.trajectory_id.encode()
    return record + bytes(-len(record) % ALIGNED)


def record_bytes(entries: Entries) -> npt.NDArray[np.int64]:
    """(N,) how long their records are."""
    sizes: npt.NDArray[np.int64] = 5 * entries["length"].astype(np.int64) + entries["key_bytes"]
    return sizes + -sizes % ALIGNED


def ids_at(content: Bytes, start: int, length: int) -> npt.NDArray[np.int32]:
    return content[start : start + 4 * length].view(np.int32)


class MappedRows(Sequence[Row]):
    """The rows of a copy in canonical order. What is read of it is a view; its pages are the machine's, not ours."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._index = mapped(folder / INDEX).view(ENTRY)
        self._content = mapped(folder / ROWS)
        self._manifest: dict[str, Any] = parse((folder / MANIFEST).read_bytes())
        self.sizes = Sizes(self._index["length"], self._index["trained"])

    def __len__(self) -> int:
        return len(self._index)

    @overload
    def __getitem__(self, number: int) -> Row: ...
    @overload
    def __getitem__(self, number: slice) -> Sequence[Row]: ...
    def __getitem__(self, number: int | slice) -> Row | Sequence[Row]:
        """Raises DataError where the row is not the one that was written."""
        if isinstance(number, slice):
            return [self[i] for i in range(*number.indices(len(self)))]
        start, length, _, key_bytes, digest = self._index[number].item()
        ids, mask, end = ids_at(self._content, start, length), start + 4 * length, start + 5 * length
        key = self._content[end : end + key_bytes].tobytes().decode("utf-8", "replace")
        row = Row(key, ids, self._content[mask:end].view(np.int8))
        if row_digest(key, row.input_ids, row.loss_mask) != digest:
            raise DataError(
                f"{self._folder / ROWS}: row {number} is not what was written there. Delete {self._folder}, and run "
                "the same command again: it is made anew."
            )
        return row

    def __iter__(self) -> Iterator[Row]:
        return (self[number] for number in range(len(self)))

    @property
    def fingerprint(self) -> str:
        """Of all rows and the renderer (core.storage.fingerprint)."""
        return str(self._manifest["fingerprint"])

    @property
    def largest_id(self) -> int:
        return int(self._manifest["largest_id"])


def damage_of(folder: Path, source: str) -> str | None:
    """Why it is no whole copy of what `source` names; None where it is. Rows are checked where they are read."""
    try:
        manifest = parse((folder / MANIFEST).read_bytes())
        if manifest["source"] != source:
            return OF_ANOTHER
        for name, n_bytes in manifest["bytes"].items():
            if (found := (folder / name).stat().st_size) != n_bytes:
                return f"{name} has {found} of {n_bytes} bytes"
        if digest_of(folder / INDEX) != manifest["index"]:
            return f"{INDEX} is not what was written"
    except FileNotFoundError as error:
        return f"{Path(error.filename).name} is missing"
    except (NotJson, KeyError, TypeError, AttributeError):
        return f"{MANIFEST} cannot be read"
    return None


def digest_of(file: Path) -> str:
    digest = hashlib.blake2b(digest_size=DIGEST_BYTES)
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def mapped(file: Path) -> Bytes:
    """Its bytes, read only, a page at a time and only where they are looked at."""
    with file.open("rb") as stream:
        pages = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    pages.madvise(mmap.MADV_RANDOM)  # no pages beyond these are fetched: what is looked at next lies elsewhere
    return np.frombuffer(pages, dtype=np.uint8)
