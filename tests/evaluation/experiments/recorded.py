"""Results of experiments from rows that are made up here."""

from __future__ import annotations

from collections import Counter

from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.types import Action, Observation, Question, Score, Step, StopReason, Trajectory, Usage
from fireact_ray.evaluation.experiments.results import NORMAL, Asked, Result
from fireact_ray.evaluation.report import Report

SEARCH = Step("t", Action("search", "q"), Observation("text"), "", Usage(100, 10), 0.5, 0.25)
FINISH = Step("t", Action("finish", "Tarn"), None, "", Usage(150, 20), 0.75)


def rows(scored: str, *, searches: int = 1, cost: float | None = None) -> list[Trajectory]:
    """One for each character: `1` right, `0` wrong, `-` unfinished. Kinds alternate."""
    return [_row(number, right, searches, cost) for number, right in enumerate(scored)]


def result(system: str, scored: str, *, axes=None, condition=NORMAL, strength=0.0, model="nano", **more) -> Result:
    axes = axes or {}
    made = rows(scored, **{key: more[key] for key in ("searches", "cost") if key in more})
    asked = Asked(
        cell="_".join(axes.values()) or "only",
        axes=axes,
        system=system,
        condition=condition,
        strength=strength,
        trained=more.get("trained", system == "finetuned"),
        model=model,
        task=more.get("task", "almanac"),
        method=more.get("method", "react"),
        folder=Folder(f"/runs/{'_'.join(axes.values()) or 'only'}/evaluations/{system}"),
        steps=more.get("steps"),
    )
    report = Report.from_trajectories(system, made, len(made))
    return Result(asked, report, dict(Counter(len(row.steps) for row in made)))


def _row(number: int, right: str, searches: int, cost: float | None) -> Trajectory:
    finished = right != "-"
    steps = (SEARCH,) * searches + ((FINISH,) if finished else ())
    reason = StopReason.FINISHED if finished else StopReason.MAX_STEPS
    question = Question("almanac", f"q{number:04d}", "Which?", ("Tarn",), "1hop" if number % 2 else "2hop")
    score = Score(float(right == "1"), 1.0 if right == "1" else 0.5 * finished)
    return Trajectory(f"k{number:04d}", question, "react", "m", 0, steps, reason, score, None, cost)
