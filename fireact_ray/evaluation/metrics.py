"""Scores in, exact match and F1 in percent with their 95% intervals out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fireact_ray.core.types import Score
from fireact_ray.core.utils.statistics import Interval, bootstrap_interval, wilson_interval


@dataclass(frozen=True, slots=True)
class Measure:
    """A mean in percent with its 95% interval."""

    percent: float
    low: float
    high: float

    def to_dict(self) -> dict[str, float]:
        return {"percent": self.percent, "low": self.low, "high": self.high}

    def __str__(self) -> str:
        return f"{self.percent:.1f} [{self.low:.1f}, {self.high:.1f}]"


@dataclass(frozen=True, slots=True)
class Metrics:
    """Exact match (Wilson interval) and F1 (bootstrap interval) of `n` scores."""

    n: int
    em: Measure
    f1: Measure

    def to_dict(self) -> dict[str, Any]:
        return {"n": self.n, "em": self.em.to_dict(), "f1": self.f1.to_dict()}


def metrics_of(scores: Sequence[Score]) -> Metrics | None:
    """None where there is no score."""
    if not scores:
        return None
    em, f1 = [score.exact_match for score in scores], [score.f1 for score in scores]
    return Metrics(
        n=len(scores),
        em=_measure(mean(em), wilson_interval(sum(em), len(em))),
        f1=_measure(mean(f1), bootstrap_interval(f1)),
    )


def mean_score(scores: Sequence[Score]) -> Score:
    return Score(mean([score.exact_match for score in scores]), mean([score.f1 for score in scores]))


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _measure(value: float, interval: Interval) -> Measure:
    return Measure(100 * value, 100 * interval.low, 100 * interval.high)
