"""Rows that failed for a reason outside the agent are pending again on the next run, a bounded number of times.

A run begins by taking such rows out of its parts. `retries.parquet` says how often each was taken out, and is written
first: a death in between counts one retry too many, and loses no row.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import groupby

import pyarrow as pa
import pyarrow.compute as pc

from fireact_ray.core.storage.artifacts import MANIFEST
from fireact_ray.core.storage.folder import Folder, RowGroup
from fireact_ray.core.storage.rows import TRAJECTORY_SCHEMA, as_stored_now
from fireact_ray.core.types import FAILURES
from fireact_ray.rollouts.plan import PLAN

FILE = "retries.parquet"
_SCHEMA = pa.schema([("trajectory_id", pa.string()), ("retries", pa.int32())])
# A provider that withholds its reply to a question has answered it: asking again buys the same.
_OF_THE_QUESTION = r"^(ReplyWithheld|PromptFlagged)\b"


@dataclass(frozen=True)
class Failures:
    """Rows that stand in the parts of a run as failed, by key. `retries`: how often each was retried before."""

    retries: dict[str, int]

    def retryable(self, max_retries: int | None) -> frozenset[str]:
        """`max_retries` None: any number."""
        return frozenset(key for key, n in self.retries.items() if max_retries is None or n < max_retries)


def read_failures(home: Folder) -> Failures:
    failed = {key for _, table in _tables(home) for key in table["trajectory_id"].filter(_failed(table)).to_pylist()}
    counts = read_counts(home) if failed else {}
    return Failures({key: counts.get(key, 0) for key in failed})


def planned_of(home: Folder, keys: frozenset[str]) -> frozenset[str]:
    """Those of the keys that the run's plan holds: an imported row cannot be run again."""
    if not keys or not home.exists(PLAN):
        return frozenset()
    wanted = pa.array(sorted(keys))
    batches = (batch["trajectory_id"] for batch in home.read_batches(PLAN, ["trajectory_id"]))
    return frozenset(key for ids in batches for key in ids.filter(pc.is_in(ids, wanted)).to_pylist())


def take_out(home: Folder, keys: frozenset[str]) -> None:
    """Make failed rows pending: remove them from the parts and count the retry."""
    if not keys:
        return
    counts = read_counts(home)
    counts |= {key: counts.get(key, 0) + 1 for key in keys}
    columns = [list(counts), list(counts.values())]
    home.write_table(FILE, pa.table(columns, schema=_SCHEMA))
    folder, wanted = home / "trajectories", pa.array(sorted(keys))
    groups = {part: list(found) for part, found in groupby(folder.row_groups(), key=lambda group: group.part)}
    folder.delete(MANIFEST)  # without one the folder counts as unfinished
    for name, table in _tables(home):
        gone = _gone(table, wanted)
        if not pc.any(gone).as_py():
            continue
        if not pc.all(gone).as_py():
            folder.write_part(name.rpartition("-")[0], _rest(groups[name], wanted), TRAJECTORY_SCHEMA)
        folder.delete(name)


def _rest(groups: Iterable[RowGroup], keys: pa.Array) -> Iterator[pa.Table]:
    """A part's rows without these, a row group at a time."""
    for group in groups:
        table = as_stored_now(group.read())
        yield table.filter(pc.invert(_gone(table, keys)))


def _gone(table: pa.Table, keys: pa.Array) -> pa.ChunkedArray:
    return pc.and_(_failed(table), pc.is_in(table["trajectory_id"], keys))


def _failed(table: pa.Table) -> pa.ChunkedArray:
    of_question = pc.fill_null(pc.match_substring_regex(table["error"], _OF_THE_QUESTION), False)
    return pc.and_not(pc.is_in(table["stop_reason"], pa.array(FAILURES)), of_question)


def _tables(home: Folder) -> Iterator[tuple[str, pa.Table]]:
    folder = home / "trajectories"
    names = folder.names(".parquet")
    read = partial(folder.read_table, columns=["trajectory_id", "stop_reason", "error"])
    return zip(names, folder.each(read, names), strict=True)


def read_counts(home: Folder) -> dict[str, int]:
    """How often each row was retried, by key; rows that never were have none."""
    if not home.exists(FILE):
        return {}
    table = home.read_table(FILE)
    return dict(zip(table["trajectory_id"].to_pylist(), table["retries"].to_pylist(), strict=True))
