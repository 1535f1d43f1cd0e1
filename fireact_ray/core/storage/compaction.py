"""Many small parts in, few large ones out: each key once, in the order of the keys, at most 128 MB a part.

Parts are written by the hundred while rollouts finish. At the end they are compacted: new parts are renamed into
place, then the manifest names them, then the old ones go. A death in between leaves rows twice in the folder, never
none, and readers count a key once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fireact_ray.core.errors import DataError
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.rows import TRAJECTORY_SCHEMA, as_stored_now, row_keys
from fireact_ray.core.storage.trajectories import ROWS_PER_GROUP

MAX_PART_BYTES = 128_000_000
_KEYSPACE = 1 << 32  # keys are hashes: their first eight hex digits are spread evenly


@dataclass(frozen=True, slots=True)
class Compaction:
    """One new part: all rows of `parts` whose key lies from `first` up to `last` (None: no bound)."""

    folder: Folder
    parts: tuple[str, ...]
    first: str | None
    last: str | None

    def run(self) -> str:
        """Write the part, whose rows are held in memory twice; returns its name."""
        table = pa.concat_tables([self._rows_of(part) for part in self.parts]).combine_chunks()
        _, order = np.unique(row_keys(table), return_index=True)
        groups = (table.take(order[at : at + ROWS_PER_GROUP]) for at in range(0, len(order), ROWS_PER_GROUP))
        return self.folder.write_part(f"part-{self.first or 'first'}", groups, TRAJECTORY_SCHEMA)

    def _rows_of(self, part: str) -> pa.Table:
        table = as_stored_now(self.folder.read_table(part))
        if self.first is not None:
            table = table.filter(pc.greater_equal(table["trajectory_id"], self.first))
        if self.last is not None:
            table = table.filter(pc.less(table["trajectory_id"], self.last))
        return table


def compactions_of(folder: Folder, max_part_bytes: int = MAX_PART_BYTES) -> list[Compaction]:
    """One compaction per new part; none where the folder is empty."""
    parts = tuple(folder.names(".parquet"))
    n_bytes = sum(folder.size(part) for part in parts)
    n_parts = -(-n_bytes // max_part_bytes)
    bounds = [None, *(f"{_KEYSPACE * i // n_parts:08x}" for i in range(1, n_parts)), None]
    return [Compaction(folder, parts, first, last) for first, last in pairwise(bounds)] if parts else []


def drop_compacted(folder: Folder, old: Iterable[str], keep: Iterable[str]) -> None:
    """Delete the parts whose rows stand in the new ones."""
    kept = set(keep)
    if not kept and list(old):
        raise DataError(f"{folder.uri}: no new part is kept for the ones that were compacted")
    for name in old:
        if name not in kept:
            folder.delete(name)
