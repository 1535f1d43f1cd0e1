"""The recorded rows of an experiment's cells as results, and results that differ in their seed alone as one group."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import stdev
from typing import Literal

from fireact_ray.core.errors import DataError
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.trajectories import read_trajectories
from fireact_ray.core.types import Score
from fireact_ray.core.utils.statistics import bootstrap_interval
from fireact_ray.evaluation.experiments.shown import Unit, Value
from fireact_ray.evaluation.judged import Judged
from fireact_ray.evaluation.metrics import mean
from fireact_ray.evaluation.report import Report
from fireact_ray.evaluation.seeds import scores_over_seeds
from fireact_ray.rollouts.plan import PLAN

NORMAL = "normal"
SEED = "seed"
REPORT = "report.json"  # of an evaluation
MetricName = Literal["exact_match", "f1"]


@dataclass(frozen=True)
class Asked:
    """What a cell evaluates: a system under a condition, and where its rows lie. `axes`: the cell's place in the grid;
    `strength`: the share of searches that the condition strikes; `trained`: whether the system learnt from
    trajectories; `model`: whose weights, `task`: whose questions; `steps`: of the optimizer, that its student took,
    None where that is not known."""

    cell: str
    axes: Mapping[str, str]
    system: str
    condition: str
    strength: float
    trained: bool
    model: str
    task: str
    method: str
    folder: Folder  # of the evaluation
    steps: int | None = None


@dataclass(frozen=True)
class Result:
    """What became of it. `steps`: rows by their number of steps, of those that tell it. `rows`: the folder of the
    trajectories."""

    asked: Asked
    report: Report
    steps: Mapping[int, int]

    @property
    def rows(self) -> str:
        return (self.asked.folder / "trajectories").uri


@dataclass(frozen=True)
class Missing:
    """A cell without a result, and why."""

    cell: str
    reason: str


def read_result(asked: Asked) -> Result:
    """Every planned row is in every number. Raises DataError where some are not written."""
    rows = read_trajectories(asked.folder / "trajectories")
    planned = _planned(asked.folder) or {row.trajectory_id for row in rows}
    rows = [row for row in rows if row.trajectory_id in planned]
    if missing := len(planned) - len(rows):
        raise DataError(f"{asked.folder.uri}: {missing} of {len(planned)} rows are pending.")
    report = replace(Report.from_trajectories(asked.system, rows, len(planned)), judged=_judged(asked.folder))
    return Result(asked, report, dict(sorted(Counter(len(row.steps) for row in rows if row.tells_steps).items())))


def _judged(folder: Folder) -> Judged | None:
    """As the evaluation's own report has it: what a judge said is not in the rows."""
    said = folder.read_json(REPORT).get("judge") if folder.exists(REPORT) else None
    return None if said is None else Judged.from_dict(said)


def _planned(folder: Folder) -> set[str]:
    """None of rows that were recorded elsewhere."""
    if not folder.exists(PLAN):
        return set()
    return {key for batch in folder.read_batches(PLAN, ["trajectory_id"]) for key in batch[0].to_pylist()}


@dataclass(frozen=True)
class Group:
    """Results that differ in their seed alone. `scores`: by question, the mean over the seeds."""

    axes: Mapping[str, str]  # without the seed
    results: tuple[Result, ...]
    scores: Mapping[str, Score]

    @classmethod
    def of(cls, results: Sequence[Result]) -> Group:
        """Raises DataError where seeds scored other questions."""
        axes = {axis: case for axis, case in results[0].asked.axes.items() if axis != SEED}
        return cls(axes, tuple(results), scores_over_seeds([result.report for result in results]))

    @property
    def asked(self) -> Asked:
        return self.results[0].asked

    @property
    def reports(self) -> list[Report]:
        return [result.report for result in self.results]

    @property
    def rows(self) -> tuple[str, ...]:
        return tuple(result.rows for result in self.results)

    @property
    def steps(self) -> list[int]:
        """Of the optimizer, by seed, where they are known."""
        return [result.asked.steps for result in self.results if result.asked.steps is not None]

    @property
    def n_questions(self) -> int:
        return len(self.scores)

    def by_question(self, metric: MetricName = "exact_match") -> dict[str, float]:
        return {question: getattr(score, metric) for question, score in self.scores.items()}

    def measured(self, metric: MetricName = "exact_match") -> Value:
        """In percent. The interval is Wilson's (of an exact match, one seed) or the bootstrap's over questions."""
        metrics = self.reports[0].metrics
        if len(self.results) == 1 and metrics is not None:
            one = metrics.em if metric == "exact_match" else metrics.f1
            return Value(one.percent, "points", one.low, one.high, self.rows)
        if not (values := list(self.by_question(metric).values())):
            return Value(None, rows=self.rows)
        low, high = bootstrap_interval(values)
        return Value(100 * mean(values), "points", 100 * low, 100 * high, self.rows)

    def judged(self) -> Value:
        """What a judge takes for right, in percent; unknown where none was asked."""
        found = [report.judged.right.measure for report in self.reports if report.judged]
        if len(found) < len(self.reports):
            return Value(None, rows=self.rows)
        low, high = (found[0].low, found[0].high) if len(found) == 1 else (None, None)
        return Value(sum(one.percent for one in found) / len(found), "points", low, high, self.rows)

    def mean(self, read: Callable[[Report], float | None], unit: Unit = "mean") -> Value:
        """Over the seeds; unknown where that of any is."""
        values = [read(report) for report in self.reports]
        known = [value for value in values if value is not None]
        return Value(sum(known) / len(known) if len(known) == len(values) else None, unit, rows=self.rows)

    def spread(self) -> Value:
        """The standard deviation of exact match over the seeds, in points; unknown where there is one seed."""
        means = [report.metrics.em.percent for report in self.reports if report.metrics]
        return Value(stdev(means) if len(means) > 1 else None, "points", rows=self.rows)


def grouped(results: Sequence[Result]) -> tuple[list[Group], list[Missing]]:
    """In the order of their first results; and those whose seeds cannot be one group, with why."""
    found: dict[tuple[object, ...], list[Result]] = {}
    for result in results:
        axes = {axis: case for axis, case in result.asked.axes.items() if axis != SEED}
        key = (tuple(axes.items()), result.asked.system, result.asked.condition)
        found.setdefault(key, []).append(result)
    groups, missing = list[Group](), list[Missing]()
    for members in found.values():
        try:
            groups.append(Group.of(members))
        except DataError as error:
            missing += [Missing(cell, str(error)) for cell in dict.fromkeys(one.asked.cell for one in members)]
    return groups, missing


def label(group: Group, among: Sequence[Group]) -> str:
    """What tells it from the others: its place in the grid, then its system where cells have several."""
    place = ", ".join(f"{axis} {case}" if _is_number(case) else case for axis, case in group.axes.items())
    systems = {other.asked.system for other in among if other.axes == group.axes}
    if not place or len(systems) > 1:
        place = f"{place}: {group.asked.system}" if place else group.asked.system
    return place if group.asked.condition == NORMAL else f"{place}, {group.asked.condition}"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
