"""How answers are compared: exact match and token F1 of SQuAD (Rajpurkar et al., 2016), as HotpotQA uses them.

The rules are those of hotpot_evaluate_v1.py (Yang et al., 2018), for one accepted answer; of several the best counts.
They differ in one corner: two texts of which nothing is left ("The The" and "the") match there and have an F1 of 0;
here what matches exactly has an F1 of 1.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from fireact_ray.core.types import Score

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)
_CLOSED = {"yes", "no", "noanswer"}  # HotpotQA: no partial credit where either side is one of these


class Overlap(NamedTuple):
    """Of an answer's words with an accepted answer's, each in [0, 1]."""

    f1: float
    precision: float
    recall: float


NOTHING, ALL = Overlap(0.0, 0.0, 0.0), Overlap(1.0, 1.0, 1.0)


def normalise(text: str) -> str:
    """Lower case, no punctuation, no articles, single spaces."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def exact_match(answer: str, gold: str) -> float:
    return float(normalise(answer) == normalise(gold))


def f1(answer: str, gold: str) -> float:
    """Harmonic mean of token precision and recall; 0 where a yes/no answer does not match exactly."""
    return overlap(normalise(answer), normalise(gold)).f1


def overlap(answer: str, gold: str) -> Overlap:
    """Of two normalised texts; nothing where a yes/no answer does not match exactly."""
    if answer == gold:
        return ALL
    if answer in _CLOSED or gold in _CLOSED:
        return NOTHING
    answer_tokens, gold_tokens = answer.split(), gold.split()
    common = sum((Counter(answer_tokens) & Counter(gold_tokens)).values())
    if common == 0:
        return NOTHING
    precision, recall = common / len(answer_tokens), common / len(gold_tokens)
    return Overlap(2 * precision * recall / (precision + recall), precision, recall)


def best_overlap(answer: str, golds: Sequence[str]) -> tuple[bool, Overlap]:
    """Of normalised texts: whether one matches exactly, and the overlap with the one of the best F1."""
    return answer in golds, max((overlap(answer, gold) for gold in golds), key=lambda found: found.f1)


def best_score(answer: str | None, golds: Sequence[str]) -> Score:
    """The best match over all accepted answers; no answer scores 0."""
    if answer is None:
        return Score(0.0, 0.0)
    exact, best = best_overlap(normalise(answer), [normalise(gold) for gold in golds])
    return Score(float(exact), best.f1)
