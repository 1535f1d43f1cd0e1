"""Rows in, which of their tokens are trained out: by the stored mask of a run's dataset, or by a student's renderer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Protocol

from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.types import Trajectory
from fireact_ray.data.examples import FAULTS, conversation
from fireact_ray.rendering.base import Renderer


class ShowsIds(Protocol):
    """As `HubTokenizer` does."""

    def show(self, ids: Sequence[int]) -> str: ...


@dataclass(frozen=True, slots=True)
class TrainedRow:
    """`pieces`: the row's text in runs of equal mask, True = trained; empty where no tokenizer was given."""

    n_tokens: int
    n_trained: int
    pieces: tuple[tuple[str, bool], ...] = ()

    @classmethod
    def of(cls, input_ids: Sequence[int], loss_mask: Sequence[int], tokenizer: ShowsIds | None) -> TrainedRow:
        """Two sequences of equal length; loss_mask: 1 = trained."""
        pieces = () if tokenizer is None else tuple(_pieces(input_ids, loss_mask, tokenizer))
        return cls(len(input_ids), sum(loss_mask), pieces)


def read_trained(dataset: Folder, keys: set[str], tokenizer: ShowsIds | None = None) -> dict[str, TrainedRow]:
    """The rows of a dataset among `keys`, by trajectory. Raises DataError where it is damaged."""
    return {
        row["trajectory_id"]: TrainedRow.of(row["input_ids"], row["loss_mask"], tokenizer)
        for part in dataset.names(".parquet")
        for batch in dataset.read_batches(part, ["trajectory_id", "input_ids", "loss_mask"])
        for row in batch.to_pylist()
        if row["trajectory_id"] in keys
    }


@dataclass(frozen=True)
class Student:
    """Whose tokens are meant. `min_f1` as `examples.is_correct` reads it."""

    renderer: Renderer
    tokenizer: ShowsIds
    min_f1: float | None = None


def render_trained(trajectories: Iterable[Trajectory], student: Student) -> dict[str, TrainedRow]:
    """What would be trained of each by a student's renderer; rows with a fault that keeps them out are not in it."""
    return {
        trajectory.trajectory_id: TrainedRow.of(*student.renderer.render(conversation(trajectory)), student.tokenizer)
        for trajectory in trajectories
        if not any(fault.holds(trajectory, student.min_f1) for fault in FAULTS.values())
    }


def _pieces(ids: Sequence[int], mask: Sequence[int], tokenizer: ShowsIds) -> list[tuple[str, bool]]:
    runs = groupby(zip(ids, mask, strict=True), key=lambda pair: pair[1])
    return [(tokenizer.show([token for token, _ in run]), bool(trained)) for trained, run in runs]
