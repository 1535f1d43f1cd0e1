"""Metrics of answers in, percentages with their 95% intervals out."""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import numpy as np

from fireact_ray.core.types import Score
from fireact_ray.core.utils.statistics import (
    Interval,
    grouped_mean_interval,
    grouped_wilson_interval,
    mean_interval,
    wilson_interval,
)
from fireact_ray.tasks.answer_metrics import AnswerMetrics
from fireact_ray.tasks.guessing import Guesses

# What a report shows beside exact match and F1, by the field of AnswerMetrics that it is the mean of.
OTHERS = {
    "precision": "precision",
    "recall": "recall",
    "cover_em": "cover",
    "yes_no_accuracy": "yes_no",
    "choice_accuracy": "choice",
}
GUESSES = ("always_no", "coin")  # and what guesses would have: Guesses, by its fields
_others = attrgetter(*OTHERS.values())
_NONE = math.nan
_NO_OTHERS = [_NONE] * len(OTHERS)
_COLUMNS = (*OTHERS, *GUESSES)
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
class Metric:
    """A measure of the `n` rows whose question is of its sort."""

    n: int
    measure: Measure

    def to_dict(self) -> dict[str, float]:
        return {"n": self.n, **self.measure.to_dict()}


@dataclass(frozen=True, slots=True)
class Metrics:
    """Of `n` scored rows, which ask `n_questions`. Intervals of exact match and other all-or-nothing metrics are
    Wilson's, those of F1, precision and recall the bootstrap's; both over questions, so that a question that was asked
    several times does not pass for several. `others`: the metrics of OTHERS that some row has. `guesses`: what a guess
    would have at these rows, in percent, where there is something to guess; not a measure of any agent."""

    n: int
    n_questions: int
    em: Measure
    f1: Measure
    others: Mapping[str, Metric]
    guesses: Mapping[str, float]

    def to_dict(self) -> dict[str, Any]:
        rows = {"n": self.n} | ({"n_questions": self.n_questions} if self.n_questions != self.n else {})
        scores = {**rows, "em": self.em.to_dict(), "f1": self.f1.to_dict(), "metrics": self.others_dict()}
        return scores | ({"guesses": dict(self.guesses)} if self.guesses else {})

    def others_dict(self) -> dict[str, Any]:
        return {name: metric.to_dict() for name, metric in self.others.items()}


class MetricColumns:
    """The metrics of many rows, in their order: 8 bytes for each, NaN where a row has none, and 8 of its question."""

    def __init__(self) -> None:
        self._values = array("d")
        self._asked = array("q")
        self._n_unknown = 0

    def add(self, score: Score, metrics: AnswerMetrics | None, guessed: Guesses, question: int) -> None:
        """`metrics`: None where no accepted answer is known to compute them from. `question`: a hash of it."""
        others = _NO_OTHERS if metrics is None else [_NONE if x is None else x for x in _others(metrics)]
        chances = (_NONE if chance is None else chance for chance in guessed)
        self._values.extend((score.exact_match, score.f1, *others, *chances))
        self._asked.append(question)

    def add_missing(self, n: int) -> None:
        """So many rows of questions that nobody knows, each another one: 0 in what all the other rows have."""
        others = [0.0 if has_it else _NONE for has_it in self._held_by_all()]
        self._values.extend([0.0, 0.0, *others, *[_NONE] * len(GUESSES)] * n)
        self._asked.extend(range(self._n_unknown, self._n_unknown + n))
        self._n_unknown += n

    def metrics(self, of: np.ndarray | None = None) -> Metrics | None:
        """`of`: (rows,) bool, which rows count; all where None. The result is None where there is no row."""
        rows, asked = self._rows(), np.asarray(self._asked)
        if of is not None:
            rows, asked = rows[of], asked[of]
        if not len(rows):
            return None
        _, asked = np.unique(asked, return_inverse=True)  # numbers of questions
        columns = {name: ~np.isnan(column) for name, column in zip(_COLUMNS, rows.T[2:], strict=True)}
        found = {name: (rows.T[2 + at][known], asked[known]) for at, (name, known) in enumerate(columns.items())}
        found = {name: one for name, one in found.items() if len(one[0])}
        others = {name: Metric(len(found[name][0]), _measure(name, *found[name])) for name in OTHERS if name in found}
        # Of all rows: one where there is nothing to guess is guessed wrong.
        guessed = {name: 100 * math.fsum(found[name][0]) / len(rows) for name in GUESSES if name in found}
        em, f1 = _proportion(rows[:, 0], asked), _mean(rows[:, 1], asked)
        return Metrics(len(rows), int(asked.max()) + 1, em, f1, others, guessed)

    def _held_by_all(self) -> list[bool]:
        """Of each of OTHERS, whether there are rows and none is without it."""
        rows = self._rows()
        return [len(rows) > 0 and not np.isnan(rows[:, 2 + at]).any() for at in range(len(OTHERS))]

    def _rows(self) -> np.ndarray:
        return np.asarray(self._values).reshape(-1, 2 + len(_COLUMNS))


def mean_score(scores: Sequence[Score]) -> Score:
    return Score(mean([score.exact_match for score in scores]), mean([score.f1 for score in scores]))


def mean(values: Sequence[float] | np.ndarray) -> float:
    return math.fsum(values) / len(values)


def _measure(name: str, values: np.ndarray, asked: np.ndarray) -> Measure:
    return _proportion(values, asked) if name in _ALL_OR_NOTHING else _mean(values, asked)


def _proportion(values: np.ndarray, asked: np.ndarray) -> Measure:
    sums, sizes = _by_question(values, asked)
    if len(sums) == len(values):
        return _percent(mean(values), wilson_interval(math.fsum(values), len(values)))
    return _percent(mean(values), grouped_wilson_interval(sums, sizes))


def _mean(values: np.ndarray, asked: np.ndarray) -> Measure:
    sums, sizes = _by_question(values, asked)
    if len(sums) == len(values):
        return _percent(mean(values), mean_interval(values))
    return _percent(mean(values), grouped_mean_interval(sums, sizes))


def _by_question(values: np.ndarray, asked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sum and number of the values of each question that has any."""
    sizes = np.bincount(asked)
    has_any = sizes > 0
    return np.bincount(asked, values)[has_any], sizes[has_any]


def _percent(value: float, interval: Interval) -> Measure:
    return Measure(100 * value, 100 * interval.low, 100 * interval.high)
