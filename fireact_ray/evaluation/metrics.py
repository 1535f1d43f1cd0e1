"""Marks in, percentages with their 95% intervals out."""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fireact_ray.core.types import Score
from fireact_ray.core.utils.statistics import Interval, mean_interval, wilson_interval
from fireact_ray.tasks.marks import Marks

# What a report shows beside exact match and F1, by the field of Marks that it is the mean of.
OTHERS = {
    "precision": "precision",
    "recall": "recall",
    "cover_em": "cover",
    "yes_no_accuracy": "yes_no",
    "choice_accuracy": "choice",
}
_ALL_OR_NOTHING = {"cover_em", "yes_no_accuracy", "choice_accuracy"}


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
class Mark:
    """A measure of the `n` rows whose question is of its sort."""

    n: int
    measure: Measure

    def to_dict(self) -> dict[str, float]:
        return {"n": self.n, **self.measure.to_dict()}


@dataclass(frozen=True, slots=True)
class Metrics:
    """Of `n` scored rows. Intervals of exact match and other all-or-nothing marks are Wilson's, those of F1, precision
    and recall the bootstrap's. `others`: the marks of OTHERS that some row has."""

    n: int
    em: Measure
    f1: Measure
    others: Mapping[str, Mark]

    def to_dict(self) -> dict[str, Any]:
        return {"n": self.n, "em": self.em.to_dict(), "f1": self.f1.to_dict(), "marks": self.marks_dict()}

    def marks_dict(self) -> dict[str, Any]:
        return {name: mark.to_dict() for name, mark in self.others.items()}


@dataclass(slots=True)
class MarkColumns:
    """The marks of many rows: 8 bytes for each."""

    em: array[float] = field(default_factory=lambda: array("d"))
    f1: array[float] = field(default_factory=lambda: array("d"))
    others: dict[str, array[float]] = field(default_factory=lambda: {name: array("d") for name in OTHERS})

    def add(self, score: Score, marks: Marks | None) -> None:
        """`marks`: None where no accepted answer is known to compute them from."""
        self.em.append(score.exact_match)
        self.f1.append(score.f1)
        if marks is None:
            return
        for name, of in OTHERS.items():
            if (value := getattr(marks, of)) is not None:
                self.others[name].append(value)

    def metrics(self) -> Metrics | None:
        """None where there is no score."""
        if not self.em:
            return None
        others = {name: Mark(len(values), _measure(name, values)) for name, values in self.others.items() if values}
        return Metrics(len(self.em), _proportion(self.em), _mean(self.f1), others)


def mean_score(scores: Sequence[Score]) -> Score:
    return Score(mean([score.exact_match for score in scores]), mean([score.f1 for score in scores]))


def mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _measure(name: str, values: Sequence[float]) -> Measure:
    return _proportion(values) if name in _ALL_OR_NOTHING else _mean(values)


def _proportion(values: Sequence[float]) -> Measure:
    return _percent(mean(values), wilson_interval(math.fsum(values), len(values)))


def _mean(values: Sequence[float]) -> Measure:
    return _percent(mean(values), mean_interval(values))


def _percent(value: float, interval: Interval) -> Measure:
    return Measure(100 * value, 100 * interval.low, 100 * interval.high)
