"""Files that somebody has already: which of a source's files each of them is.

--from ~/hotpot                         a folder: its files of the names that are wanted
--from ~/hotpot_train_v1.1.json         a file or URL of such a name; of any name where the source is one file
--from dev=~/my_questions.json          the questions of a split, under a name that the loader knows
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from fireact_ray.core.errors import InputError
from fireact_ray.tasks.fetching.sources import RemoteFile, Source

_PACKED = (".gz", ".zst", ".bz2")


@dataclass(frozen=True, slots=True)
class Given:
    """`place`: a path or URL; `name`: what it is to be called, in its source's folder.

    `remote`: the released file that it is; `part_of`: the archive of which it is one of the files; `split`: it is
    somebody's own questions, for that split.
    """

    place: str
    name: str
    remote: RemoteFile | None = None
    part_of: RemoteFile | None = None
    split: str | None = None


def given_files(source: Source, froms: Sequence[str]) -> list[Given]:
    """Raises InputError for a place where nothing is, and for a file of which it is not told what it is."""
    return [given for one in froms for given in _given(source, one)]


def is_url(place: str) -> bool:
    return place.startswith(("http://", "https://"))


def _given(source: Source, one: str) -> list[Given]:
    split, equals, place = one.partition("=")
    if equals and split in source.splits:
        _demand_there(place, folder_too=False)
        return [Given(place, _split_name(source, split, place), split=split)]
    _demand_there(one, folder_too=True)
    if not is_url(one) and Path(one).expanduser().is_dir():
        return _in_folder(source, Path(one).expanduser())
    name = _name_of(one)
    remote = next((file for file in source.files if file.name == name), None)
    if remote is None and (inside := _in_archive(source, one)) is not None:
        return [inside]
    if remote is None and len(source.files) == 1:
        remote = source.files[0]
    if remote is None:
        raise InputError(
            f"--from {one}: none of {', '.join(file.name for file in source.files)}, so it is not known what it is. "
            f"Say for which split it is ({' or '.join(f'{name}=...' for name in source.splits)}), or name it so."
        )
    return [Given(one, remote.name, remote)]


def _in_folder(source: Source, folder: Path) -> list[Given]:
    """The released files by their names; where an archive is none of them, what it holds, at any depth."""
    released = [file for file in source.files if (folder / file.name).is_file()]
    found = [Given(str(folder / file.name), file.name, file) for file in released]
    inside = (_in_archive(source, str(path)) for path in sorted(folder.rglob("*")) if path.is_file())
    found += [given for given in inside if given is not None and given.part_of not in released]
    if not found:
        wanted = [name for file in source.files for name in (file.name, *file.unpack)]
        raise InputError(f"--from {folder}: it holds none of {', '.join(wanted)}. Name the file itself.")
    return found


def _in_archive(source: Source, place: str) -> Given | None:
    """One of the files that an archive of the source holds, by its name alone."""
    name = _name_of(place)
    for file in source.files:
        for pattern, folder in file.unpack.items():
            if PurePosixPath(name).match(pattern.rsplit("/", 1)[-1]) and not name.startswith("."):
                return Given(place, f"{folder}/{name}", part_of=file)
    return None


def _split_name(source: Source, split: str, place: str) -> str:
    suffixes = PurePosixPath(_name_of(place)).suffixes
    packed = suffixes.pop() if suffixes and suffixes[-1] in _PACKED else ""
    return f"{source.task}_{split}{suffixes[-1] if suffixes else ''}{packed}"


def _name_of(place: str) -> str:
    return PurePosixPath(unquote(urlsplit(place).path) if is_url(place) else place).name


def _demand_there(place: str, *, folder_too: bool) -> None:
    path = Path(place).expanduser()
    if not is_url(place) and not (path.is_file() or (folder_too and path.is_dir())):
        raise InputError(f"--from {place}: no such file{' or folder' if folder_too else ''}, and no http(s) URL.")
