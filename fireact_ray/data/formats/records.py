"""What a lint looks at: a row as it is written, and the trajectory that is read from it.

Both are needed, because reading repairs: a reward line becomes a score, a bare `None` becomes "No results found.",
what a model wrote after its own turn is cut. What the file says stands in `turns`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fireact_ray.core.calls import TOOLS, Names
from fireact_ray.core.errors import DataError, InputError
from fireact_ray.core.grammar import step_text
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.source import kind_of
from fireact_ray.core.storage.trajectories import read_trajectories
from fireact_ray.core.types import Trajectory
from fireact_ray.data.formats.conversations import is_stored, read_conversation, read_rows
from fireact_ray.data.formats.files import numbered_rows
from fireact_ray.data.formats.importers import judged, recorded, stored
from fireact_ray.data.formats.messages import Message
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
        return tuple(turn.written for turn in self.turns if turn.role == "assistant")

    @property
    def received(self) -> tuple[str, ...]:
        """The replies with the hidden reasoning that was cut off them."""
        return tuple(turn.received or turn.written for turn in self.turns if turn.role == "assistant")

    @property
    def observations(self) -> tuple[str, ...]:
        return tuple(turn.text for turn in self.turns if turn.role == "observation")


def read_records(path: str, names: Names = TOOLS) -> list[Record]:
    """Every row of a run folder, a folder of its Parquet parts, or a file: one such part, or rows that `conversations`
    reads as JSON or as Parquet. `names`: what the tools are called in a file.

    Rows of a folder are in the order of their keys, as `fireact show` counts them. Raises InputError for anything else.
    """
    folder = _stored_in(path)
    if folder is None:
        return [read_record(number, row, names) for number, row in read_rows(path)]
    try:
        trajectories = read_trajectories(folder)
    except (DataError, KeyError) as error:
        raise InputError(f"{path}: holds no trajectories that can be read ({error}).") from None
    return [record_of(trajectory, row) for row, trajectory in enumerate(trajectories, start=1)]


def read_questions(path: str) -> list[str]:
    """The questions of a file of {"question": ...} rows (JSON list or lines), or of anything that `read_records` reads.

    Raises InputError.
    """
    if _stored_in(path) is None:
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


def _stored_in(path: str) -> Folder | None:
    """The folder of trajectories that is meant; None for a file, and for a folder of anything else."""
    found = kind_of(path)
    if found is None:
        raise InputError(f"{path}: no such file, and no run folder with trajectories. Give one of these.")
    folders = (Folder(path) / "trajectories", Folder(path)) if found == "folder" else ()
    return next((folder for folder in folders if holds_trajectories(folder)), None)


def holds_trajectories(folder: Folder) -> bool:
    """Its parts are our own rows, or too damaged to tell."""
    parts = folder.names(".parquet")
    try:
        return bool(parts) and {"trajectory_id", "steps"} <= set(folder.read_schema(parts[0]).names)
    except DataError:
        return True  # a damaged part, of which reading it says more


def read_record(number: int, row: Any, names: Names = TOOLS) -> Record:
    """A row of a file: of our own or of those that `conversations` reads, whole or with its fault."""
    turns: tuple[Message, ...] = ()
    try:
        if is_stored(row):
            return record_of(stored(row), number)
        conversation = read_conversation(row)
        turns = conversation.turns
        return Record(number, turns, judged(recorded(_NO_TASK, conversation, names), conversation.task))
    except NoTranscript as found:
        return Record(number, turns, None, f"{found.kind}: {found.detail}")
