"""What fine-tuning gains over prompting the same base, absolute and relative."""

from __future__ import annotations

from collections.abc import Sequence

from fireact_ray.evaluation.experiments.paper import Paper, rows_of, with_paper
from fireact_ray.evaluation.experiments.results import Group, label
from fireact_ray.evaluation.experiments.shown import Figure, Row, Section, Series, Table, Unit, Value
from fireact_ray.evaluation.experiments.systems import TEST, against

RECIPE = "recipe"

_UNITS: dict[str, Unit] = {
    "prompted": "points",
    "finetuned": "points",
    "gain": "change",
    "relative": "ratio",
    "p": "p",
    "sd": "points",
    "n": "count",
}
_COLUMNS = ("prompted EM %", "fine-tuned EM %", "gain, points", "gain, relative", "p", "sd over seeds", "questions")


def gains(groups: Sequence[Group], paper: Paper) -> Section:
    """Of each fine-tuned system against the same base, prompted, in the same recipe and test, on the same questions."""
    ours = [(group, prompted_of(group, groups)) for group in groups if group.asked.trained]
    rows = [(_row(group, prompted, groups), group.asked.model) for group, prompted in ours]
    shown = with_paper(rows, _UNITS, rows_of(paper, "finetuning"))
    return Section((Table("Fine-tuning against prompting", ("student", *_COLUMNS), shown),), (_figure(ours, groups),))


def prompted_of(group: Group, groups: Sequence[Group]) -> Group | None:
    """The same weights, prompted, that a fine-tuned system is compared with: by its own method where there are several;
    None where none were evaluated."""
    same = (RECIPE, TEST)
    found = [
        other
        for other in groups
        if not other.asked.trained
        and other.asked.model == group.asked.model
        and other.asked.condition == group.asked.condition
        and all(other.axes.get(axis) == group.axes.get(axis) for axis in same)
    ]
    return min(found, key=lambda other: other.asked.method != group.asked.method, default=None)


def _row(group: Group, prompted: Group | None, groups: Sequence[Group]) -> Row:
    after, count = group.measured(), Value(group.n_questions, "count", rows=group.rows)
    if prompted is None:
        unknown = (Value(None), after, Value(None, "change"), Value(None, "ratio"), Value(None, "p"))
        return Row(f"{label(group, groups)} (its base was not asked)", (*unknown, group.spread(), count))
    before = prompted.measured()
    gain, p = against(prompted, group)
    relative = None
    if before.number and after.number is not None:
        relative = 100 * (after.number - before.number) / before.number
    rows = (*prompted.rows, *group.rows)
    ratio = Value(relative, "ratio", rows=rows)
    return Row(label(group, groups), (before, after, gain, ratio, p, group.spread(), count))


def _figure(ours: Sequence[tuple[Group, Group | None]], groups: Sequence[Group]) -> Figure:
    series = []
    for name, which in (("prompted", 1), ("fine-tuned", 0)):
        points = (point for pair in ours if (one := pair[which]) for point in one.measured().at(label(pair[0], groups)))
        series.append(Series(name, tuple(points)))
    return Figure("bars", "Prompted and fine-tuned", "", "exact match, %", tuple(series))
