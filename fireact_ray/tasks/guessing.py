"""What no agent is needed for: how often a guess would be right that has not even read the question.

A student that answers yes-or-no questions no better than one that always says no has learned nothing about them,
whatever its exact match is; so reports show both guesses beside every kind of question.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from fireact_ray.core.types import Question
from fireact_ray.tasks.answer_metrics import VERDICTS
from fireact_ray.tasks.scoring import normalise

_EITHER = re.compile(r"\bor\b")
_CHOICES = re.compile(r"^[A-J]\. ", re.MULTILINE)


class Guesses(NamedTuple):
    """Chances in [0, 1]; None where a question offers nothing to guess from."""

    always_no: float | None = None  # of questions that are answered by yes or no
    coin: float | None = None  # even chances among the answers that a question offers


def guesses(question: Question) -> Guesses:
    """`question` has an accepted answer. Offered are yes and no, lettered choices, and both names of "A or B?"."""
    gold = normalise(question.answers[0])
    if gold in VERDICTS:
        return Guesses(float(gold == "no"), 0.5)
    if n_choices := len(_CHOICES.findall(question.text)):
        return Guesses(coin=1 / n_choices)
    if _EITHER.search(question.text) and f" {gold} " in f" {normalise(question.text)} ":
        return Guesses(coin=0.5)
    return Guesses()
