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
    """Of each fine-tuned system against the prompted one of the same recipe and test, on the same questions."""
    ours = [(group, prompted) for group in groups if group.asked.trained and (prompted := prompted_of(group, groups))]
    rows = [(_row(group, prompted, groups), group.asked.model) for group, prompted in ours]
    shown = with_paper(rows, _UNITS, rows_of(paper, "finetuning"))
    return Section((Table("Fine-tuning against prompting", ("student", *_COLUMNS), shown),), (_figure(ours, groups),))


def prompted_of(group: Group, groups: Sequence[Group]) -> Group | None:
    """The prompted system that a fine-tuned one is compared with; None where none was evaluated."""
    same = (RECIPE, TEST)
    return next(
        (
            other
            for other in groups
            if not other.asked.trained
            and other.asked.condition == group.asked.condition
            and all(other.axes.get(axis) == group.axes.get(axis) for axis in same)
        ),
        None,
    )


def _row(group: Group, prompted: Group, groups: Sequence[Group]) -> Row:
    before, after = prompted.measured(), group.measured()
    gain, p = against(prompted, group)
    relative = None
    if before.number and after.number is not None:
        relative = 100 * (after.number - before.number) / before.number
    rows = (*prompted.rows, *group.rows)
    ratio, count = Value(relative, "ratio", rows=rows), Value(group.n_questions, "count", rows=group.rows)
    return Row(label(group, groups), (before, after, gain, ratio, p, group.spread(), count))


def _figure(ours: Sequence[tuple[Group, Group]], groups: Sequence[Group]) -> Figure:
    series = []
    for name, which in (("prompted", 1), ("fine-tuned", 0)):
        points = (point for pair in ours for point in pair[which].measured().at(label(pair[0], groups)))
        series.append(Series(name, tuple(points)))
    return Figure("bars", "Prompted and fine-tuned", "", "exact match, %", tuple(series))
