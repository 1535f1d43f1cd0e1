"""Trajectories of one system in, its report out; several reports in, one table out.

Every planned row is in every number: an episode without an answer scores 0. Only questions without a known
answer are left out of the scores, and counted.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fireact_ray.core.errors import DataError
from fireact_ray.core.types import Outcome, Score, StopReason, Trajectory
from fireact_ray.core.utils.markdown import UNKNOWN, markdown_table, shown
from fireact_ray.evaluation.metrics import Metrics, mean, mean_score, metrics_of
from fireact_ray.evaluation.paired import Paired, compare_paired

REPORT_VERSION = 1

_ERROR_CLASS = re.compile(r"([A-Z]\w+): ")


@dataclass(frozen=True, slots=True)
class Report:
    """What one system did. n_planned = n_finished + stopped + failed; means are per planned row.

    `metrics` is None where no question has a known answer; searches, steps, seconds, tokens and cost where they
    are unknown.
    """

    name: str
    n_planned: int
    n_finished: int
    stopped: Mapping[str, int]  # by stop reason
    failed: Mapping[str, int]  # by error class
    n_unscored: int
    metrics: Metrics | None
    metrics_by_kind: Mapping[str, Metrics]
    searches_per_question: float | None
    steps_per_question: float | None
    seconds_per_question: float | None
    tokens_per_question: float | None
    cost_usd: float | None
    scores: Mapping[str, Score] = field(repr=False)  # by question id, for paired tests; not in to_dict

    def __post_init__(self) -> None:
        accounted = self.n_finished + sum(self.stopped.values()) + sum(self.failed.values())
        if accounted != self.n_planned:
            raise DataError(f"Report '{self.name}': {self.n_planned} rows planned, {accounted} accounted for.")

    @classmethod
    def from_trajectories(cls, name: str, trajectories: Iterable[Trajectory], n_planned: int | None = None) -> Report:
        """`n_planned`: rows there should be, where known. Raises DataError for lost or repeated rows."""
        rows = _unique(name, trajectories)
        reasons = Counter(row.stop_reason for row in rows)
        scored = [(row.question, score) for row in rows if (score := _score(row)) is not None]
        by_kind: dict[str, list[Score]] = defaultdict(list)
        by_question: dict[str, list[Score]] = defaultdict(list)
        for question, score in scored:
            by_kind[question.kind].append(score)
            by_question[question.id].append(score)
        told = all(row.tells_steps for row in rows)
        kinds = sorted(by_kind) if set(by_kind) != {""} else []
        return cls(
            name=name,
            n_planned=len(rows) if n_planned is None else n_planned,
            n_finished=reasons[StopReason.FINISHED],
            stopped={str(reason): n for reason, n in reasons.items() if reason.outcome is Outcome.STOPPED},
            failed=_failed(rows),
            n_unscored=len(rows) - len(scored),
            metrics=metrics_of([score for _, score in scored]),
            metrics_by_kind={kind: metrics for kind in kinds if (metrics := metrics_of(by_kind[kind]))},
            searches_per_question=mean([row.n_searches for row in rows]) if told else None,
            steps_per_question=mean([len(row.steps) for row in rows]) if told else None,
            # Rows that nobody timed or counted hold zeros, and a mean of nothing but those is unknown.
            seconds_per_question=mean([row.wall_time_s for row in rows]) or None,
            tokens_per_question=mean([_tokens(row) for row in rows]) or None,
            cost_usd=_cost_usd(rows),
            scores={question: mean_score(scores) for question, scores in sorted(by_question.items())},
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, keys always in this order."""
        return {
            "version": REPORT_VERSION,
            "name": self.name,
            "n_planned": self.n_planned,
            "n_finished": self.n_finished,
            "stopped": dict(self.stopped),
            "failed": dict(self.failed),
            "n_unscored": self.n_unscored,
            "em": self.metrics.em.to_dict() if self.metrics else None,
            "f1": self.metrics.f1.to_dict() if self.metrics else None,
            "searches_per_question": self.searches_per_question,
            "steps_per_question": self.steps_per_question,
            "seconds_per_question": self.seconds_per_question,
            "tokens_per_question": self.tokens_per_question,
            "cost_usd": self.cost_usd,
            "by_kind": {kind: metrics.to_dict() for kind, metrics in self.metrics_by_kind.items()},
        }

    def to_markdown(self) -> str:
        """One system on a page: what became of its rows, scores and costs, and scores by kind."""
        outcomes = [("finished", self.n_finished), *self.stopped.items(), *self.failed.items()]
        counts = ", ".join(f"{count} {outcome}" for outcome, count in outcomes)
        costs = {
            "searches": shown(self.searches_per_question, ".2f"),
            "steps": shown(self.steps_per_question, ".2f"),
            "s/question": shown(self.seconds_per_question, ".2f"),
            "tokens/question": shown(self.tokens_per_question, ".0f"),
            "cost $": shown(self.cost_usd, ".4f"),
        }
        rows = [[kind, *_cells(metrics), str(metrics.n)] for kind, metrics in self.metrics_by_kind.items()]
        overall = ["all", *_cells(self.metrics), str(self.n_planned - self.n_unscored)]
        return (
            f"# {self.name}\n\n"
            f"{self.n_planned} planned: {counts}. {self.n_unscored} without a known answer, not scored.\n\n"
            f"{markdown_table(['questions', *_MARKS, 'n'], [overall, *rows])}\n"
            f"{markdown_table(['per question', *costs], [['mean', *costs.values()]])}"
        )


