"""Paths in, their reports out, with a table over them: what `fireact score` does."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from fireact_ray.core.errors import InputError
from fireact_ray.evaluation.recorded.places import Recording, recordings
from fireact_ray.evaluation.recorded.questions import Questions, read_questions
from fireact_ray.evaluation.recorded.reading import Reader
from fireact_ray.evaluation.recorded.rescore import Rescored, rescore
from fireact_ray.evaluation.report import Report
from fireact_ray.evaluation.tables import (
    comparison_markdown,
    comparison_table,
    judge_line,
    outcomes,
    report_page,
    versus,
)

VERSION = 2  # of its reports


# Rescored recordings and their readers, with what answers are compared with -> the same with a judge's verdicts.
Judge = Callable[[Sequence[tuple[Rescored, Reader]], Questions | None], Iterable[Rescored]]


def score_paths(
    paths: Sequence[str], against: Sequence[str], split: str, n_planned: int | None, judge: Judge | None = None
) -> list[Rescored]:
    """One report per recording, as `rescore` makes it. Raises InputError, and DataError where no row is readable."""
    found = _named_apart(list(itertools.chain.from_iterable(map(recordings, paths))))
    if not found:
        raise InputError(
            f"{' '.join(paths)}: no trajectories in it. Give a run folder that has some, or a file of rows."
        )
    questions = read_questions(against, split) if against else None
    several = len(found) > 1
    readers = [Reader(one) for one in found]
    scored = [rescore(one.recording.name, one, questions, n_planned, paired=several) for one in readers]
    return scored if judge is None else list(judge(list(zip(scored, readers, strict=True)), questions))


def scores_text(found: Sequence[Rescored]) -> str:
    """One recording on a page; several side by side, compared with the one whose questions most of them answered. Then
    what is to be known of each."""
    if len(found) == 1:
        return f"{report_page(found[0].report)}\n{_said(found[0])}"
    reports = [one.report for one in found]
    first = _compared_with(reports)
    table = comparison_markdown(reports, first)
    parts = (
        f"{one.report.name}: {outcomes(one.report)}.\n{judge_line(one.report)}{_methods(one.report)}"
        f"{_uncompared(first, one.report)}{_said(one)}"
        for one in found
    )
    return "\n".join([table, *parts])


def scores_dict(found: Sequence[Rescored]) -> dict[str, Any]:
    """Plain JSON types: every report whole, and the comparison with one of them."""
    reports = [one.report for one in found]
    first = _compared_with(reports)
    return {
        "version": VERSION,
        "recordings": [one.to_dict() for one in found],
        "compared_with": first.name,
        "comparison": comparison_table(reports, first),
    }


def _said(one: Rescored) -> str:
    return "".join(f"- {sentence}.\n" for sentence in one.said)


def _compared_with(reports: Sequence[Report]) -> Report:
    """The first of those whose questions most of the others answered, such as the first evaluation in a run."""
    return max(reports, key=lambda one: sum(one.scores.keys() == other.scores.keys() for other in reports))


def _methods(report: Report) -> str:
    """Exact match of each, where the rows are those of several."""
    shares = (f"{name} {one.em.percent:.1f} % of {one.n}" for name, one in report.metrics_by_method.items())
    return f"- Rows of several methods, each by itself: {', '.join(shares)}.\n" if report.metrics_by_method else ""


def _uncompared(first: Report, report: Report) -> str:
    """Why there is no comparison, where both are scored."""
    if report is first or not first.scores or not report.scores or versus(first, report):
        return ""
    n_same = len(first.scores.keys() & report.scores.keys())
    return (
        f"- Not compared with {first.name}: that one answers {len(first.scores)} questions and this one "
        f"{len(report.scores)}, {n_same} of them the same.\n"
    )


def _named_apart(found: Sequence[Recording]) -> list[Recording]:
    """By their paths where names occur twice."""
    names = Counter(one.name for one in found)
    return [one if names[one.name] == 1 else replace(one, name=one.path) for one in found]
