"""A dataset's folder, on any filesystem, to rows that are mapped from this machine's own copy.

Parquet is compressed, so that it cannot be mapped. The first worker of a machine copies the rows into the cache
(core.storage.node_cache), one folder for each dataset; the others wait for it, and all of them, and later runs, map
what it has written. A copy is of the files as they were found (names, sizes, times) and of what the manifest says of
them: where any of it has changed, or a file of the copy, it is made anew.
"""

from __future__ import annotations

import logging
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from fireact_ray.core.errors import DataError
from fireact_ray.core.hashing import content_hash
from fireact_ray.core.secrets import redact
from fireact_ray.core.storage.artifacts import MANIFEST, read_dataset_manifest
from fireact_ray.core.storage.fingerprint import earlier_of_keys, earlier_of_rows
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.node_cache import default_cache_dir, held, held_if_unused
from fireact_ray.training.files import whole_folder
from fireact_ray.training.mapped.making import make_copy
from fireact_ray.training.mapped.rows import OF_ANOTHER, MappedRows, damage_of

log = logging.getLogger(__name__)

_VERSION = 1  # another one where the files of a copy change
_COPIES = "rows"  # below the cache
_COPY = "copy"
_UNUSED_S = 30 * 86_400.0


@dataclass(frozen=True, slots=True)
class TokenDataset:
    """Rows in canonical order (id, then content), so that neither file names nor part sizes change a run."""

    rows: MappedRows
    renderer: str
    renderer_fingerprint: str

    @property
    def fingerprint(self) -> str:
        return self.rows.fingerprint

    @property
    def earlier_of_keys(self) -> str:
        """What the inputs of a training by an earlier version call this dataset. Reads all rows."""
        return earlier_of_keys((row.trajectory_id for row in self.rows), self.renderer_fingerprint)

    @property
    def earlier_of_rows(self) -> str:
        """What checkpoints and models of an earlier version call this dataset. Reads all rows."""
        rows = ((row.trajectory_id, row.input_ids, row.loss_mask) for row in self.rows)
        return earlier_of_rows(rows, self.renderer_fingerprint)


def load_dataset(folder: str | Path) -> TokenDataset:
    """`folder`: a path, or a URI such as s3://...; `manifest.json` in it names the renderer that made the ids.

    What a student is trained with is what it must later be served with, so name and fingerprint of the renderer travel
    on into the model's own folder. Raises DataError for what cannot be trained on, naming the row.
    """
    found = Folder(str(folder))
    manifest = read_dataset_manifest(found, "renderer", "renderer_fingerprint")
    rows = _rows_of(found, manifest["renderer_fingerprint"], manifest.get("fingerprint"))
    data = TokenDataset(rows, manifest["renderer"], manifest["renderer_fingerprint"])
    named = manifest.get("fingerprint", data.fingerprint)  # datasets made elsewhere may name none
    if named != data.fingerprint and named != data.earlier_of_keys:
        raise DataError(
            f"{found.uri}: its rows are not those that its {MANIFEST} names: their fingerprint is {data.fingerprint}, "
            f"not {named}. Convert the trajectories again."
        )
    return data


def _rows_of(folder: Folder, made_by: str, named: str | None) -> MappedRows:
    files = folder.files_below(".parquet")
    source = content_hash([_VERSION, made_by, named, [[f.name, f.n_bytes, f.modified_ns] for f in files]])
    place = default_cache_dir() / _COPIES / _name_of(folder)
    with held(place, f"another process of this machine, which copies {redact(folder.uri)}"):
        copy = place / _COPY
        damage = damage_of(copy, source)
        if damage is not None:
            if copy.exists():
                level = logging.INFO if damage == OF_ANOTHER else logging.WARNING
                log.log(level, "%s: %s; it is made anew", copy, damage)
            started = time.monotonic()
            with whole_folder(copy) as temporary:
                make_copy(folder, files, made_by, source, temporary)
            log.info(
                "%s: copied for this machine into %s, %.0f s", redact(folder.uri), copy, time.monotonic() - started
            )
            _drop_unused(place)
        return MappedRows(copy)


def _name_of(folder: Folder) -> str:
    return content_hash(str(folder.local_path) if folder.is_local else redact(folder.uri))


def _drop_unused(current: Path) -> None:
    """Copies that nobody has opened for a month. What is mapped from one stays readable until it is closed."""
    for place in current.parent.iterdir():
        if place == current:
            continue
        with held_if_unused(place, time.time() - _UNUSED_S) as is_unused:
            if is_unused:
                shutil.rmtree(place / _COPY, ignore_errors=True)