def comparison_table(reports: Sequence[Report]) -> list[dict[str, Any]]:
    """One row of plain JSON types per report.

    `versus_first` compares exact match with the first report's, by question, in percentage points; it
    is None for the first, and where the questions were others.
    """
    return [
        {
            "system": report.name,
            "em": report.metrics.em.to_dict() if report.metrics else None,
            "f1": report.metrics.f1.to_dict() if report.metrics else None,
            "searches_per_question": report.searches_per_question,
            "seconds_per_question": report.seconds_per_question,
            "n": report.n_planned,
            "versus_first": _difference_dict(_versus(reports[0], report)),
        }
        for report in reports
    ]


def comparison_markdown(reports: Sequence[Report]) -> str:
    """The same table to read."""
    versus = [f"EM vs {reports[0].name}", "p"] if len(reports) > 1 else []
    header = ["system", *_MARKS, "searches", "s/question", "n", *versus]
    rows = [
        [
            report.name,
            *_cells(report.metrics),
            shown(report.searches_per_question, ".2f"),
            shown(report.seconds_per_question, ".2f"),
            str(report.n_planned),
            *_difference_cells(_versus(reports[0], report))[: len(versus)],
        ]
        for report in reports
    ]
    return markdown_table(header, rows)


_MARKS = ("EM % [95%]", "F1 % [95%]")


def _cells(metrics: Metrics | None) -> list[str]:
    return [shown(metrics.em), shown(metrics.f1)] if metrics else [UNKNOWN, UNKNOWN]


def _versus(first: Report, report: Report) -> Paired | None:
    if report is first or not first.scores or first.scores.keys() != report.scores.keys():
        return None
    exact = [{question: s.exact_match for question, s in r.scores.items()} for r in (first, report)]
    return compare_paired(*exact)


def _difference_dict(paired: Paired | None) -> dict[str, float] | None:
    if paired is None:
        return None
    low, high = paired.interval
    return {
        "points": 100 * paired.difference,
        "low": 100 * low,
        "high": 100 * high,
        "p_value": paired.p_value,
    }


def _difference_cells(paired: Paired | None) -> list[str]:
    if paired is None:
        return [UNKNOWN, UNKNOWN]
    low, high = paired.interval
    return [f"{100 * paired.difference:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]", f"{paired.p_value:.3g}"]


def _unique(name: str, trajectories: Iterable[Trajectory]) -> list[Trajectory]:
    """Sorted by key, so that the order of arrival changes no digit of a report."""
    rows = sorted(trajectories, key=lambda row: row.trajectory_id)
    if not rows:
        raise DataError(f"Report '{name}': no trajectory to report on.")
    for row, after in itertools.pairwise(rows):
        if row.trajectory_id == after.trajectory_id:
            raise DataError(f"Report '{name}': row {row.trajectory_id} occurs twice.")
    return rows


def _score(row: Trajectory) -> Score | None:
    """None where the question has no known answer; 0 where an episode with one ended without a score."""
    if row.score is None and row.question.answers and row.answer is None:
        return Score(0.0, 0.0)
    return row.score


def _failed(rows: Sequence[Trajectory]) -> dict[str, int]:
    kinds: Counter[str] = Counter()
    for row in rows:
        if row.stop_reason.outcome is Outcome.FAILED:
            error = _ERROR_CLASS.match(row.error or "")
            kinds[error.group(1) if error else str(row.stop_reason)] += 1
    return dict(sorted(kinds.items()))


def _tokens(row: Trajectory) -> int:
    return row.usage.prompt_tokens + row.usage.completion_tokens


def _cost_usd(rows: Sequence[Trajectory]) -> float | None:
    """The sum, or None where any row's price is unknown: a part of a bill is no bill."""
    costs = [row.cost_usd for row in rows if row.cost_usd is not None]
    return sum(costs) if len(costs) == len(rows) else None
