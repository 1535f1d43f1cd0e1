"""Reports of one system over several seeds in; their mean, their spread and one score a question out.

Two spreads are kept apart. Over seeds (sd, range): how much luck of sampling or training moves the mean. Over questions
(the pooled interval): how far it may be from that of all questions that could have been asked. Systems are compared by
question, each question's score being its mean over the seeds, so that seeds do not pass for more questions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import stdev
from typing import Any

from fireact_ray.core.errors import DataError
from fireact_ray.core.types import Score
from fireact_ray.core.utils.markdown import markdown_table, shown
from fireact_ray.core.utils.statistics import Interval, mean_interval, t_95
from fireact_ray.evaluation.metrics import mean, mean_score
from fireact_ray.evaluation.paired import Paired, compare_paired
from fireact_ray.evaluation.report import Report
from fireact_ray.evaluation.tables import difference_cells


@dataclass(frozen=True, slots=True)
class Spread:
    """Over seeds, in the units of the values. `sd`: of the sample (k - 1); `interval`: 95%, Student's t with k - 1
    degrees of freedom. Both are None of a single seed."""

    values: tuple[float, ...]  # in the order of the reports
    mean: float
    sd: float | None
    low: float
    high: float
    interval: Interval | None

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        centre, k = mean(values), len(values)
        if k == 1:
            return cls(tuple(values), centre, None, centre, centre, None)
        sd = stdev(values)
        half = t_95(k - 1) * sd / math.sqrt(k)
        return cls(tuple(values), centre, sd, min(values), max(values), Interval(centre - half, centre + half))

    def to_dict(self) -> dict[str, Any]:
        low, high = self.interval or (None, None)
        return {
            "values": list(self.values),
            "mean": self.mean,
            "sd": self.sd,
            "min": self.low,
            "max": self.high,
            "low": low,
            "high": high,
        }

    def __str__(self) -> str:
        return f"{self.mean:.1f} ± {shown(self.sd, '.1f')} ({self.low:.1f} to {self.high:.1f})"


@dataclass(frozen=True, slots=True)
class OverSeeds:
    """One system over seeds. `em` and `f1` in percent; `scores`: by question, the mean over the seeds; `pooled`: the
    95% interval of exact match over questions, in percent."""

    name: str
    reports: tuple[Report, ...]
    em: Spread
    f1: Spread
    scores: Mapping[str, Score]
    pooled: Interval

    def versus(self, first: OverSeeds) -> Paired:
        """Exact match by question against another system's. Raises DataError where the questions were others."""
        mine, others = ({question: s.exact_match for question, s in one.scores.items()} for one in (self, first))
        return compare_paired(others, mine)

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "n_seeds": len(self.reports),
            "n_questions": len(self.scores),
            "em": self.em.to_dict(),
            "f1": self.f1.to_dict(),
            "em_over_questions": {"low": self.pooled.low, "high": self.pooled.high},
            "reports": [report.name for report in self.reports],
        }


def scores_over_seeds(reports: Sequence[Report]) -> dict[str, Score]:
    """By question, the mean over the reports of several seeds. Raises DataError where they scored other questions."""
    first = reports[0]
    for report in reports:
        if report.scores.keys() != first.scores.keys():
            raise DataError(
                f"Several seeds: '{first.name}' scored {len(first.scores)} questions and '{report.name}' "
                f"{len(report.scores)}, {len(first.scores.keys() & report.scores.keys())} of them the same. "
                "Evaluate every seed on the same questions."
            )
    return {question: mean_score([report.scores[question] for report in reports]) for question in first.scores}


def over_seeds(reports: Sequence[Report], name: str | None = None) -> OverSeeds:
    """Of the same system on the same questions, a report per seed. Raises DataError where they are not that."""
    first = reports[0] if reports else None
    if first is None or any(not report.scores or report.metrics is None for report in reports):
        raise DataError(
            "Several seeds: there is no report, or one without a scored question. Evaluate each seed first."
        )
    metrics = [report.metrics for report in reports if report.metrics]
    scores = scores_over_seeds(reports)
    low, high = mean_interval([score.exact_match for score in scores.values()])
    return OverSeeds(
        name=name or first.name,
        reports=tuple(reports),
        em=Spread.of([one.em.percent for one in metrics]),
        f1=Spread.of([one.f1.percent for one in metrics]),
        scores=scores,
        pooled=Interval(100 * low, 100 * high),
    )


def seeds_table(systems: Sequence[OverSeeds]) -> str:
    """The systems to read, compared with the first where they answered the same questions."""
    header = ["system", "EM % ± sd (range)", "F1 % ± sd (range)", "EM [95%] over questions", "seeds", "n"]
    rows = []
    for system in systems:
        same = system is not systems[0] and system.scores.keys() == systems[0].scores.keys()
        rows.append([*_cells(system), *difference_cells(system.versus(systems[0]) if same else None)])
    return markdown_table([*header, f"EM vs {systems[0].name}", "p"], rows)


def _cells(system: OverSeeds) -> list[str]:
    low, high = system.pooled
    n_seeds, n = str(len(system.reports)), str(len(system.scores))
    return [system.name, str(system.em), str(system.f1), f"[{low:.1f}, {high:.1f}]", n_seeds, n]
