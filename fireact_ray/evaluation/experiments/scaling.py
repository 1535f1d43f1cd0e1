"""Scores over the number of trajectories that were learnt from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from fireact_ray.evaluation.experiments.gains import prompted_of
from fireact_ray.evaluation.experiments.results import Group
from fireact_ray.evaluation.experiments.shown import Figure, Row, Section, Series, Table, Value

N = "n"  # the axis


def scaling(groups: Sequence[Group]) -> Section:
    """A row for each number, a column for each line of the curve; the prompted base has no number."""
    lines = _lines(groups)
    numbers = sorted({int(group.axes[N]) for members in lines.values() for group in members})
    rows = [_row(str(n), n, lines) for n in numbers]
    prompted = {name: prompted_of(members[0], groups) for name, members in lines.items()}
    if any(prompted.values()):
        values = (each.measured() if each else Value(None) for each in prompted.values())
        rows.insert(0, Row("0 (prompted)", tuple(values)))
    columns = ("trajectories", *(name or "EM % [95 %]" for name in lines))
    table = Table("Exact match by trajectories learnt from, %", columns, tuple(rows), _notes(lines))
    return Section((table,), (_figure(lines, prompted, numbers),))


def _levels(prompted: dict[str, Group | None]) -> dict[str, Group]:
    """Prompted systems by what to call them: one where all lines have the same."""
    found = {name: group for name, group in prompted.items() if group is not None}
    if len({id(group) for group in found.values()}) == 1:
        return {"prompted": next(iter(found.values()))}
    return {f"{name}, prompted": group for name, group in found.items()}


def _lines(groups: Sequence[Group]) -> dict[str, list[Group]]:
    """Fine-tuned groups that differ in n alone, by what they share, in the order of n."""
    lines: dict[str, list[Group]] = {}
    for group in groups:
        if group.asked.trained and N in group.axes:
            name = ", ".join(case for axis, case in group.axes.items() if axis != N)
            lines.setdefault(name, []).append(group)
    return {name: sorted(members, key=lambda group: int(group.axes[N])) for name, members in lines.items()}


def _row(text: str, n: int, lines: dict[str, list[Group]]) -> Row:
    found = ([group for group in members if int(group.axes[N]) == n] for members in lines.values())
    return Row(text, tuple(groups[0].measured() if groups else Value(None) for groups in found))


def _figure(lines: dict[str, list[Group]], prompted: dict[str, Group | None], numbers: Sequence[int]) -> Figure:
    series = []
    for name, members in lines.items():
        points = (point for group in members for point in group.measured().at(float(group.axes[N])))
        series.append(Series(name or "fine-tuned", tuple(points)))
    for name, base in _levels(prompted).items():
        level = replace(base.measured(), low=None, high=None)  # a line, from the first number to the last
        series.append(Series(name, (*level.at(float(numbers[0])), *level.at(float(numbers[-1])))))
    return Figure("curve", "Exact match by trajectories learnt from", "trajectories", "exact match, %", tuple(series))


def _notes(lines: dict[str, list[Group]]) -> tuple[str, ...]:
    falls = []
    for name, members in lines.items():
        means = [value.number for group in members if (value := group.measured()).number is not None]
        if any(after < before for before, after in pairwise(means)):
            falls.append(name or "the curve")
    return (f"Not rising at every step: {', '.join(falls)}.",) if falls else ()
