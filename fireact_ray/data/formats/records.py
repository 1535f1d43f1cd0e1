"""What a lint looks at: a row as it is written, and the trajectory that is read from it.

Both are needed, because reading repairs: a reward line becomes a score, a bare `None` becomes "No results found.",
what a model wrote after its own turn is cut. What the file says stands in `turns`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fireact_ray.core.calls import TOOLS, Names
from fireact_ray.core.errors import DataError, InputError
from fireact_ray.core.grammar import step_text
from fireact_ray.core.storage.folder import Folder, read_trajectories
from fireact_ray.core.types import Trajectory
from fireact_ray.data.formats.conversations import Message, is_stored, read_rows, read_turns
from fireact_ray.data.formats.files import numbered_rows
from fireact_ray.data.formats.importers import read_trajectory, stored
from fireact_ray.data.formats.transcript import NoTranscript

_NO_TASK = ""  # a file does not say


@dataclass(frozen=True, slots=True)
class Record:
    """`row` counts from 1: a row's place in the file, or its line in JSON lines.

    `turns` is empty where the row could not be read at all. `fault` says why there is no trajectory, as
    "<kind>: <detail>" of transcript.NoTranscript; it is empty where there is one.
    """

    row: int
    turns: tuple[Message, ...]
    trajectory: Trajectory | None
    fault: str = ""

    @property
    def question(self) -> str:
        return next((turn.text for turn in self.turns if turn.role == "user"), "")

    @property
    def replies(self) -> tuple[str, ...]:
        return tuple(turn.text for turn in self.turns if turn.role == "assistant")

    @property
    def observations(self) -> tuple[str, ...]:
        return tuple(turn.text for turn in self.turns if turn.role == "observation")


def read_records(path: str, names: Names = TOOLS) -> list[Record]:
    """Every row of a run folder, a folder of its Parquet parts, or a file: one such part, or rows that `recorded` reads
    as JSON or as Parquet. `names`: what the tools are called in a file.

    Rows of a folder are in the order of their keys, as `fireact show` counts them. Raises InputError for anything else.
    """
    if _is_file(path):
        return [_record(number, row, names) for number, row in read_rows(path)]
    folders = (Folder(path) / "trajectories", Folder(path))
    folder = next((folder for folder in folders if folder.names(".parquet")), None)
    if folder is None:
        raise InputError(f"{path}: no such file, and no run folder with trajectories. Give one of these.")
    try:
        trajectories = read_trajectories(folder)
    except (DataError, KeyError) as error:
        raise InputError(f"{path}: holds no trajectories that can be read ({error}).") from None
    return [record_of(trajectory, row) for row, trajectory in enumerate(trajectories, start=1)]


def read_questions(path: str) -> list[str]:
    """The questions of a file of {"question": ...} rows (JSON list or lines), or of anything that `read_records` reads.

    Raises InputError.
    """
    if _is_file(path):
        rows = [row for _, row in numbered_rows(path)]
        if rows and all(isinstance(row, dict) and isinstance(row.get("question"), str) for row in rows):
            return [row["question"] for row in rows]
    return [record.question for record in read_records(path)]


def record_of(trajectory: Trajectory, row: int) -> Record:
    """The record of a stored trajectory: its replies as they were received."""
    return Record(row, tuple(_said(trajectory)), trajectory)


def _said(trajectory: Trajectory) -> Iterator[Message]:
    yield Message("user", trajectory.question.text)
    for step in trajectory.steps:
        yield Message("assistant", step.completion or step_text(step))
        if step.observation is not None:
            yield Message("observation", step.observation.text)


def _is_file(path: str) -> bool:
    return path.endswith(".parquet") or ("://" not in path and Path(path).expanduser().is_file())


def _record(number: int, row: Any, names: Names) -> Record:
    turns: tuple[Message, ...] = ()
    try:
        if is_stored(row):
            return record_of(stored(row), number)
        turns = read_turns(row)
        return Record(number, turns, read_trajectory(_NO_TASK, turns, names))
    except NoTranscript as found:
        return Record(number, turns, None, f"{found.kind}: {found.detail}")
