"""The table of what can be fetched (sources.yaml), and what a message says of it."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import yaml

from fireact_ray.core.errors import InputError
from fireact_ray.core.paths import absolute
from fireact_ray.core.utils.text import nearest

_TABLE = Path(__file__).with_name("sources.yaml")


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """`urls` all hold the same bytes. `bytes` and `sha256` are None where they are not publicly known.

    `unpack`: for an archive, patterns of the last parts of its files' names, each with the folder where they go.
    """

    name: str
    urls: tuple[str, ...]
    bytes: int | None = None
    sha256: str | None = None
    unpack: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Source:
    """`folder`: where the shipped recipe looks, from the current folder. `task` None: passages to make a corpus of,
    without splits."""

    name: str
    folder: str
    files: tuple[RemoteFile, ...]
    licence: str
    home: str
    task: str | None = None
    splits: tuple[str, ...] = ()


@cache
def sources() -> dict[str, Source]:
    table = yaml.safe_load(_TABLE.read_text(encoding="utf-8"))
    return {name: _source(name, row) for name, row in table.items()}


def source(name: str) -> Source:
    """Raises InputError with the nearest known name."""
    if name in sources():
        return sources()[name]
    near = nearest(name, sources())
    hint = f" Did you mean '{near}'?" if near else ""
    raise InputError(f"Nothing is known of data called '{name}'.{hint} Known: {', '.join(sources())}.")


def how_to_get(task: str, place: str | None) -> str:
    """The end of a message that a task's data is missing from `place`: the command that gets it, or nothing where no
    source is known."""
    found = next((one for one in sources().values() if one.task == task), None)
    if found is None:
        return ""
    to = "" if place is None or absolute(place) == absolute(found.folder) else f" --to {shlex.quote(place)}"
    return f" `fireact data {found.name}{to}` gets it."


def _source(name: str, row: dict[str, object]) -> Source:
    files = row.pop("files")
    assert isinstance(files, list)
    remote = tuple(RemoteFile(**{**file, "urls": tuple(file["urls"])}) for file in files)
    splits = row.pop("splits", ())
    assert isinstance(splits, (list, tuple))
    return Source(name=name, files=remote, splits=tuple(splits), **row)  # type: ignore[arg-type]
