"""A row of a tokenized dataset, and how long rows are: all that planning needs to know of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from fireact_ray.core.storage.fingerprint import Ids, Mask

Counts = np.ndarray[tuple[int], np.dtype[np.int32]]


@dataclass(frozen=True, slots=True)
class Row:
    trajectory_id: str
    input_ids: Ids  # (T,)
    loss_mask: Mask  # (T,), 1 = trained

    @property
    def n_trained(self) -> int:
        """Tokens with a loss. Nothing predicts the first token of a row, so it never counts."""
        return int(self.loss_mask[1:].sum())


@dataclass(frozen=True, slots=True)
class Sizes:
    """Of rows, in their order. (N,) tokens, and those of them with a loss."""

    lengths: Counts
    trained: Counts

    @classmethod
    def of(cls, rows: Iterable[Row]) -> Sizes:
        pairs = [(len(row.input_ids), row.n_trained) for row in rows]
        lengths, trained = np.array(pairs, dtype=np.int32).reshape(-1, 2).T
        return cls(lengths, trained)

    def __len__(self) -> int:
        return len(self.lengths)


class NumberedRows(Protocol):
    """Rows by their numbers, wherever they are."""

    def __len__(self) -> int: ...
    def __getitem__(self, number: int, /) -> Row: ...


class Rows(NumberedRows, Protocol):
    """And how long they are."""

    sizes: Sizes


class ChosenRows:
    """Some of `rows`, in the order of `numbers`, (N,)."""

    def __init__(self, rows: Rows, numbers: npt.NDArray[np.int64]) -> None:
        self._rows, self._numbers = rows, numbers
        self.sizes = Sizes(rows.sizes.lengths[numbers], rows.sizes.trained[numbers])

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, number: int) -> Row:
        return self._rows[int(self._numbers[number])]
