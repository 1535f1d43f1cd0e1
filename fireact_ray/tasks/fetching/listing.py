"""What can be fetched, what of it is there, and what is missing: by names and sizes, nothing is read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from fireact_ray.core.storage.part_file import part_of
from fireact_ray.tasks.fetching.fetching import is_there, own_questions
from fireact_ray.tasks.fetching.sources import RemoteFile, Source, sources


class State(StrEnum):
    THERE = "there"
    OWN = "your own"
    PARTLY = "partly"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Listed:
    """`n_bytes`: of the download; None where it is not known. `n_here`: of them that are here."""

    source: Source
    path: Path
    state: State
    n_bytes: int | None
    n_here: int


def listed(folder: Path | None = None) -> Iterator[Listed]:
    """Every file of every source, and somebody's own questions that stand in for some of them. `folder` None: where the
    shipped recipes look."""
    for source in sources().values():
        there = folder or Path(source.folder)
        for remote in source.files:
            yield _listed(source, remote, there)
        for path in own_questions(source, there):
            n_bytes = path.stat().st_size
            yield Listed(source, path, State.OWN, n_bytes, n_bytes)


def _listed(source: Source, remote: RemoteFile, folder: Path) -> Listed:
    path = folder / remote.name
    part = part_of(path)
    if is_there(remote, folder):
        n_here = path.stat().st_size if path.is_file() else remote.bytes or 0
        return Listed(source, path, State.THERE, remote.bytes, n_here)
    n_here = next((one.stat().st_size for one in (path, part) if one.is_file()), 0)
    return Listed(source, path, State.PARTLY if n_here else State.MISSING, remote.bytes, n_here)
