"""What a model says of the answers beside exact match, and how far the two agree. It is never the only metric.

Every answer with an accepted one to compare it with is judged, right ones by exact match too, so that the agreement is
known. Rows without an answer are wrong without being asked about; an answer that got no verdict counts as wrong, and is
counted.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fireact_ray.core.types import Question
from fireact_ray.core.utils.statistics import wilson_interval
from fireact_ray.core.utils.text import usd_text
from fireact_ray.evaluation.episodes import Episode
from fireact_ray.evaluation.metrics import Measure, Metric
from fireact_ray.evaluation.tally import metrics_of
from fireact_ray.tasks.judging import judging


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a judge said of one answer. `right` None: nothing usable; `cost_usd` None: its price is unknown."""

    right: bool | None
    cost_usd: float | None


@dataclass(frozen=True, slots=True)
class Judged:
    """Of the `n` rows that have an accepted answer. `both_right` ... count rows by what judge and exact match say.

    `n_asked`: different answers that the judge was asked about; `cost_usd`: of its verdicts on them, also where another
    report has paid for them; None where a price is unknown.
    """

    model: str
    both_right: int
    only_judge: int
    only_exact: int
    both_wrong: int
    no_verdict: int  # of the rows that the judge counts as wrong: those that it said nothing usable of
    n_asked: int
    cost_usd: float | None

    @property
    def n(self) -> int:
        return self.both_right + self.only_judge + self.only_exact + self.both_wrong

    @property
    def right(self) -> Metric:
        n_right = self.both_right + self.only_judge
        low, high = wilson_interval(n_right, self.n)
        return Metric(self.n, Measure(100 * n_right / self.n, 100 * low, 100 * high))

    @property
    def agreement(self) -> float:
        """The share of rows of which both say the same, in percent."""
        return 100 * (self.both_right + self.both_wrong) / self.n

    @property
    def sentence(self) -> str:
        return (
            f"{self.model} judges {self.right.measure} % of {self.n} rows right and agrees with exact match on "
            f"{self.agreement:.1f} %: both right {self.both_right}, only the judge {self.only_judge}, only exact match "
            f"{self.only_exact}, both wrong {self.both_wrong}; {self.no_verdict} without a verdict. It was asked about "
            f"{self.n_asked} answers, for {usd_text(self.cost_usd)} $, which is in no cost of the system"
        )

    def to_dict(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "right": self.right.to_dict(),
            "agreement_percent": self.agreement,
            "both_right": self.both_right,
            "only_judge": self.only_judge,
            "only_exact_match": self.only_exact,
            "both_wrong": self.both_wrong,
            "no_verdict": self.no_verdict,
            "n_asked": self.n_asked,
            "cost_usd": self.cost_usd,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Judged:
        """Of what `to_dict` gave."""
        same = ("model", "both_right", "only_judge", "both_wrong", "no_verdict", "n_asked", "cost_usd")
        return cls(only_exact=data["only_exact_match"], **{name: data[name] for name in same})


def to_be_judged(episodes: Iterable[Episode]) -> Iterator[tuple[Question, dict[str, Any]]]:
    """Each question to the judge, and its line in the file of them, once. `episodes`: with accepted answers."""
    seen: set[str] = set()
    for episode in episodes:
        if episode.answer is not None and (asked := _asked(episode)).id not in seen:
            seen.add(asked.id)
            accepted = list(episode.question.answers)
            yield asked, {"question": episode.question.text, "accepted": accepted, "answer": episode.answer}


def judged(model: str, episodes: Iterable[Episode], verdicts: Mapping[str, Verdict]) -> Judged | None:
    """`episodes`: with accepted answers; `verdicts`: by question to the judge. None where there is no episode."""
    counts = {(by_judge, by_match): 0 for by_judge in (True, False) for by_match in (True, False)}
    no_verdict, asked = 0, set[str]()
    for episode in episodes:
        right: bool | None = False
        if episode.answer is not None:
            asked.add(question := _asked(episode).id)
            right = verdicts[question].right if question in verdicts else None
        no_verdict += right is None
        metrics = metrics_of(episode)
        counts[bool(right), metrics is not None and metrics.exact_match == 1.0] += 1
    if not sum(counts.values()):
        return None
    costs = [verdicts[question].cost_usd if question in verdicts else None for question in asked]
    cost = None if None in costs else math.fsum(cost for cost in costs if cost is not None)
    by_both = (counts[True, True], counts[True, False], counts[False, True], counts[False, False])
    return Judged(model, *by_both, no_verdict, len(asked), cost)


def _asked(episode: Episode) -> Question:
    return judging(episode.question.text, episode.question.answers, episode.answer or "")
