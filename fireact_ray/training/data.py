"""The tokenized dataset on disk and in memory.

A folder of Parquet files with the columns of `rows.EXAMPLE_SCHEMA`, loss_mask 1 = trained, and `manifest.json`
beside them, which names the renderer that made the ids: what a student is trained with is what it must later be
served with, so name and fingerprint travel on into the model's own folder.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from fireact_ray.core.errors import DataError
from fireact_ray.core.storage.artifacts import MANIFEST, read_dataset_manifest
from fireact_ray.core.storage.fingerprint import (
    Ids,
    Mask,
    dataset_fingerprint,
    earlier_of_keys,
    earlier_of_rows,
    row_digest,
)
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.rows import EXAMPLE_SCHEMA


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
    fingerprint: str  # of all rows and the renderer (core.storage.fingerprint)

    @property
    def earlier_of_keys(self) -> str:
        """What the inputs of a training by an earlier version call this dataset."""
        return earlier_of_keys((row.trajectory_id for row in self.rows), self.renderer_fingerprint)

    @property
    def earlier_of_rows(self) -> str:
        """What checkpoints and models of an earlier version call this dataset."""
        rows = ((row.trajectory_id, row.input_ids, row.loss_mask) for row in self.rows)
        return earlier_of_rows(rows, self.renderer_fingerprint)


def load_dataset(folder: str | Path) -> TokenDataset:
    """Read the whole dataset into memory. Raises DataError for what cannot be trained on, naming the row."""
    folder = Path(folder)
    manifest = read_dataset_manifest(Folder(str(folder)), "renderer", "renderer_fingerprint")
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
    made_by = manifest["renderer_fingerprint"]
    digests = (row_digest(row.trajectory_id, row.input_ids, row.loss_mask) for row in rows)
    data = TokenDataset(tuple(rows), manifest["renderer"], made_by, dataset_fingerprint(digests, made_by))
    named = manifest.get("fingerprint", data.fingerprint)  # datasets made elsewhere may name none
    if named != data.fingerprint and named != data.earlier_of_keys:
        raise DataError(
            f"{folder}: its rows are not those that its {MANIFEST} names: their fingerprint is {data.fingerprint}, not "
            f"{named}. Convert the trajectories again."
        )
    return data


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
