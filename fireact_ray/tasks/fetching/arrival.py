"""Whether a file is the one that was released, and what its task's own loader finds in it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from fireact_ray.core.errors import DataError
from fireact_ray.core.storage.part_file import write_whole
from fireact_ray.core.types import Question
from fireact_ray.tasks import load_questions
from fireact_ray.tasks.fetching.sources import RemoteFile, Source


class Proof(StrEnum):
    """What is known of a file, as the output says it."""

    RELEASED = "as released: its SHA-256 is the published one"
    FIRST = "no SHA-256 of it is published: that of this first download is kept beside it, for the next ones"
    SAME = "as it was first downloaded: no SHA-256 of it is published"
    OTHER = "not the file as it was released; taken as it is"


@dataclass(frozen=True, slots=True)
class Split:
    """`shared`: questions that an earlier split of the same source holds, too, by split."""

    name: str
    n_questions: int
    shared: dict[str, int]


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def note_of(path: Path) -> Path:
    """Where the checksum of a first download stands, as sha256sum writes it."""
    return path.with_name(f"{path.name}.sha256")


def proof_of(path: Path, remote: RemoteFile, digest: str) -> Proof:
    """Of a file that was there, or was given."""
    if remote.sha256 is not None:
        return Proof.RELEASED if digest == remote.sha256 else Proof.OTHER
    return Proof.SAME if _remembered(path) == digest else Proof.OTHER


def proof_of_download(path: Path, remote: RemoteFile, digest: str) -> Proof:
    """Of what was just downloaded, whose published checksum was compared. Raises DataError where it is not what was
    downloaded first; what came is then kept as NAME.other."""
    if remote.sha256 is not None:
        return Proof.RELEASED
    first = _remembered(path)
    if first is None:
        write_whole(note_of(path), f"{digest}  {path.name}\n")
        return Proof.FIRST
    if first != digest:
        other = path.with_name(f"{path.name}.other")
        path.replace(other)
        raise DataError(
            f"{path}: its SHA-256 is {digest}, and that of the first download was {first} ({note_of(path).name}). What "
            f"came lies in {other.name}. If the publisher has changed the file, remove {note_of(path).name}."
        )
    return Proof.SAME


def splits_of(source: Source, folder: Path, names: Sequence[str]) -> list[Split]:
    """The splits `names`, read by the task's own loader. Raises InputError where one cannot be read."""
    splits: list[Split] = []
    before: dict[str, set[str]] = {}
    for name in names:
        questions = load_questions(source.task or "", str(folder), name)
        texts = {_folded(question) for question in questions}
        shared = {other: len(texts & known) for other, known in before.items() if texts & known}
        splits.append(Split(name, len(questions), shared))
        before[name] = texts
    return splits


def _folded(question: Question) -> str:
    return " ".join(question.text.casefold().split())


def _remembered(path: Path) -> str | None:
    note = note_of(path)
    words = note.read_text(encoding="utf-8").split() if note.is_file() else []
    return words[0] if words else None
