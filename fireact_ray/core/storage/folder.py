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

What is written is in its place whole or not at all (core.storage.folder_files). Parts are named by their checksum. A
folder's `manifest.json` is written last: it holds the counts and the inputs that made them. Asking for other inputs in
an old folder is refused, by field name.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fireact_ray.core.errors import DataError
from fireact_ray.core.storage.buckets import StoreError
from fireact_ray.core.storage.folder_files import FolderFiles

_CHECKSUM = re.compile(r"^part-.*-([0-9a-f]{8})\.parquet$")


@dataclass(frozen=True)
class Folder(FolderFiles):
    """Its files, and the tables in them."""

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
            return f"{self.crc32(name):08x}" == named.group(1)
        try:
            self.read_table(name)
        except DataError:
            return False
        return True

    def read_table(self, name: str, columns: list[str] | None = None) -> pa.Table:
        """One Parquet file. Raises DataError where it is not a whole one."""
        filesystem, path = (self / name)._resolve()
        with self._reading(name), filesystem.open_input_file(path) as file:
            return pq.read_table(file, columns=columns)

    def read_batches(self, name: str, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
        """The same of a file of any size, a part at a time."""
        filesystem, path = (self / name)._resolve()
        with self._reading(name), filesystem.open_input_file(path) as file:
            yield from pq.ParquetFile(file).iter_batches(columns=columns)

    @contextmanager
    def _reading(self, name: str) -> Iterator[None]:
        try:
            yield
        except StoreError:  # which says nothing about the file
            raise
        except (pa.ArrowException, OSError) as error:
            reason = " ".join(str(error).split())
            raise DataError(
                f"{self.uri}/{name}: not a readable Parquet file ({reason}). "
                "`fireact generate` sets it aside and makes its rows again."
            ) from None

    def read_tables(self, columns: list[str] | None = None) -> Iterator[pa.Table]:
        """Every Parquet part, as `read_table` does."""
        return self.each(partial(self.read_table, columns=columns), self.names(".parquet"))

    def row_groups(self) -> list[RowGroup]:
        """Of every Parquet part: what can be read by itself."""
        return list(chain.from_iterable(self.each(self._groups_of, self.names(".parquet"))))

    def _groups_of(self, name: str) -> list[RowGroup]:
        filesystem, path = (self / name)._resolve()
        with self._reading(name), filesystem.open_input_file(path) as file:
            about = pq.read_metadata(file)
        return [
            RowGroup(self, name, number, about.row_group(number).num_rows) for number in range(about.num_row_groups)
        ]

    def read_schema(self, name: str) -> pa.Schema:
        """Raises DataError where it is no whole Parquet file."""
        filesystem, path = (self / name)._resolve()
        with self._reading(name), filesystem.open_input_file(path) as file:
            return pq.read_schema(file)


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
