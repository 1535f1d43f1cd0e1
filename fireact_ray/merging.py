"""Many small parts in, few large ones out: each key once, in the order of the keys, at most 128 MB a part.

Parts land by the hundred while rollouts finish. When all have landed they are merged: new parts are renamed into place,
then the manifest names them, then the old ones go. A death in between leaves rows twice in the folder, never none, and
readers count a key once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise

import pyarrow as pa
import pyarrow.compute as pc

from fireact_ray.errors import DataError
from fireact_ray.hashing import content_hash
from fireact_ray.rows import TRAJECTORY_SCHEMA
from fireact_ray.store import Folder

MAX_PART_BYTES = 128_000_000
_KEYSPACE = 1 << 32  # keys are hashes: their first eight hex digits are spread evenly


@dataclass(frozen=True, slots=True)
class Merge:
    """One new part: all rows of `parts` whose key lies from `first` up to `last` (None: no bound)."""

    folder: Folder
    parts: tuple[str, ...]
    first: str | None
    last: str | None

    @property
    def name(self) -> str:
        return f"part-{content_hash([self.parts, self.first], 12)}.parquet"

    def run(self) -> tuple[str, int]:
        """Write the part; returns its name and its number of rows."""
        tables = [self._rows_of(part) for part in self.parts]
        table = pa.concat_tables(tables).sort_by("trajectory_id")
        keys = table["trajectory_id"].combine_chunks()
        if len(keys):
            first_of_its_key = pc.not_equal(keys[1:], keys[:-1])
            table = table.filter(pa.concat_arrays([pa.array([True]), first_of_its_key]))
        self.folder.write_table(self.name, table)
        return self.name, table.num_rows

    def _rows_of(self, part: str) -> pa.Table:
        table = self.folder.read_table(part).cast(TRAJECTORY_SCHEMA)
        if self.first is not None:
            table = table.filter(pc.greater_equal(table["trajectory_id"], self.first))
        if self.last is not None:
            table = table.filter(pc.less(table["trajectory_id"], self.last))
        return table


Runner = Callable[[list[Merge]], Iterable[tuple[str, int]]]


def plan_merges(folder: Folder, max_part_bytes: int = MAX_PART_BYTES) -> list[Merge]:
    """One merge per new part; none where the folder is empty."""
    parts = tuple(folder.names(".parquet"))
    n_bytes = sum(folder.size(part) for part in parts)
    n_parts = -(-n_bytes // max_part_bytes)
    bounds = [None, *(f"{_KEYSPACE * i // n_parts:08x}" for i in range(1, n_parts)), None]
    return [Merge(folder, parts, first, last) for first, last in pairwise(bounds)] if parts else []


def run_here(merges: list[Merge]) -> Iterable[tuple[str, int]]:
    """One after another in this process."""
    return [merge.run() for merge in merges]


def drop_merged(folder: Folder, merged: Iterable[str], keep: Iterable[str]) -> None:
    """Delete the parts whose rows stand in the new ones."""
    kept = set(keep)
    if not kept and list(merged):
        raise DataError(f"{folder.uri}: nothing is kept of the parts that were merged")
    for name in merged:
        if name not in kept:
            folder.delete(name)
