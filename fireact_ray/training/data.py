"""The tokenized dataset on disk and in memory.

A folder of Parquet files with the columns of `rows.EXAMPLE_SCHEMA`, loss_mask 1 = trained, and `manifest.json`
beside them, which names the renderer that made the ids: what a student is trained with is what it must later be
served with, so name and fingerprint travel on into the model's own folder.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from fireact_ray.core.errors import DataError
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.names import MANIFEST
from fireact_ray.core.storage.rows import EXAMPLE_SCHEMA

Ids = np.ndarray[tuple[int], np.dtype[np.int32]]
Mask = np.ndarray[tuple[int], np.dtype[np.int8]]


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
class TokenDataset:
    """Rows in canonical order (id, then content), so that neither file names nor part sizes change a run."""

    rows: tuple[Row, ...]
    renderer: str
    renderer_fingerprint: str
    fingerprint: str  # of all rows and the renderer


def load_dataset(folder: str | Path) -> TokenDataset:
    """Read the whole dataset into memory. Raises DataError for what cannot be trained on, naming the row."""
    folder = Path(folder)
    renderer, renderer_fingerprint = _read_card(folder)
    files = sorted(folder.rglob("*.parquet"))
    rows = sorted(
        (row for file in files for row in _read_rows(file)),
        key=lambda row: (row.trajectory_id, row.input_ids.tobytes()),
    )
    if not rows:
        raise DataError(f"{folder}: no rows in {len(files)} Parquet files. Convert trajectories into it first.")
    for row in rows:
        if not row.n_trained:
            raise DataError(f"{folder}: row {row.trajectory_id} has no trained token (loss_mask 1 after its start).")
    digest = hashlib.sha256(renderer_fingerprint.encode())
    for row in rows:
        digest.update(f"{row.trajectory_id} {len(row.input_ids)}".encode())
        digest.update(row.input_ids.tobytes())
        digest.update(row.loss_mask.tobytes())
    return TokenDataset(tuple(rows), renderer, renderer_fingerprint, digest.hexdigest()[:16])


def _read_card(folder: Path) -> tuple[str, str]:
    file = folder / MANIFEST
    if not file.is_file():
        raise DataError(f"{folder}: no {MANIFEST}, so this dataset is unfinished. Convert the trajectories again.")
    card = Folder(str(folder)).read_json(MANIFEST)
    missing = [key for key in ("renderer", "renderer_fingerprint") if not card.get(key)]
    if missing:
        raise DataError(f"{file}: no value for {missing}. Convert the trajectories again.")
    return card["renderer"], card["renderer_fingerprint"]


def _read_rows(file: Path) -> Iterator[Row]:
    table = pq.read_table(file)
    if missing := sorted(set(EXAMPLE_SCHEMA.names) - set(table.column_names)):
        raise DataError(f"{file}: no columns {missing}. Found: {', '.join(table.column_names)}.")
    table = table.select(EXAMPLE_SCHEMA.names).cast(EXAMPLE_SCHEMA)
    for trajectory_id, ids, mask, length in zip(*table.columns, strict=True):
        if not (ids.is_valid and mask.is_valid):
            raise DataError(f"{file}: row {trajectory_id} has no input_ids or no loss_mask.")
        # .values is a view of the file's own buffer: no Python int per token is ever made.
        row = Row(str(trajectory_id), ids.values.to_numpy(), mask.values.to_numpy())
        if not len(row.input_ids) == len(row.loss_mask) == length.as_py():
            raise DataError(
                f"{file}: row {row.trajectory_id} has {len(row.input_ids)} ids, but {len(row.loss_mask)} mask values "
                f"and length {length}."
            )
        if not np.isin(row.loss_mask, (0, 1)).all():
            raise DataError(f"{file}: row {row.trajectory_id} has mask values other than 0 and 1.")
        yield row
