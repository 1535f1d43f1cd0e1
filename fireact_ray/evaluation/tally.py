"""Rows one by one in, sums and columns of numbers out: what a report is made of. No row is kept.

Every row is in every number: an episode without an answer scores 0. Only questions without a known answer are left out
of the scores, and counted.
"""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from fireact_ray.core.types import Outcome, Score, error_class
from fireact_ray.evaluation.costs import CostColumns
from fireact_ray.evaluation.episodes import Episode
from fireact_ray.evaluation.metrics import MetricColumns, Metrics, mean_score
from fireact_ray.tasks import TASKS
from fireact_ray.tasks.answer_metrics import AnswerMetrics
from fireact_ray.tasks.guessing import Guesses, guesses

WRONG = Score(0.0, 0.0)
_NO_GROUP = -1
_NOTHING = Guesses()
MISSING = "missing"  # rows that should be there and are not, among those that failed


class _Place(NamedTuple):
    """What rows are grouped by. `method`: empty where nobody says it."""

    task: str
    kind: str
    method: str


@dataclass(slots=True)
class Tally:
    """`by_question`: scores by question id, where they are kept for comparisons."""

    by_question: defaultdict[str, list[Score]] | None = None
    n: int = 0
    n_finished: int = 0
    stopped: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    n_unscored: int = 0
    costs: CostColumns = field(default_factory=CostColumns)
    columns: MetricColumns = field(default_factory=MetricColumns)
    groups: dict[_Place, int] = field(default_factory=dict)  # their numbers
    unanswered: dict[_Place, array[int]] = field(default_factory=dict)  # questions of those that are not scored
    group: array[int] = field(default_factory=lambda: array("l"))  # of each scored row

    def add(self, episode: Episode, score: Score | None, metrics: AnswerMetrics | None) -> None:
        """`score`: what counts, None where no answer is known. `metrics`: None where they cannot be computed."""
        self.n += 1
        self._count_outcome(episode)
        self.costs.add(episode)
        if score is None:
            self.n_unscored += 1
            return
        guessed = guesses(episode.question) if episode.question.answers else _NOTHING
        self._count(_place(episode), score, metrics, guessed, _asked(episode))
        if self.by_question is not None:
            self.by_question[episode.question.id].append(score)

    def add_unanswered(self, episode: Episode) -> None:
        """One that ended without an answer to a question of which none is known: not scored, for now."""
        self.add(episode, None, None)
        self.unanswered.setdefault(_place(episode), array("q")).append(_asked(episode))

    def count_unanswered_wrong(self) -> None:
        """They score 0 after all."""
        for place, questions in self.unanswered.items():
            self.n_unscored -= len(questions)
            for question in questions:
                self._count(place, WRONG, None, _NOTHING, question)
        self.unanswered.clear()

    def add_missing(self, n: int) -> None:
        """Rows that nobody recorded: they failed, and score 0."""
        if not n:
            return
        self.n += n
        self.failed[MISSING] += n
        self.columns.add_missing(n)
        self.group.extend([_NO_GROUP] * n)

    @property
    def n_recorded(self) -> int:
        """Rows that are there."""
        return self.n - self.failed[MISSING]

    def metrics(self) -> Metrics | None:
        return self.columns.metrics()

    def metrics_by_kind(self) -> dict[str, Metrics]:
        """Empty where no question has a kind. Of several tasks, the task stands before the kind."""
        if not any(place.kind for place in self.groups):
            return {}
        if len({place.task for place in self.groups}) == 1:
            return self._by(lambda place: place.kind)
        return self._by(lambda place: f"{place.task}/{place.kind}" if place.kind else None)

    def metrics_by_task(self) -> dict[str, Metrics]:
        """Empty where all are of one task."""
        return self._by(lambda place: place.task) if len({place.task for place in self.groups}) > 1 else {}

    def metrics_by_method(self) -> dict[str, Metrics]:
        """Of rows that say how they were made; empty where all were made by one method."""
        methods = {place.method for place in self.groups} - {""}
        return self._by(lambda place: place.method or None) if len(methods) > 1 else {}

    def _by(self, name_of: Callable[[_Place], str | None]) -> dict[str, Metrics]:
        """Of the rows whose place has a name, by name."""
        named: defaultdict[str, list[int]] = defaultdict(list)
        for place, number in self.groups.items():
            if (name := name_of(place)) is not None:
                named[name].append(number)
        group = np.asarray(self.group)
        found = {name: self.columns.metrics(np.isin(group, numbers)) for name, numbers in sorted(named.items())}
        return {name: metrics for name, metrics in found.items() if metrics}

    def _count(
        self, place: _Place, score: Score, metrics: AnswerMetrics | None, guessed: Guesses, question: int
    ) -> None:
        self.columns.add(score, metrics, guessed, question)
        self.group.append(self.groups.setdefault(place, len(self.groups)))

    def scores(self) -> dict[str, Score]:
        """By question id; the mean of several attempts."""
        return {question: mean_score(scores) for question, scores in sorted((self.by_question or {}).items())}

    def _count_outcome(self, episode: Episode) -> None:
        reason = episode.stop_reason
        if reason.outcome is Outcome.FINISHED:
            self.n_finished += 1
        elif reason.outcome is Outcome.STOPPED:
            self.stopped[str(reason)] += 1
        else:
            self.failed[error_class(episode.error) or str(reason)] += 1


def _place(episode: Episode) -> _Place:
    question = episode.question
    return _Place(question.task, question.kind, episode.method)


def _asked(episode: Episode) -> int:
    """Tells the question from others."""
    return hash((episode.question.task, episode.question.id))


def stored_score(episode: Episode) -> Score | None:
    """None where the question has no known answer; 0 where an episode with one ended without a score."""
    if episode.score is None and episode.question.answers and episode.answer is None:
        return WRONG
    return episode.score


def metrics_of(episode: Episode) -> AnswerMetrics | None:
    """As the task of its question computes them; None where no accepted answer, or no task of that name, is known."""
    task = TASKS.get(episode.question.task)
    if task is None or not episode.question.answers:
        return None
    return task.metrics(episode.question, episode.answer)
