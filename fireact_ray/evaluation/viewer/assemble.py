"""Paths in, a page out: what is opened, which rows of it are taken, and what of them is trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from fireact_ray.core.errors import DataError
from fireact_ray.core.storage.artifacts import MANIFEST
from fireact_ray.core.storage.folder import Folder
from fireact_ray.data.formats.records import Record
from fireact_ray.evaluation.viewer.choosing import LIMIT, choose_rows
from fireact_ray.evaluation.viewer.page import Page, System, build_page
from fireact_ray.evaluation.viewer.sources import label_of, open_sources
from fireact_ray.evaluation.viewer.trained import Student, TrainedRow, read_trained, render_trained

StudentOf = Callable[[str], Student | None]  # of the run at a path


def page_of(paths: Sequence[str], limit: int = LIMIT, student_of: StudentOf = lambda path: None) -> Page:
    """One run folder or file, or two to look at side by side; at most `limit` rows of all their systems together.

    `student_of`: None leaves the text of training rows out; which rows a dataset trains on is said all the same. Raises
    InputError where a path holds no rows.
    """
    labels = _labels(paths)
    opened = [(path, label, source) for path, label in zip(paths, labels, strict=True) for source in open_sources(path)]
    places = choose_rows([source.questions for _, _, source in opened], limit)
    systems, notes = [], []
    for (path, label, source), taken in zip(opened, places, strict=True):
        records = source.read(taken)
        trained: Mapping[str, TrainedRow] = {}
        if source.place == path:  # the run's own rows or a file's: of an evaluation nothing is trained
            try:
                trained = _trained(path, records, student_of(path))
            except DataError as error:
                notes.append(f"{error} What is trained is not marked.")
        systems.append(System(label, source.name, source.place, records, len(source.questions), trained))
        notes += [f"{source.place}: {sentence}" for sentence in source.missing]
    return build_page(" and ".join(labels), systems, notes)


def _labels(paths: Sequence[str]) -> list[str]:
    """Their last names, or all of them where these are the same."""
    labels = [label_of(path) for path in paths]
    return labels if len(set(labels)) == len(labels) else [path.rstrip("/") for path in paths]


def _trained(path: str, records: Sequence[Record], student: Student | None) -> dict[str, TrainedRow]:
    """By the run's dataset where it has one. Raises DataError where that is damaged."""
    trajectories = [record.trajectory for record in records if record.trajectory]
    dataset = Folder(path) / "dataset"
    if dataset.exists(MANIFEST):
        return read_trained(dataset, {t.trajectory_id for t in trajectories}, student.tokenizer if student else None)
    return render_trained(trajectories, student) if student else {}
