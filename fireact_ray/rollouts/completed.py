"""What a run already holds: the keys of its written rows, which of them are accepted, and sums over them.

Rows are read by column, a part at a time, so that a million of them are no matter; a key of two parts counts once.
`read_written` is strict, for a run that goes on; `read_totals` reads what can be read and says what cannot.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fireact_ray.core.errors import DataError
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.rows import row_keys
from fireact_ray.core.types import FAILURES, StopReason, Trajectory, error_class

_COLUMNS = pa.schema(  # that are summed
    [
        ("trajectory_id", pa.string()),
        ("method", pa.string()),
        ("stop_reason", pa.string()),
        ("error", pa.string()),
        ("exact_match", pa.float64()),
        ("prompt_tokens", pa.int64()),
        ("completion_tokens", pa.int64()),
        ("cost_usd", pa.float64()),
    ]
)
Made = TypeVar("Made")

_NO_KEYS = np.array([], dtype=np.bytes_)


def is_accepted(trajectory: Trajectory) -> bool:
    """It finished, and its answer is not known to be wrong."""
    finished = trajectory.stop_reason is StopReason.FINISHED
    return finished and (trajectory.score is None or trajectory.score.exact_match == 1.0)


def accepted_rows(rows: pa.Table) -> pa.Array:
    """The same per row of `stop_reason` and `exact_match`."""
    finished = pc.equal(rows["stop_reason"], str(StopReason.FINISHED))
    not_wrong = pc.fill_null(pc.equal(rows["exact_match"], 1.0), True)
    return pc.and_(finished, not_wrong).combine_chunks()


@dataclass(frozen=True)
class Written:
    """Rows that a run already holds, compactly: 17 bytes a row."""

    ids: np.ndarray  # (N,) bytes, sorted
    accepted: np.ndarray  # (N,) bool

    @classmethod
    def of(cls, rows: Mapping[str, bool]) -> Written:
        """From key -> accepted."""
        ids = np.array([key.encode() for key in rows], dtype=np.bytes_)
        order = np.argsort(ids)
        return cls(ids[order], np.fromiter(rows.values(), dtype=np.bool_, count=len(rows))[order])

    def find(self, keys: Sequence[str]) -> list[bool | None]:
        """Per key: accepted, not accepted, or None where it is not written."""
        if not len(self.ids) or not keys:
            return [None] * len(keys)
        asked = np.array([key.encode() for key in keys], dtype=np.bytes_)
        at = np.minimum(np.searchsorted(self.ids, asked), len(self.ids) - 1)
        there = self.ids[at] == asked
        return [bool(self.accepted[i]) if found else None for i, found in zip(at, there, strict=True)]

    def without(self, keys: Collection[str]) -> Written:
        """The others."""
        if not keys:
            return self
        kept = ~np.isin(self.ids, np.array(sorted(key.encode() for key in keys), dtype=np.bytes_))
        return Written(self.ids[kept], self.accepted[kept])

    def __contains__(self, key: str) -> bool:
        asked = np.bytes_(key.encode())
        if asked.itemsize > self.ids.itemsize:
            return False  # to compare it, numpy would widen all ids
        at = self.ids.searchsorted(asked)
        return bool(at < len(self.ids) and self.ids[at] == asked)

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(slots=True)
class Totals:
    """Sums over written rows. `failed`: those that failed, by the class of their error; `accepted`: by method;
    `unpriced`: rows whose cost is unknown; `repeated`: rows whose key was read before; they are in no other sum."""

    by_reason: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    accepted: Counter[str] = field(default_factory=Counter)
    correct: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float = 0.0
    unpriced: int = 0
    repeated: int = 0

    def add(self, rows: pa.Table, ok: pa.Array) -> None:
        self.by_reason.update(_counts(rows["stop_reason"]))
        self.failed.update(_failed(rows))
        self.accepted.update(_counts(rows["method"].filter(ok)))
        self.correct += pc.sum(pc.equal(rows["exact_match"], 1.0)).as_py() or 0
        self.prompt_tokens += pc.sum(rows["prompt_tokens"]).as_py() or 0
        self.completion_tokens += pc.sum(rows["completion_tokens"]).as_py() or 0
        self.cost_usd += pc.sum(rows["cost_usd"]).as_py() or 0.0
        self.unpriced += rows["cost_usd"].null_count


def read_written(folder: Folder) -> tuple[Written, Counter[str]]:
    """The rows that a folder holds, each once, and how many are accepted by method.

    Raises DataError where a part cannot be read.
    """
    ids, states, methods = [_NO_KEYS], [np.array([], dtype=np.bool_)], [_NO_KEYS]
    for table in folder.read_tables(["trajectory_id", "method", "stop_reason", "exact_match"]):
        ids.append(row_keys(table))
        methods.append(np.array(table["method"].to_pylist(), dtype=np.bytes_))
        states.append(accepted_rows(table).to_numpy(zero_copy_only=False))
    keys, first = np.unique(np.concatenate(ids), return_index=True)
    accepted = np.concatenate(states)[first]
    names, counts = np.unique(np.concatenate(methods)[first][accepted], return_counts=True)
    by_method = {name.decode(): int(n) for name, n in zip(names.tolist(), counts, strict=True)}
    return Written(keys, accepted), Counter(by_method)


def read_totals(folder: Folder) -> tuple[Written, Totals, list[str]]:
    """Which rows are written, their sums, and what is wrong with the parts.

    Of all rows only the keys are held: they say of each part, when it is read again, which of its rows are new.
    """
    keys, problems = _keys(folder)
    ids = np.unique(np.concatenate([_NO_KEYS, *keys.values()]))
    seen, accepted = np.zeros(len(ids), dtype=np.bool_), np.zeros(len(ids), dtype=np.bool_)
    totals = Totals()
    for piece in _again(folder, keys, problems):
        at, first = np.unique(np.searchsorted(ids, row_keys(piece)), return_index=True)
        new = ~seen[at]
        rows = piece.take(pa.array(first[new]))
        ok = accepted_rows(rows)
        totals.add(rows, ok)
        seen[at], accepted[at[new]] = True, ok.to_numpy(zero_copy_only=False)
        totals.repeated += len(piece) - len(rows)
    return Written(ids[seen], accepted[seen]), totals, problems


def _keys(folder: Folder) -> tuple[dict[str, np.ndarray], list[str]]:
    """By part that can be read whole, and what is wrong with the others."""
    names = folder.names(".parquet")
    found = dict(zip(names, folder.each(lambda name: _or_problem(folder, name, row_keys), names), strict=True))
    keys = {name: one for name, one in found.items() if not isinstance(one, str)}
    return keys, [one for one in found.values() if isinstance(one, str)]


def _again(folder: Folder, names: Iterable[str], problems: list[str]) -> Iterator[pa.Table]:
    """The rows of these parts; one that has gone since is a problem."""
    for piece in folder.each(lambda name: _or_problem(folder, name, lambda rows: rows), names):
        if isinstance(piece, str):
            problems.append(piece)
        else:
            yield piece


def _or_problem(folder: Folder, name: str, made: Callable[[pa.Table], Made]) -> Made | str:
    """What is made of a part's summed columns, or why it cannot be read."""
    try:
        return made(folder.read_table(name, _COLUMNS.names).cast(_COLUMNS))
    except DataError as error:
        return str(error)


def _counts(values: pa.Array) -> dict[str, int]:
    return {entry["values"]: entry["counts"] for entry in pc.value_counts(values).to_pylist()}


def _failed(rows: pa.Table) -> dict[str, int]:
    """By the class of the error, or by the reason where none is named."""
    failed = rows.filter(pc.is_in(rows["stop_reason"], pa.array(FAILURES)))
    kinds: Counter[str] = Counter()
    for reason, error in zip(failed["stop_reason"].to_pylist(), failed["error"].to_pylist(), strict=True):
        kinds[error_class(error) or reason] += 1
    return dict(kinds)
