"""What one trial costs: dollars, seconds, searches, steps, tokens; unknown where nobody counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from fireact_ray.evaluation.experiments.paper import Paper, rows_of, with_paper
from fireact_ray.evaluation.experiments.results import Group, label
from fireact_ray.evaluation.experiments.shown import Figure, Point, Row, Section, Series, Table, Unit
from fireact_ray.evaluation.report import Report

_UNITS: dict[str, Unit] = {
    "em": "points",
    "usd": "usd",
    "seconds": "seconds",
    "model_s": "seconds",
    "tool_s": "seconds",
    "overhead_s": "seconds",
    "searches": "mean",
    "steps": "mean",
    "tokens": "count",
}
_COLUMNS = (
    *("EM % [95 %]", "$", "seconds of calls", "of the model", "of tools", "overhead beside them"),
    *("searches", "steps", "tokens"),
)
_OF: dict[str, Callable[[Report], float | None]] = {
    "usd": lambda report: None if report.cost_usd is None else report.cost_usd / report.n_planned,
    "seconds": lambda report: report.seconds_per_question,
    "model_s": lambda report: report.mean_per_trial("model_seconds"),
    "tool_s": lambda report: report.mean_per_trial("tool_seconds"),
    "overhead_s": lambda report: report.mean_per_trial("overhead_seconds"),
    "searches": lambda report: report.searches_per_question,
    "steps": lambda report: report.steps_per_question,
    "tokens": lambda report: report.tokens_per_question,
}


def costs(groups: Sequence[Group], paper: Paper) -> Section:
    """Means per trial, and how many steps trials took."""
    rows = [(_row(group, groups), group.asked.model) for group in groups]
    table = Table(
        "One trial",
        ("system", *_COLUMNS),
        with_paper(rows, _UNITS, rows_of(paper, "cost")),
        (
            "Seconds are those of one trial's own calls and searches, among others that run beside it. Overhead is "
            "what it waited beside them: for a slot or the quota, between tries, for failed calls.",
        ),
    )
    return Section((table,), (_steps(groups),))


def _row(group: Group, groups: Sequence[Group]) -> Row:
    values = (group.mean(read, _UNITS[name]) for name, read in _OF.items())
    return Row(label(group, groups), (group.measured(), *values))


def _steps(groups: Sequence[Group]) -> Figure:
    series = []
    for group in groups:
        counts: Counter[int] = Counter()
        for result in group.results:
            counts.update(result.steps)
        total = sum(counts.values())
        points = (Point(float(n), 100 * count / total, rows=group.rows) for n, count in sorted(counts.items()))
        series.append(Series(label(group, groups), tuple(points)))
    return Figure("histogram", "Steps of a trial", "steps", "trials, %", tuple(series))
