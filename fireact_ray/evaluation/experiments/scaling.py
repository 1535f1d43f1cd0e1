"""Scores over the number of trajectories that were learnt from, with the optimizer steps that were taken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from fireact_ray.evaluation.experiments.gains import prompted_of
from fireact_ray.evaluation.experiments.results import NORMAL, Group
from fireact_ray.evaluation.experiments.shown import Figure, Row, Section, Series, Table, Value

N = "n"  # the axis
_EQUAL = 0.1  # steps that differ by no more, of the most, are called equal: epochs are whole

Lines = Mapping[str, Mapping[int, Group]]  # by what their groups share, by n


def scaling(groups: Sequence[Group]) -> Section:
    """A row for each number, a column for each line of the curve; the prompted base has no number."""
    lines, others = _lines(groups)
    numbers = sorted({n for members in lines.values() for n in members})
    rows = [_row(n, lines) for n in numbers]
    prompted = {name: prompted_of(next(iter(members.values())), groups) for name, members in lines.items()}
    if any(prompted.values()):
        values = (each.measured() if each else Value(None) for each in prompted.values())
        rows.insert(0, Row("0 (prompted)", (*values, Value(None, "count"))))
    columns = ("trajectories", *(name or "EM % [95 %]" for name in lines), "optimizer steps")
    notes = (*_falls(lines), *_unequal_steps(lines), *others)
    table = Table("Exact match by trajectories learnt from, %", columns, tuple(rows), notes)
    return Section((table,), (_figure(lines, prompted, numbers),))


def _levels(prompted: dict[str, Group | None]) -> dict[str, Group]:
    """Prompted systems by what to call them: one where all lines have the same."""
    found = {name: group for name, group in prompted.items() if group is not None}
    if len({id(group) for group in found.values()}) == 1:
        return {"prompted": next(iter(found.values()))}
    return {f"{name}, prompted": group for name, group in found.items()}


def _lines(groups: Sequence[Group]) -> tuple[Lines, list[str]]:
    """Fine-tuned groups that differ in n alone; and what is on no line, and why."""
    lines: dict[str, dict[int, Group]] = {}
    others = []
    trained = [group for group in groups if group.asked.trained and N in group.axes]
    several = len({group.asked.system for group in trained}) > 1
    for group in trained:
        if not group.axes[N].isdecimal():
            others.append(f"Not on the curve: n {group.axes[N]}, which is no number.")
            continue
        shared = [case for axis, case in group.axes.items() if axis != N]
        shared += [group.asked.system] if several else []
        shared += [group.asked.condition] if group.asked.condition != NORMAL else []
        lines.setdefault(", ".join(shared), {})[int(group.axes[N])] = group
    return {name: dict(sorted(members.items())) for name, members in lines.items()}, others


def _row(n: int, lines: Lines) -> Row:
    found = [members.get(n) for members in lines.values()]
    values = (group.measured() if group else Value(None) for group in found)
    steps = [number for group in found if group for number in group.steps]
    return Row(str(n), (*values, _steps(steps)))


def _steps(numbers: Sequence[int]) -> Value:
    """The mean, and from where to where where they differ."""
    if not numbers:
        return Value(None, "count")
    low, high = min(numbers), max(numbers)
    return Value(sum(numbers) / len(numbers), "count", *((low, high) if low < high else ()))


def _figure(lines: Lines, prompted: dict[str, Group | None], numbers: Sequence[int]) -> Figure:
    series = []
    for name, members in lines.items():
        points = (point for n, group in members.items() for point in group.measured().at(float(n)))
        series.append(Series(name or "fine-tuned", tuple(points)))
    for name, base in _levels(prompted).items():
        level = replace(base.measured(), low=None, high=None)  # a line, from the first number to the last
        series.append(Series(name, (*level.at(float(numbers[0])), *level.at(float(numbers[-1])))))
    return Figure("curve", "Exact match by trajectories learnt from", "trajectories", "exact match, %", tuple(series))


def _falls(lines: Lines) -> tuple[str, ...]:
    falls = []
    for name, members in lines.items():
        means = [value.number for group in members.values() if (value := group.measured()).number is not None]
        if any(after < before for before, after in pairwise(means)):
            falls.append(name or "the curve")
    return (f"Not rising at every step: {', '.join(falls)}.",) if falls else ()


def _unequal_steps(lines: Lines) -> tuple[str, ...]:
    """What more rows and more steps bring cannot be told apart where both grow."""
    found = []
    for name, members in lines.items():
        steps = [number for group in members.values() for number in group.steps]
        if steps and min(steps) < (1 - _EQUAL) * max(steps):
            found.append(f"{name or 'the curve'} ({min(steps):,} to {max(steps):,})")
    return (f"Students took different numbers of optimizer steps: {', '.join(found)}.",) if found else ()
