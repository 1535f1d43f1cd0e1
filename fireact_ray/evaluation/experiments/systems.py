"""Scores of all systems beside each other, by kind of question, and by what was learnt and what is asked."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from fireact_ray.evaluation.experiments.paper import Paper, rows_of, with_paper
from fireact_ray.evaluation.experiments.results import NORMAL, Group, label
from fireact_ray.evaluation.experiments.shown import Figure, Row, Section, Series, Table, Unit, Value
from fireact_ray.evaluation.metrics import Metrics
from fireact_ray.evaluation.paired import compare_paired

TEST = "test"  # the axis of what is asked
_NOTE = (
    "Unfinished rows are wrong. Intervals: 95 %, Wilson's or the bootstrap's over questions. A system is compared with "
    "the first that was asked the same questions."
)

JUDGE = "judge"
_COLUMNS: dict[str, tuple[str, Unit]] = {
    "em": ("EM % [95 %]", "points"),
    "f1": ("F1 % [95 %]", "points"),
    JUDGE: ("judge % [95 %]", "points"),
    "sd": ("sd of EM over seeds", "points"),
    "searches": ("searches", "mean"),
    "n": ("questions", "count"),
    "gain": ("EM against the first", "change"),
    "p": ("p", "p"),
}


def systems(groups: Sequence[Group], paper: Paper) -> Section:
    """Each system's scores, and how far it is from the first that was asked the same questions (paired)."""
    columns = {key: column for key, column in _COLUMNS.items() if key != JUDGE or any(map(_judges, groups))}
    ours = [(_scores(group, groups, columns), group.asked.model) for group in groups]
    # Only where several methods prompt one model the paper has such a table.
    methods = {group.asked.method for group in groups if not group.asked.trained}
    units = {key: unit for key, (_, unit) in columns.items()}
    rows = with_paper(ours, units, rows_of(paper, "prompting") if len(methods) > 1 else [])
    names = ("system", *(name for name, _ in columns.values()))
    return Section((Table("Systems", names, rows, (_NOTE, *_judges_of(groups))),), (bars("Exact match", groups),))


def _judges(group: Group) -> bool:
    return group.judged().number is not None


def _judges_of(groups: Sequence[Group]) -> tuple[str, ...]:
    """Which model judged, and how far it goes with exact match."""
    found: dict[str, list[float]] = {}
    for judged in (report.judged for group in groups for report in group.reports if report.judged):
        found.setdefault(judged.model, []).append(judged.agreement)
    return tuple(
        f"Judged by {model}; it agrees with exact match on {min(shares):.1f} to {max(shares):.1f} % of a system's rows."
        for model, shares in found.items()
    )


def bars(title: str, groups: Sequence[Group]) -> Figure:
    points = tuple(point for group in groups for point in group.measured().at(label(group, groups)))
    return Figure("bars", title, "", "exact match, %", (Series("", points),))


def kinds(groups: Sequence[Group]) -> Section:
    """Exact match by the task's own kinds of questions. A group of several seeds shows the mean over them."""
    names = sorted({kind for group in groups for report in group.reports for kind in report.metrics_by_kind})
    rows = tuple(Row(label(group, groups), tuple(_of_kind(group, kind) for kind in names), "ours") for group in groups)
    return Section((Table("Exact match by kind of question, %", ("system", *names), rows),))


def matrix(groups: Sequence[Group], paper: Paper) -> Section:
    """What was learnt (rows) by what is asked (columns), in exact match."""
    asked = list(dict.fromkeys(group.axes.get(TEST, group.asked.task) for group in groups))
    by_place: dict[tuple[str, str], dict[str, Group]] = {}
    for group in groups:
        rest = ", ".join([*(case for axis, case in group.axes.items() if axis != TEST), *_condition(group)])
        place = (rest, group.asked.system)
        by_place.setdefault(place, {})[group.axes.get(TEST, group.asked.task)] = group
    ours = [
        (
            Row(
                ": ".join(part for part in place if part),
                tuple(found[test].measured() if test in found else Value(None) for test in asked),
            ),
            next(iter(found.values())).asked.model,
        )
        for place, found in by_place.items()
    ]
    entries = rows_of(paper, "generalisation")
    columns = list(
        dict.fromkeys([*asked, *(key for entry in entries for key in entry if key not in ("model", "about"))])
    )
    padded = [(Row(row.label, _padded(row.values, len(columns))), model) for row, model in ours]
    rows = with_paper(padded, dict.fromkeys(columns, "points"), entries)
    return Section((Table("Exact match, learnt by asked, %", ("learnt", *columns), rows),))


def _condition(group: Group) -> list[str]:
    return [] if group.asked.condition == NORMAL else [group.asked.condition]


def _padded(values: Sequence[Value], n: int) -> tuple[Value, ...]:
    return (*values, *(Value(None) for _ in range(n - len(values))))


def _scores(group: Group, groups: Sequence[Group], columns: Collection[str]) -> Row:
    gain, p = against(next(other for other in groups if other.scores.keys() == group.scores.keys()), group)
    values = {
        "em": group.measured(),
        "f1": group.measured("f1"),
        JUDGE: group.judged(),
        "sd": group.spread(),
        "searches": group.mean(lambda report: report.searches_per_question),
        "n": Value(group.n_questions, "count", rows=group.rows),
        "gain": gain,
        "p": p,
    }
    return Row(label(group, groups), tuple(values[key] for key in columns))


def against(first: Group, group: Group) -> tuple[Value, Value]:
    """Exact match of `group` minus that of `first` on the same questions, and its p-value; unknown where the questions
    differ."""
    ours, theirs = group.by_question(), first.by_question()
    if group is first or ours.keys() != theirs.keys() or not ours:
        return Value(None, "change"), Value(None, "p")
    found = compare_paired(theirs, ours)
    rows = (*first.rows, *group.rows)
    low, high = found.interval
    difference = Value(100 * found.difference, "change", 100 * low, 100 * high, rows)
    return difference, Value(found.p_value, "p", rows=rows)


def _of_kind(group: Group, kind: str) -> Value:
    found: list[Metrics] = [report.metrics_by_kind[kind] for report in group.reports if kind in report.metrics_by_kind]
    if not found:
        return Value(None)
    if len(found) == 1:
        return Value(found[0].em.percent, "points", found[0].em.low, found[0].em.high, group.rows)
    return Value(sum(metrics.em.percent for metrics in found) / len(found), "points", rows=group.rows)
