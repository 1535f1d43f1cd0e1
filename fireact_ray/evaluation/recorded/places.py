"""A path in, the recordings out that are meant: a file, a run folder's generation and each of its evaluations, or each
file of a folder of others that are not the parts of one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from fireact_ray.core.errors import DataError, InputError
from fireact_ray.core.paths import last_name
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.source import is_pipe, kind_of, names_in, opened, within
from fireact_ray.data.formats.row_files import row_files
from fireact_ray.rollouts.plan import PLAN

_PARQUET = b"PAR1"
_NUMBER = re.compile(r"(\d+)")  # splits a name into texts and, in every second place, numbers
_OURS = {"trajectory_id", "steps", "answers"}


@dataclass(frozen=True, slots=True)
class Recording:
    """Rows that are scored together. `parts`: our own Parquet parts, as (folder, name); without any, `path` is a file
    or folder of rows of others. `planned_in`: the folder that has the plan of these rows."""

    name: str
    path: str
    parts: tuple[tuple[Folder, str], ...] = ()
    planned_in: Folder | None = None


def recordings(path: str) -> list[Recording]:
    """Raises InputError where nothing is there, or where a folder does not say which of its files are meant."""
    found = kind_of(path)
    if found is None:
        raise InputError(
            f"{path}: no such file or folder. Give recorded trajectories: a run folder, or a file of them."
        )
    name = last_name(path)
    if found == "file":
        return [Recording(PurePosixPath(name).stem, path, _parts_of_file(path))]
    if own := _run(path, name):
        return own
    if parts := _parts(Folder(path)):
        return [Recording(name, path, parts)]
    files = row_files(path)
    if _are_parts_of_one(list(map(last_name, files))):
        return [Recording(name, path)]
    return [Recording(PurePosixPath(last_name(file)).stem, file) for file in files]


def _are_parts_of_one(names: Sequence[str]) -> bool:
    """Whether names tell a number and nothing else, as `train-00000-of-00002.parquet` does. FireAct's trajs differ in
    models and dates: each is of another system."""
    pieces = [_NUMBER.split(name) for name in names]
    if len({len(each) for each in pieces}) > 1:
        return False
    differing = [place for place, each in enumerate(zip(*pieces, strict=True)) if len(set(each)) > 1]
    return all(place % 2 for place in differing) and len(differing) <= 1


def _run(path: str, name: str) -> list[Recording]:
    """Of a run folder: what its teacher wrote, and each system that was evaluated in it."""
    run, names = Folder(path), names_in(path)
    own = [Recording(name, path, _parts(run / "trajectories"), _planned(run))] if "trajectories/" in names else []
    if "evaluations/" not in names:
        return own
    systems = [found.rstrip("/") for found in names_in(within(path, "evaluations")) if found.endswith("/")]
    for system in systems:
        home = run / "evaluations" / system
        parts = _parts(home / "trajectories")
        if parts:
            own.append(Recording(f"{name}/{system}", within(path, f"evaluations/{system}"), parts, _planned(home)))
    return own


def _planned(folder: Folder) -> Folder | None:
    return folder if folder.exists(PLAN) else None


def _parts(folder: Folder) -> tuple[tuple[Folder, str], ...]:
    """Its Parquet parts, where they are ours."""
    names = folder.names(".parquet")
    return tuple((folder, name) for name in names) if names and _is_ours(folder, names[0]) else ()


def _parts_of_file(path: str) -> tuple[tuple[Folder, str], ...]:
    if is_pipe(path):
        return ()  # what is looked at is gone
    with opened(path) as stream:
        if not stream.peek(len(_PARQUET)).startswith(_PARQUET):
            return ()
    before, _, name = path.rpartition("/")
    folder = Folder(before or ("/" if path.startswith("/") else "."))
    return ((folder, name),) if _is_ours(folder, name) else ()


def _is_ours(folder: Folder, name: str) -> bool:
    try:
        return set(folder.read_schema(name).names) >= _OURS
    except DataError:
        return True  # a damaged part, of which reading it says more
