"""Trajectories in the Parquet parts of a folder: written a part at a time, read each key once, broken parts set aside.

A key can occur twice where a worker died between writing a part and reporting it; both rows are then equal work.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.rows import TRAJECTORY_SCHEMA, from_row, to_table
from fireact_ray.core.types import Trajectory

ROWS_PER_GROUP = 5_000  # of a part: what is read at once


def trajectory_folders(run: Folder, sources: Sequence[str] = ()) -> list[Folder]:
    """Where the trajectories lie that a run's dataset is made of: its own, or those of the runs named as sources."""
    return [Folder(home) / "trajectories" for home in sources] or [run / "trajectories"]


def write_trajectories(folder: Folder, trajectories: Iterable[Trajectory], label: str) -> str | None:
    """One new part; `label` keeps apart who wrote it. Returns its name, None where there was nothing to write."""
    table = to_table(trajectories)
    if not table.num_rows:
        return None
    groups = (table.slice(at, ROWS_PER_GROUP) for at in range(0, table.num_rows, ROWS_PER_GROUP))
    return folder.write_part(f"part-{label}", groups, TRAJECTORY_SCHEMA)


def read_trajectories(*folders: Folder) -> list[Trajectory]:
    """All trajectories of these folders, each key once, in the order of their keys."""
    tables = (table for folder in folders for table in folder.read_tables())
    by_key = {row["trajectory_id"]: row for table in tables for row in table.to_pylist()}
    return [from_row(by_key[key]) for key in sorted(by_key)]


def finished_keys(folder: Folder) -> set[str]:
    """Keys of the rows that a folder already holds."""
    return {key for table in folder.read_tables(["trajectory_id"]) for key in table["trajectory_id"].to_pylist()}


def set_aside_broken(folder: Folder) -> list[str]:
    """Move parts that cannot be read into broken/, so that their rows are pending again. Returns their names."""
    names = folder.names(".parquet")
    broken = [name for name, is_whole in zip(names, folder.each(folder.is_whole, names), strict=True) if not is_whole]
    for name in broken:
        folder.move(name, "broken")
    return broken
