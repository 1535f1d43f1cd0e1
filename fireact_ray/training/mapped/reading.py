"""The Parquet files of a dataset: columns of `rows.EXAMPLE_SCHEMA`, loss_mask 1 = trained. A few rows at a time, each
of them checked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from fireact_ray.core.errors import DataError
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.rows import EXAMPLE_SCHEMA
from fireact_ray.training.data import Row, Sizes

_ROWS_AT_ONCE = 512
_READ_BYTES = 1 << 22  # of a column at once

Starts = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class ReadRows:
    """Neighbours in a file. Rows are views of what was read: no Python int per token is ever made."""

    rows: list[Row]
    sizes: Sizes
    largest_id: int


def read_rows(folder: Folder, name: str) -> Iterator[ReadRows]:
    """All rows of a file, in their order. Raises DataError where it cannot be read, or holds a row that cannot be
    trained on."""
    place = (folder / name).uri
    for table in _tables(folder, name, place):
        if table.num_rows:
            yield _checked(table, place)


def _tables(folder: Folder, name: str, place: str) -> Iterator[pa.Table]:
    try:
        with folder.opened(name) as file:
            parquet = pq.ParquetFile(file, buffer_size=_READ_BYTES)
            found = parquet.schema_arrow.names
            if missing := sorted(set(EXAMPLE_SCHEMA.names) - set(found)):
                raise DataError(f"{place}: no columns {missing}. Found: {', '.join(found)}.")
            for batch in parquet.iter_batches(_ROWS_AT_ONCE, columns=EXAMPLE_SCHEMA.names):
                yield pa.Table.from_batches([batch]).select(EXAMPLE_SCHEMA.names).cast(EXAMPLE_SCHEMA)
    except (pa.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())
        raise DataError(
            f"{place}: cannot be read as a dataset's rows ({reason}). Convert again, or restore it."
        ) from None


def _checked(table: pa.Table, place: str) -> ReadRows:
    keys, *lists, stored_lengths = (column.combine_chunks() for column in table.columns)
    names = [str(key) for key in keys.to_pylist()]

    def demand(right: npt.NDArray[np.bool_], what: str, starts: Starts | None = None) -> None:
        """`right`: of each row, or, with `starts`, of each value. `what`: is wrong with its row."""
        wrong = np.flatnonzero(~right)
        if len(wrong):
            row = int(wrong[0] if starts is None else np.searchsorted(starts, wrong[0], side="right") - 1)
            raise DataError(f"{place}: row {names[row]} {what}.")

    for column in lists:
        demand(_bools(column.is_valid()), "has no input_ids or no loss_mask")
    (ids, starts), (mask, mask_starts) = map(_flat, lists)
    demand(_bools(ids.is_valid()), "has a null among its input_ids", starts)
    demand(_bools(mask.is_valid()), "has a null in its loss_mask", mask_starts)
    lengths = np.diff(starts)
    for name, *found in zip(names, lengths, np.diff(mask_starts), stored_lengths.to_pylist(), strict=True):
        if not found[0] == found[1] == found[2]:
            raise DataError("{}: row {} has {} ids, but {} mask values and length {}.".format(place, name, *found))
    ids, mask = ids.to_numpy(), mask.to_numpy()
    demand(ids >= 0, "has a token id below 0", starts)
    demand((mask == 0) | (mask == 1), "has mask values other than 0 and 1", starts)
    before = np.concatenate([[0], np.cumsum(mask, dtype=np.int32)])  # trained tokens before each token
    trained = before[starts[1:]] - before[np.minimum(starts[:-1] + 1, starts[1:])]
    demand(trained > 0, "has no trained token (loss_mask 1 after its start)")
    rows = map(Row, names, np.split(ids, starts[1:-1]), np.split(mask, starts[1:-1]))
    return ReadRows(list(rows), Sizes(lengths, trained), int(ids.max()))


def _bools(column: pa.Array) -> npt.NDArray[np.bool_]:
    values: npt.NDArray[np.bool_] = column.to_numpy(zero_copy_only=False)
    return values


def _flat(column: pa.ListArray) -> tuple[pa.Array, Starts]:
    """All values, and where those of each row begin; (N + 1,), the last is their end."""
    offsets = column.offsets.to_numpy()
    return column.flatten(), offsets - offsets[0]
