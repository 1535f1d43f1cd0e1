"""What can be looked at: a run folder in, its systems out; or a file, which is one.

A source knows the question of every row, and reads whole rows only when it is told which: a folder of a million rows
costs the memory of their keys and questions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from fireact_ray.core.errors import DataError, InputError
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.source import is_pipe, kind_of, names_in
from fireact_ray.core.types import Trajectory
from fireact_ray.data.formats.records import Record, holds_trajectories, read_record, read_records
from fireact_ray.evaluation.episodes import Episode
from fireact_ray.evaluation.recorded.places import Recording
from fireact_ray.evaluation.recorded.reading import Reader
from fireact_ray.evaluation.tally import metrics_of
from fireact_ray.rollouts.audit import audit
from fireact_ray.rollouts.plan import PLAN

TRAJECTORIES, EVALUATIONS = "trajectories", "evaluations"
_COLUMNS = ["trajectory_id", "question"]


@dataclass(frozen=True)
class Source:
    """`place`: what `fireact show` opens, by the same row numbers. `questions`: of every row, in the order of rows.

    `read`: the rows at some positions, which count from 0, in that order. `missing`: what could not be read at all, and
    what is not written yet, a sentence each.
    """

    name: str
    place: str
    questions: Sequence[str]
    read: Callable[[Sequence[int]], list[Record]]
    missing: tuple[str, ...] = ()


def open_sources(path: str) -> list[Source]:
    """Of a run folder its trajectories and those of each evaluation; of a file or any other folder its rows.

    Raises InputError where there are none.
    """
    if kind_of(path) != "folder":
        return [_listed(path)]
    here = (TRAJECTORIES, path, Folder(path))  # parts without a run around them
    within = list(filter(_is_held, _of_run(path))) or list(filter(_is_held, [here]))
    if not within:
        return [_listed(path)]
    found = [_stored(name, place, folder) for name, place, folder in within]
    if not any(source.questions for source in found):
        said = " ".join(sentence for source in found for sentence in source.missing)
        raise InputError(f"{path}: no trajectory can be read. {said}".rstrip())
    return found


def label_of(path: str) -> str:
    """What people call a run or file."""
    return PurePosixPath(path.rstrip("/")).name or path


def _of_run(path: str) -> Iterator[tuple[str, str, Folder]]:
    """Name, place and folder of what a run may hold: its own trajectories and those of each evaluation."""
    yield TRAJECTORIES, path, Folder(path) / TRAJECTORIES
    evaluations = Folder(path) / EVALUATIONS
    names = names_in(evaluations.uri) if kind_of(evaluations.uri) == "folder" else []
    for name in (name.rstrip("/") for name in names if name.endswith("/")):
        yield name, (evaluations / name).uri, evaluations / name / TRAJECTORIES


def _is_held(found: tuple[str, str, Folder]) -> bool:
    return holds_trajectories(found[2])


def _listed(path: str) -> Source:
    if is_pipe(path):
        raise InputError(f"{path}: a pipe is read once, and a page reads its rows twice. Write them into a file first.")
    records = _scored(path, read_records(path))
    questions = [record.question for record in records]
    return Source(label_of(path), path, questions, lambda places: [records[place] for place in places])


def _scored(path: str, records: list[Record]) -> list[Record]:
    """With the accepted answers and the scores that `fireact score` finds in a file of others, so that a page says the
    same."""
    found = {episode.key: episode for episode in Reader(Recording(label_of(path), path)).episodes()}
    return [
        record
        if record.trajectory is None or (episode := found.get(str(record.row))) is None
        else replace(record, trajectory=_as_scored(record.trajectory, episode))
        for record in records
    ]


def _as_scored(trajectory: Trajectory, episode: Episode) -> Trajectory:
    metrics = metrics_of(episode)
    question = trajectory.question
    answers = episode.question.answers or question.answers
    score = metrics.score if metrics else episode.score
    return replace(trajectory, question=replace(question, answers=answers), score=score)


def _stored(name: str, place: str, folder: Folder) -> Source:
    """Rows in the order of their keys, each key once. A part that is damaged is left out, and said."""
    questions: dict[str, str] = {}
    missing: list[str] = []
    whole = []
    for part in folder.names(".parquet"):
        try:
            if not folder.is_whole(part):
                raise DataError(f"{folder.uri}/{part}: it is damaged, not what was written there.")
            table = folder.read_table(part, _COLUMNS)
        except DataError as error:
            missing.append(f"{error} Its rows are not in the page.")
            continue
        whole.append(part)
        questions.update(zip(*(table[column].to_pylist() for column in _COLUMNS), strict=True))
    keys = sorted(questions)

    def read(places: Sequence[int]) -> list[Record]:
        wanted = {keys[at]: at + 1 for at in places}
        found = {row["trajectory_id"]: row for row in _rows(folder, whole, list(wanted))}
        return [read_record(number, found[key]) for key, number in wanted.items()]

    return Source(name, place, [questions[key] for key in keys], read, (*missing, *_not_yet_written(Folder(place))))


def _not_yet_written(run: Folder) -> Iterator[str]:
    try:
        pending = audit(run).pending if run.exists(PLAN) else 0
    except DataError as error:
        yield f"{error} How many rows are not written yet is not known."
        return
    if pending:
        yield f"{pending:,} more rows are planned and not written yet: this is a part of the run."


def _rows(folder: Folder, parts: Sequence[str], keys: Sequence[str]) -> Iterator[dict[str, Any]]:
    wanted = pa.array(keys, pa.string())
    for part in parts:
        for batch in folder.read_batches(part):
            yield from pa.table(batch).filter(pc.is_in(batch["trajectory_id"], wanted)).to_pylist()
