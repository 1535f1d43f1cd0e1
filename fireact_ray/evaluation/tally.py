"""Rows one by one in, sums and columns of numbers out: what a report is made of. No row is kept.

Every row is in every number: an episode without an answer scores 0. Only questions without a known answer are left out
of the scores, and counted.
"""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

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
    seconds: array[float] = field(default_factory=lambda: array("d"))
    tokens: array[float] = field(default_factory=lambda: array("d"))
    columns: MetricColumns = field(default_factory=MetricColumns)
    groups: dict[tuple[str, str], int] = field(default_factory=dict)  # numbers by task and kind
    group: array[int] = field(default_factory=lambda: array("l"))  # of each scored row

    def add(self, episode: Episode, score: Score | None, metrics: AnswerMetrics | None) -> None:
        """`score`: what counts, None where no answer is known. `metrics`: None where they cannot be computed."""
        self.n += 1
        self._count_outcome(episode)
        self.costs.add(episode)
        self.seconds.append(episode.model_s + episode.tool_s)
        self.tokens.append(episode.prompt_tokens + episode.completion_tokens)
        if score is None:
            self.n_unscored += 1
            return
        question = episode.question
        guessed = guesses(question) if question.answers else _NOTHING
        self._count((question.task, question.kind), score, metrics, guessed)
        if self.by_question is not None:
            self.by_question[question.id].append(score)

    def add_missing(self, n: int) -> None:
        """Rows that nobody recorded: they failed, and score 0."""
        if not n:
            return
        self.n += n
        self.failed[MISSING] += n
        for _ in range(n):
            self._count(None, WRONG)

    def count_wrong(self, task: str, kind: str, n: int) -> None:
        """So many of the unscored rows score 0 after all."""
        self.n_unscored -= n
        for _ in range(n):
            self._count((task, kind), WRONG)

    def metrics(self) -> Metrics | None:
        return self.columns.metrics()

    def metrics_by_kind(self) -> dict[str, Metrics]:
        """Empty where no question has a kind. Of several tasks, the task stands before the kind."""
        if not any(kind for _, kind in self.groups):
            return {}
        several = self._n_tasks > 1
        named = {f"{task}/{kind}" if several else kind: [n] for (task, kind), n in self.groups.items()}
        return self._of({name: ns for name, ns in named.items() if not (several and name.endswith("/"))})

    def metrics_by_task(self) -> dict[str, Metrics]:
        """Empty where all are of one task."""
        by_task: defaultdict[str, list[int]] = defaultdict(list)
        for (task, _), number in self.groups.items():
            by_task[task].append(number)
        return self._of(by_task) if self._n_tasks > 1 else {}

    @property
    def _n_tasks(self) -> int:
        return len({task for task, _ in self.groups})

    def _of(self, named: Mapping[str, list[int]]) -> dict[str, Metrics]:
        """Of the rows whose group is among the numbers, by name."""
        group = np.asarray(self.group)
        found = {name: self.columns.metrics(np.isin(group, numbers)) for name, numbers in sorted(named.items())}
        return {name: metrics for name, metrics in found.items() if metrics}

    def _count(
        self,
        of: tuple[str, str] | None,
        score: Score,
        metrics: AnswerMetrics | None = None,
        guessed: Guesses = _NOTHING,
    ) -> None:
        self.columns.add(score, metrics, guessed)
        self.group.append(_NO_GROUP if of is None else self.groups.setdefault(of, len(self.groups)))

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
