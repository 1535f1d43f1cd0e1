"""A source's files -> its folder: what is there stays, what is given is copied, the rest is downloaded."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fireact_ray.core.errors import InputError
from fireact_ray.core.storage.part_file import part_file
from fireact_ray.tasks.fetching.arrival import Proof, note_of, proof_of, proof_of_download, sha256_of
from fireact_ray.tasks.fetching.download import PATIENT, Policy, download
from fireact_ray.tasks.fetching.given import Given, given_files, is_url
from fireact_ray.tasks.fetching.sources import RemoteFile, Source
from fireact_ray.tasks.fetching.unpacking import unpack


@dataclass(frozen=True, slots=True)
class Arrived:
    """`files`: what an archive was unpacked to, else the file itself; `proof` None for somebody's own questions.

    `was_there`: it was left as it is. `digest` is empty where the archive is gone.
    """

    files: tuple[Path, ...]
    digest: str
    proof: Proof | None
    was_there: bool = False


def fetch(source: Source, folder: Path, froms: Sequence[str] = (), policy: Policy = PATIENT) -> list[Arrived]:
    """Bring all files of a source into `folder`. `froms`: files that stand in for some of them (`given.py`).

    Raises InputError where a file of that name is there and another one is given; DataError and WriteFailed as
    `download` does.
    """
    given = given_files(source, froms)
    arrived = [_take(one, folder, policy) for one in given]
    if any(one.split for one in given):  # their own questions: the rest is theirs to give, too
        return arrived
    here = [file for one in given for file in (one.remote, one.part_of)]
    return arrived + [_get(file, folder, policy) for file in source.files if file not in here]


def is_there(remote: RemoteFile, folder: Path) -> bool:
    """Whether a file is whole in its folder; of an archive, all that is taken from it, and the archive gone."""
    if not remote.unpack:
        return (folder / remote.name).is_file()
    return not (folder / remote.name).exists() and all(_unpacked(remote, folder, pattern) for pattern in remote.unpack)


def own_questions(source: Source, folder: Path) -> list[Path]:
    """Somebody's own questions of the source's splits, as `fetch` has named them."""
    names = (f"{source.task}_{split}.*" for split in source.splits)
    found = (path for name in names for path in sorted(folder.glob(name)))
    released = {file.name for file in source.files}
    return [path for path in found if path.name not in released and path.suffix != ".part"]


def _get(remote: RemoteFile, folder: Path, policy: Policy) -> Arrived:
    path = folder / remote.name
    if remote.unpack and is_there(remote, folder):
        files = tuple(file for pattern in remote.unpack for file in _unpacked(remote, folder, pattern))
        return Arrived(files, "", None, was_there=True)
    was_there = path.is_file()
    if was_there:
        digest = sha256_of(path)
        proof = proof_of(path, remote, digest)
    else:
        digest = download(remote, path, policy)
        proof = proof_of_download(path, remote, digest)
    return _settled(remote, path, digest, proof, was_there=was_there and not remote.unpack)


def _take(given: Given, folder: Path, policy: Policy) -> Arrived:
    path = folder / given.name
    if is_url(given.place):
        if path.exists():
            raise InputError(f"{path} is there already. Remove it, or leave out --from {given.place}.")
        digest = download(RemoteFile(given.name, (given.place,)), path, policy)
    else:
        digest = _copied(Path(given.place).expanduser(), path)
    if given.remote is None:
        return Arrived((path,), digest, None)
    return _settled(given.remote, path, digest, proof_of(path, given.remote, digest))


def _settled(remote: RemoteFile, path: Path, digest: str, proof: Proof, *, was_there: bool = False) -> Arrived:
    if not remote.unpack:
        return Arrived((path,), digest, proof, was_there)
    files = unpack(path, remote.unpack, path.parent)
    path.unlink()
    note_of(path).unlink(missing_ok=True)
    return Arrived(tuple(files), digest, proof)


def _copied(place: Path, path: Path) -> str:
    digest = sha256_of(place)
    if path.exists():
        if place.samefile(path) or sha256_of(path) == digest:
            return digest
        raise InputError(f"{path} is there already, and is another file than {place}. Remove one of them.")
    with place.open("rb") as file, part_file(path) as part:
        shutil.copyfileobj(file, part)
    return digest


def _unpacked(remote: RemoteFile, folder: Path, pattern: str) -> list[Path]:
    return sorted((folder / remote.unpack[pattern]).glob(pattern.rsplit("/", 1)[-1]))
