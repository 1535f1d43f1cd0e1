"""Rows for the page's tests."""

from __future__ import annotations

from dataclasses import replace

from fakes import finished_trajectory

from fireact_ray.core.types import Question, Score, Trajectory
from fireact_ray.data.formats.records import Record, record_of
from fireact_ray.evaluation.viewer.page import System

WHOLE = finished_trajectory("a", cost_usd=0.25)
CLEAN = replace(WHOLE, steps=WHOLE.steps[1:])


def row(key: str, text: str, mark: float | None = 1.0, kind: str = "", **changes: object) -> Trajectory:
    """A trajectory without a fault on the question `text`; `mark`: its exact match and F1."""
    score = None if mark is None else Score(mark, mark)
    question = Question("jsonl", f"id-{text}", text, ("Ila Dun",), kind)
    return replace(CLEAN, trajectory_id=key, question=question, score=score, **changes)  # type: ignore[arg-type]


def records(*trajectories: Trajectory) -> list[Record]:
    return [record_of(trajectory, number) for number, trajectory in enumerate(trajectories, start=1)]


def system(name: str, *trajectories: Trajectory, run: str = "run", **changes: object) -> System:
    found = System(run, name, f"runs/{name}", records(*trajectories), len(trajectories), {})
    return replace(found, **changes)  # type: ignore[arg-type]
