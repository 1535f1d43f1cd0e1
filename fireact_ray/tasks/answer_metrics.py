"""All metrics of one answer: what a trajectory stores (exact match, F1), and what is computed when it is reported.

    exact_match    the normalised answer is an accepted one
    f1             of the words of both, with precision and recall of the accepted answer that has the best F1
    cover          an accepted answer stands in the answer, word for word ("no" does not stand in "north")
    yes_no         the verdict is right, however it is put ("Yes, both are."); of questions that ask for one
    choice         the right choice is named, by letter or text; of multiple-choice questions

Each is in [0, 1], and None where the question is not of that sort. No answer gets 0.
"""

from __future__ import annotations

from dataclasses import dataclass

from fireact_ray.core.types import Question, Score
from fireact_ray.tasks.forms import verdict
from fireact_ray.tasks.scoring import best_overlap, normalise

VERDICTS = ("yes", "no")


@dataclass(frozen=True, slots=True)
class AnswerMetrics:
    exact_match: float
    f1: float
    precision: float | None = None
    recall: float | None = None
    cover: float | None = None
    yes_no: float | None = None
    choice: float | None = None

    @property
    def score(self) -> Score:
        """The part that a trajectory stores."""
        return Score(self.exact_match, self.f1)


def text_metrics(question: Question, answer: str | None) -> AnswerMetrics:
    """Of a free text against the accepted answers of a question, of which there must be one."""
    golds = [normalise(gold) for gold in question.answers]
    asks_verdict = golds[0] in VERDICTS
    if answer is None:
        return AnswerMetrics(0.0, 0.0, 0.0, 0.0, 0.0, 0.0 if asks_verdict else None)
    text = normalise(answer)
    exact, best = best_overlap(text, golds)
    covers = exact or any(f" {gold} " in f" {text} " for gold in golds if gold)
    yes_no = float(verdict(answer) == golds[0]) if asks_verdict else None
    return AnswerMetrics(float(exact), best.f1, best.precision, best.recall, float(covers), yes_no)


def verdict_metrics(right: float) -> AnswerMetrics:
    """Of a task that is scored by whether the verdict is right."""
    return AnswerMetrics(right, right, yes_no=right)


def choice_metrics(right: float) -> AnswerMetrics:
    """Of a task that is scored by whether the right choice is named."""
    return AnswerMetrics(right, right, choice=right)
