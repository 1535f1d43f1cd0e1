"""What the task loaders share: finding a data file, reading it, and refusing it in words that help.

Every refusal is an InputError that names file and row, what was expected, what was found and the next move.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from fireact_ray.core.errors import InputError
from fireact_ray.core.hashing import content_hash
from fireact_ray.core.json_text import NotJson, parse
from fireact_ray.core.storage import source
from fireact_ray.core.storage.source import kind_of, names_in, within
from fireact_ray.core.types import Question
from fireact_ray.tasks.fetching.sources import how_to_get
from fireact_ray.tasks.golds import Unreadable

Row = TypeVar("Row")

_SHOWN = 80  # characters of a bad value that a message quotes


def data_path(task: str, path: str | None, expected: str) -> str:
    """`path` as an existing file or folder, or the URL of one; `expected` says in words what it should hold."""
    if not path:
        raise InputError(f"Task '{task}' needs its data: give a path to {expected}.{how_to_get(task, None)}")
    with _named(task):
        if kind_of(path) is None:
            raise InputError(f"{path} does not exist. Expected {expected}.{how_to_get(task, path)}")
    return path


def data_file(task: str, path: str | None, names: Sequence[str], expected: str) -> str:
    """`path` itself where it is a file, else the first of `names` that the folder `path` holds, packed or not."""
    found = data_path(task, path, expected)
    with _named(task):
        if kind_of(found) == "file":
            return found
        there = names_in(found)
    for name in names:
        for packed in (name, f"{name}.gz", f"{name}.zst"):
            if packed in there:
                return within(found, packed)
    raise InputError(
        f"Task '{task}': folder {found} holds none of {', '.join(names)}; {listing(found)}. "
        f"Give the path of the file, or name it so.{how_to_get(task, found)}"
    )


def listing(folder: str) -> str:
    """The first files of a folder, for a message."""
    names = [name.rstrip("/") for name in names_in(folder)]
    return f"it holds {', '.join(names[:8])}{' ...' if len(names) > 8 else ''}" if names else "it is empty"


def read_text(task: str, file: str) -> str:
    """A file's text, unpacked, without byte order mark, line ends as they are (a CSV cell may hold some)."""
    with _named(task):
        return source.read_text(file)


def read_json_rows(task: str, file: str) -> list[Any]:
    """The items of a JSON list."""
    try:
        rows = parse(read_text(task, file))
    except NotJson as error:
        raise InputError(f"Task '{task}': {file} is not JSON: {error}. Expected one JSON list.") from None
    if not isinstance(rows, list):
        raise InputError(f"Task '{task}': {file}: expected a JSON list of questions, found {quoted(rows)}.")
    return rows


def read_csv_rows(task: str, file: str) -> list[list[str]]:
    """The rows of a comma-separated file, blank lines left out."""
    try:
        return [row for row in csv.reader(io.StringIO(read_text(task, file), newline=""), strict=True) if row]
    except csv.Error as error:
        raise InputError(f"Task '{task}': {file} is not CSV: {error}.") from None


@contextmanager
def _named(task: str) -> Iterator[None]:
    """An InputError within says whose data it speaks of."""
    try:
        yield
    except InputError as error:
        raise InputError(f"Task '{task}': {error}") from None


def text_of(row: object, key: str) -> str | None:
    """The stripped text under `key`, or None where the row has no text there."""
    value = row.get(key) if isinstance(row, dict) else None
    return value.strip() or None if isinstance(value, str) else None


def question_id(task: str, text: str) -> str:
    """The id of a question whose data has none: of its content, so that order and file do not matter."""
    return content_hash([task, text])


def build(
    task: str,
    file: str,
    rows: Iterable[tuple[int, Row]],
    question_of: Callable[[Row], Question | None],
    expected: str,
) -> list[Question]:
    """The questions of numbered rows: at least one, with unique ids.

    `question_of` gives None for a row that it cannot use, or raises Unreadable; `expected` says in words what it would
    have used.
    """
    questions: list[Question] = []
    row_of: dict[str, int] = {}
    for number, row in rows:
        try:
            question = question_of(row)
        except Unreadable as error:
            raise InputError(f"Task '{task}': {file}, row {number}: {error}. Mend or remove this row.") from None
        if question is None:
            raise InputError(
                f"Task '{task}': {file}, row {number}: expected {expected}, found {quoted(row)}. "
                f"Mend or remove this row."
            )
        if question.id in row_of:
            raise InputError(
                f"Task '{task}': {file}: rows {row_of[question.id]} and {number} have the same id "
                f"'{question.id}' ({quoted(question.text)}). Remove one, or give them different ids."
            )
        row_of[question.id] = number
        questions.append(question)
    if not questions:
        raise InputError(f"Task '{task}': {file} holds no question. Expected {expected} in each row.")
    return questions


def quoted(value: object) -> str:
    """A short form of any value, for a message."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_cut(repr(item), 24)}" for key, item in value.items()) + "}"
    return _cut(repr(value), _SHOWN)


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[:length]}..."
