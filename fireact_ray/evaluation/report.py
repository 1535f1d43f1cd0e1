"""Trajectories of one system in, its report out: data, and the JSON of report.json. `tables` shows it.

Every planned row is in every number: an episode without an answer scores 0. Only questions without a known
answer are left out of the scores, and counted.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fireact_ray.core.errors import DataError
from fireact_ray.core.types import Score, Trajectory
from fireact_ray.evaluation.costs import Distribution
from fireact_ray.evaluation.episodes import episode_of
from fireact_ray.evaluation.judged import Judged
from fireact_ray.evaluation.metrics import Metrics
from fireact_ray.evaluation.tally import Tally, metrics_of, stored_score

REPORT_VERSION = 2  # 1 said `marks` where it now says `metrics`


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
    metrics_by_task: Mapping[str, Metrics]  # empty where all questions are of one task
    metrics_by_method: Mapping[str, Metrics]  # empty where all rows were made by one method
    searches_per_question: float | None
    steps_per_question: float | None
    seconds_per_question: float | None
    tokens_per_question: float | None
    cost_usd: float | None
    per_trial: Mapping[str, Distribution | None]  # by quantity of `costs`
    scores: Mapping[str, Score] = field(repr=False)  # by question id, for paired tests; not in to_dict
    judged: Judged | None = None  # where a model was asked, too

    def __post_init__(self) -> None:
        accounted = self.n_finished + sum(self.stopped.values()) + sum(self.failed.values())
        if accounted != self.n_planned:
            raise DataError(f"Report '{self.name}': {self.n_planned} rows planned, {accounted} accounted for.")

    @classmethod
    def from_trajectories(cls, name: str, trajectories: Iterable[Trajectory], n_planned: int | None = None) -> Report:
        """`n_planned`: rows there should be, where known. Raises DataError for lost or repeated rows."""
        tally = Tally(defaultdict(list))
        for row in _unique(name, trajectories):
            episode = episode_of(row)
            tally.add(episode, stored_score(episode), metrics_of(episode))
        return cls.of(name, tally, n_planned)

    @classmethod
    def of(cls, name: str, tally: Tally, n_planned: int | None = None) -> Report:
        """Raises DataError for lost rows, and for none at all."""
        if not tally.n:
            raise DataError(f"Report '{name}': no trajectory to report on.")
        per_trial = tally.costs.distributions()
        return cls(
            name=name,
            n_planned=tally.n if n_planned is None else n_planned,
            n_finished=tally.n_finished,
            stopped=dict(sorted(tally.stopped.items())),
            failed=dict(sorted(tally.failed.items())),
            n_unscored=tally.n_unscored,
            metrics=tally.metrics(),
            metrics_by_kind=tally.metrics_by_kind(),
            metrics_by_task=tally.metrics_by_task(),
            metrics_by_method=tally.metrics_by_method(),
            searches_per_question=_mean(per_trial["searches"], tally.n_recorded),
            steps_per_question=_mean(per_trial["steps"], tally.n_recorded),
            seconds_per_question=_mean_of_both(per_trial, "model_seconds", "tool_seconds", tally.n_recorded),
            tokens_per_question=_mean_of_both(per_trial, "prompt_tokens", "completion_tokens", tally.n_recorded),
            cost_usd=_bill(per_trial["cost_usd"], tally.n),
            per_trial=per_trial,
            scores=tally.scores(),
        )

    def mean_per_trial(self, quantity: str) -> float | None:
        """Of a quantity of `costs`; None where it is unknown of any row."""
        return _mean(self.per_trial[quantity], self.n_planned)

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
            "metrics": self.metrics.others_dict() if self.metrics else {},
            "by_task": {task: metrics.to_dict() for task, metrics in self.metrics_by_task.items()},
            "by_method": {method: metrics.to_dict() for method, metrics in self.metrics_by_method.items()},
            "per_trial": {name: one.to_dict() if one else None for name, one in self.per_trial.items()},
            **({"judge": self.judged.to_dict()} if self.judged else {}),
        }


def _unique(name: str, trajectories: Iterable[Trajectory]) -> list[Trajectory]:
    """Sorted by key, so that the order of arrival changes no digit of a report."""
    rows = sorted(trajectories, key=lambda row: row.trajectory_id)
    for row, after in itertools.pairwise(rows):
        if row.trajectory_id == after.trajectory_id:
            raise DataError(f"Report '{name}': row {row.trajectory_id} occurs twice.")
    return rows


def _mean(known: Distribution | None, n_rows: int) -> float | None:
    """None where it is unknown of any row: those of which it is known may be none but the failed ones."""
    return known.mean if known and known.n == n_rows else None


def _mean_of_both(per_trial: Mapping[str, Distribution | None], first: str, second: str, n_rows: int) -> float | None:
    """Of their sum; None where either is unknown of any row, so that what nobody timed or counted is no 0 in it."""
    means = (_mean(per_trial[first], n_rows), _mean(per_trial[second], n_rows))
    return None if None in means else math.fsum(one for one in means if one is not None)


def _bill(cost: Distribution | None, n_rows: int) -> float | None:
    """The sum, or None where any row's price is unknown: a part of a bill is no bill."""
    return cost.total if cost and cost.n == n_rows else None
