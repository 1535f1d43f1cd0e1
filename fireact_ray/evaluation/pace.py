"""How long a rollout takes, from recorded ones: for plans. Where nothing is recorded, nothing is said."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow.compute as pc

from fireact_ray.core.storage.folder import Folder

_COLUMNS = ["question_id", "wall_time_s", "overhead_s"]


@dataclass(frozen=True, slots=True)
class Pace:
    """Of `n` recorded rollouts: seconds from the beginning to the end of one, with all that it waited for; the mean."""

    seconds: float
    n: int

    def seconds_for(self, n_questions: int, at_once: int) -> float:
        """Of so many rollouts, `at_once` of them open at a time. One alone takes as long as one does."""
        return self.seconds * max(1.0, n_questions / at_once) if n_questions else 0.0


def pace_of(trajectories: Folder) -> Pace | None:
    """None where no row tells its whole time: none is there, or all are of earlier versions or went on from a
    journal."""
    seconds, n = 0.0, 0
    for name in trajectories.names(".parquet"):
        for batch in trajectories.read_batches(name, _COLUMNS):
            if "overhead_s" in batch.schema.names:
                whole = pc.drop_null(pc.add(batch["wall_time_s"], batch["overhead_s"]))
                seconds, n = seconds + (pc.sum(whole).as_py() or 0.0), n + len(whole)
    return Pace(seconds / n, n) if n else None


def together(paces: Iterable[Pace | None]) -> Pace | None:
    """Of all their rollouts."""
    known = [pace for pace in paces if pace is not None]
    n = sum(pace.n for pace in known)
    return Pace(sum(pace.seconds * pace.n for pace in known) / n, n) if n else None


def asked_in(trajectories: Folder) -> set[str]:
    """The ids of the questions that have a row there."""
    ids = set[str]()
    for name in trajectories.names(".parquet"):
        for batch in trajectories.read_batches(name, _COLUMNS[:1]):
            ids.update(batch["question_id"].to_pylist())
    return ids
