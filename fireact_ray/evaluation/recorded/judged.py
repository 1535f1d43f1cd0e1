"""What a model says of the answers beside exact match, and how far the two agree. It is never the only metric.

Every answer with an accepted one to compare it with is judged, right ones by exact match too, so that the agreement is
known. Rows without an answer are wrong without being asked about; an answer that got no verdict counts as wrong, and is
counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fireact_ray.core.types import Question
from fireact_ray.core.utils.statistics import wilson_interval
from fireact_ray.evaluation.episodes import Episode
from fireact_ray.evaluation.metrics import Measure, Metric
from fireact_ray.evaluation.recorded.questions import Questions
from fireact_ray.evaluation.recorded.reading import Reader
from fireact_ray.evaluation.tally import metrics_of
from fireact_ray.tasks.judging import judging


@dataclass(frozen=True, slots=True)
class Judged:
    """Of the `n` rows that have an accepted answer. `both_right` ... count rows by what judge and exact match say."""

    model: str
    both_right: int
    only_judge: int
    only_exact: int
    both_wrong: int
    no_verdict: int  # of the rows that the judge counts as wrong: those that it said nothing usable of

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
            f"{self.only_exact}, both wrong {self.both_wrong}; {self.no_verdict} without a verdict"
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
        }


def to_be_judged(reader: Reader, questions: Questions | None) -> Iterator[tuple[Question, dict[str, Any]]]:
    """Each question to the judge, and its line in the file of them, once."""
    seen: set[str] = set()
    for episode in _with_answers(reader, questions):
        if episode.answer is not None and (asked := _asked(episode)).id not in seen:
            seen.add(asked.id)
            accepted = list(episode.question.answers)
            yield asked, {"question": episode.question.text, "accepted": accepted, "answer": episode.answer}


def judged(model: str, reader: Reader, questions: Questions | None, verdicts: Mapping[str, bool]) -> Judged | None:
    """`verdicts`: by question to the judge. None where no row has an accepted answer."""
    counts = {(by_judge, by_match): 0 for by_judge in (True, False) for by_match in (True, False)}
    no_verdict = 0
    for episode in _with_answers(reader, questions):
        verdict = False if episode.answer is None else verdicts.get(_asked(episode).id)
        no_verdict += verdict is None
        metrics = metrics_of(episode)
        counts[bool(verdict), metrics is not None and metrics.exact_match == 1.0] += 1
    if not sum(counts.values()):
        return None
    return Judged(model, counts[True, True], counts[True, False], counts[False, True], counts[False, False], no_verdict)


def _asked(episode: Episode) -> Question:
    return judging(episode.question.text, episode.question.answers, episode.answer or "")


def _with_answers(reader: Reader, questions: Questions | None) -> Iterator[Episode]:
    """The rows of which an accepted answer is known, read anew."""
    for found in Reader(reader.recording, reader.names).episodes():
        question = found.question if questions is None else questions.find(found.question.text)
        if question is not None and question.answers:
            yield found._replace(question=question)
