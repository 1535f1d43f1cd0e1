"""What choosing a method for each question could bring: at random, and by an oracle. Of recorded rows; no call."""

from __future__ import annotations

from collections.abc import Sequence

from fireact_ray.core.utils.statistics import bootstrap_interval
from fireact_ray.evaluation.experiments.paper import Paper, rows_of, with_paper
from fireact_ray.evaluation.experiments.results import Group, label
from fireact_ray.evaluation.experiments.shown import Row, Section, Table, Value
from fireact_ray.evaluation.metrics import mean


def choice(groups: Sequence[Group], paper: Paper) -> Section:
    """Of the prompted systems of each cell that differ in their method and answered the same questions: each alone, a
    method at random for each question (the expectation), and the best one for each question."""
    rows = [row for members in _by_cell(groups) for row in _rows(members, groups)]
    shown = with_paper(rows, {"em": "points"}, rows_of(paper, "choice"))
    notes = ("The oracle knows which method answers a question right: a bound, not a system.",)
    return Section((Table("One method for each question", ("method", "EM % [95 %]"), shown, notes),))


def _by_cell(groups: Sequence[Group]) -> list[list[Group]]:
    cells: dict[tuple[object, ...], list[Group]] = {}
    for group in groups:
        if not group.asked.trained and group.scores:
            key = (tuple(group.axes.items()), group.asked.condition, tuple(group.scores))
            cells.setdefault(key, []).append(group)
    return [members for members in cells.values() if len({group.asked.method for group in members}) > 1]


def _rows(members: Sequence[Group], groups: Sequence[Group]) -> list[tuple[Row, str]]:
    rows = tuple(place for group in members for place in group.rows)
    by_question = list(zip(*(group.by_question().values() for group in members), strict=True))
    chosen = {
        "a method at random": [sum(each) / len(each) for each in by_question],
        "the best method for each question": [max(each) for each in by_question],
    }
    ours = [(Row(label(group, groups), (group.measured(),)), group.asked.model) for group in members]
    return [*ours, *((Row(name, (_mean(values, rows),)), "") for name, values in chosen.items())]


def _mean(values: Sequence[float], rows: tuple[str, ...]) -> Value:
    low, high = bootstrap_interval(values)
    return Value(100 * mean(values), "points", 100 * low, 100 * high, rows)
