"""What faulty searches cost each system."""

from __future__ import annotations

from collections.abc import Sequence

from fireact_ray.evaluation.experiments.paper import Paper, rows_of, with_paper
from fireact_ray.evaluation.experiments.results import NORMAL, Group, label
from fireact_ray.evaluation.experiments.shown import Figure, Point, Row, Section, Series, Table, Unit, Value
from fireact_ray.evaluation.experiments.systems import against

_UNITS: dict[str, Unit] = {"em": "points", "drop": "change", "p": "p", "searches": "mean"}
_COLUMNS = ("EM % [95 %]", "against normal, points", "p", "searches")


def noise(groups: Sequence[Group], paper: Paper) -> Section:
    """Each condition against the same system's normal one, and systems against each other under the same condition, on
    the same questions."""
    rows = [(_row(group, groups), group.asked.model) for group in groups]
    table = Table(
        "Under faulty searches", ("system", *_COLUMNS), with_paper(rows, _UNITS, rows_of(paper, "robustness"))
    )
    tables = (table, between) if (between := _between(groups)).rows else (table,)
    return Section(tables, (_figure(groups),))


def _between(groups: Sequence[Group]) -> Table:
    """Each system against those before it."""
    by_system: dict[tuple[object, ...], dict[str, Group]] = {}
    for group in groups:
        by_system.setdefault((*group.axes.items(), group.asked.system), {})[group.asked.condition] = group
    systems = list(by_system.values())
    rows = [
        Row(f"{label(later, groups)} against {_name(earlier, groups)}", against(earlier, later))
        for place, conditions in enumerate(systems)
        for others in systems[:place]
        for condition, later in conditions.items()
        if (earlier := others.get(condition)) is not None
    ]
    return Table("Systems under the same faults", ("system", "EM, points", "p"), tuple(rows))


def _name(group: Group, groups: Sequence[Group]) -> str:
    return label(group, groups).removesuffix(f", {group.asked.condition}")


def _normal(group: Group, groups: Sequence[Group]) -> Group | None:
    return next(
        (
            other
            for other in groups
            if other.asked.condition == NORMAL and other.axes == group.axes and other.asked.system == group.asked.system
        ),
        None,
    )


def _row(group: Group, groups: Sequence[Group]) -> Row:
    normal = _normal(group, groups)
    drop = against(normal, group) if normal else (Value(None, "change"), Value(None, "p"))
    searches = group.mean(lambda report: report.searches_per_question)
    return Row(label(group, groups), (group.measured(), *drop, searches))


def _figure(groups: Sequence[Group]) -> Figure:
    """A line for each system and kind of fault, from no fault on."""
    lines: dict[str, list[Point]] = {}
    for group in groups:
        normal = _normal(group, groups)
        if group.asked.condition == NORMAL or normal is None:
            continue
        kind = group.asked.condition.rpartition("-")[0] or group.asked.condition
        points = lines.setdefault(f"{label(normal, groups)}, {kind}", [*normal.measured().at(0.0)])
        points += group.measured().at(group.asked.strength)
    series = tuple(
        Series(name, tuple(sorted(points, key=lambda point: float(point.x)))) for name, points in lines.items()
    )
    return Figure("curve", "Exact match under faults", "fault rate", "exact match, %", series)
