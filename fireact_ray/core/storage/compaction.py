"""Many small parts in, few large ones out: each key once, each part in the order of its keys, at most 128 MB a part.

Parts are written by the hundred while rollouts finish. At the end neighbours by name become one, so that
each row is read and written once, however many parts there are; one that is large already stays as it is. Which keys
stand in several of the new parts is found first, from the keys alone. New parts are renamed into place, then the
manifest names them, then the old ones go. A death in between leaves rows twice in the folder, never none, and readers
count a key once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa

from fireact_ray.core.errors import DataError
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.folder_files import StoredFile
from fireact_ray.core.storage.rows import TRAJECTORY_SCHEMA, as_stored_now, row_keys
from fireact_ray.core.storage.trajectories import ROWS_PER_GROUP

MAX_PART_BYTES = 128_000_000
_LARGE = 4  # a part of a fourth of that is not written again

Keys = np.ndarray  # (N,) bytes


@dataclass(frozen=True, slots=True)
class Compaction:
    """One new part: the rows of `parts` without those of the keys `elsewhere`, which another new part holds."""

    folder: Folder
    parts: tuple[str, ...]
    elsewhere: tuple[bytes, ...] = ()

    def run(self) -> str:
        """Write the part, whose rows are held in memory twice; returns its name."""
        table = pa.concat_tables(map(as_stored_now, self.folder.each(self.folder.read_table, self.parts)))
        table = table.combine_chunks()
        keys, order = np.unique(row_keys(table), return_index=True)
        order = order[~np.isin(keys, np.array(self.elsewhere, dtype=np.bytes_))]
        groups = (table.take(order[at : at + ROWS_PER_GROUP]) for at in range(0, len(order), ROWS_PER_GROUP))
        first = keys[0].decode() if len(keys) else "none"
        return self.folder.write_part(f"part-{first}", groups, TRAJECTORY_SCHEMA)


@dataclass(frozen=True, slots=True)
class Compactions:
    """`kept`: parts that are large, and in order."""

    made: tuple[Compaction, ...] = ()
    kept: tuple[str, ...] = ()


def compactions_of(folder: Folder, max_part_bytes: int = MAX_PART_BYTES) -> Compactions:
    """What to make of the parts that lie there. Raises DataError where one cannot be read."""
    groups = _neighbours(folder.files(".parquet"), max_part_bytes)
    if len(groups) == 1 and len(groups[0]) > 1:
        return Compactions((Compaction(folder, groups[0]),))
    keys = [_keys_of(folder, parts) for parts in groups]
    made, kept = [], []
    for parts, own, elsewhere in zip(groups, keys, _held_before(keys), strict=True):
        if len(parts) == 1 and not len(elsewhere) and _is_increasing(own):
            kept.append(parts[0])
        elif len(elsewhere) < len(np.unique(own)):
            made.append(Compaction(folder, parts, tuple(elsewhere.tolist())))
    return Compactions(tuple(made), tuple(kept))


def _neighbours(parts: Sequence[StoredFile], max_bytes: int) -> list[tuple[str, ...]]:
    """Parts that become one: large ones alone, the others together up to `max_bytes`, in the order of their names."""
    groups: list[tuple[str, ...]] = [(part.name,) for part in parts if part.n_bytes * _LARGE >= max_bytes]
    small = [part for part in parts if part.n_bytes * _LARGE < max_bytes]
    ends = np.cumsum([0, *(part.n_bytes for part in small)])
    begin = 0
    for at in range(len(small)):
        if ends[at + 1] - ends[begin] > max_bytes:
            groups.append(tuple(part.name for part in small[begin:at]))
            begin = at
    return [*groups, tuple(part.name for part in small[begin:])] if small else groups


def _keys_of(folder: Folder, parts: Sequence[str]) -> Keys:
    tables = folder.each(partial(folder.read_table, columns=["trajectory_id"]), parts)
    return np.concatenate([np.array([], dtype=np.bytes_), *map(row_keys, tables)])


def _held_before(groups: Sequence[Keys]) -> Iterator[Keys]:
    """Of each group those of its keys that a group before it has, too."""
    distinct = [np.unique(keys) for keys in groups]
    found, counts = np.unique(np.concatenate([np.array([], dtype=np.bytes_), *distinct]), return_counts=True)
    several = found[counts > 1]
    taken = several[:0]
    for keys in distinct:
        shared = np.intersect1d(keys, several)
        yield np.intersect1d(shared, taken)
        taken = np.union1d(taken, shared)


def _is_increasing(keys: Keys) -> bool:
    return bool((keys[1:] > keys[:-1]).all())


def drop_compacted(folder: Folder, old: Iterable[str], keep: Iterable[str]) -> None:
    """Delete the parts whose rows stand in the new ones."""
    kept = set(keep)
    if not kept and list(old):
        raise DataError(f"{folder.uri}: no new part is kept for the ones that were compacted")
    folder.delete_all(name for name in old if name not in kept)
