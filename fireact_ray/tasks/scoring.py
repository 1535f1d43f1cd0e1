"""How answers are compared: exact match and token F1 of SQuAD (Rajpurkar et al., 2016), as HotpotQA uses them.

The rules are those of hotpot_evaluate_v1.py (Yang et al., 2018), for one accepted answer; of several the best counts.
They differ in one corner: two texts of which nothing is left ("The The" and "the") match there and have an F1 of 0;
here what matches exactly has an F1 of 1.
"""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
from typing import NamedTuple

from fireact_ray.core.types import Score

_ARTICLE = {"a", "an", "the"}
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
    plain = text.lower().translate(_PUNCTUATION)
    if plain.isascii() and plain.isprintable():  # then words are parted by spaces alone
        return " ".join([word for word in plain.split() if word not in _ARTICLE])
    return " ".join(_ARTICLES.sub(" ", plain).split())


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
    left: dict[str, int] = {}
    for token in gold_tokens:
        left[token] = left.get(token, 0) + 1
    common = 0
    for token in answer_tokens:
        if left.get(token):
            left[token] -= 1
            common += 1
    if common == 0:
        return NOTHING
    precision, recall = common / len(answer_tokens), common / len(gold_tokens)
    return Overlap(2 * precision * recall / (precision + recall), precision, recall)


def best_overlap(answer: str, golds: Sequence[str]) -> tuple[bool, Overlap]:
    """Of normalised texts: whether one matches exactly, and the overlap with the one of the best F1."""
    if answer in golds:
        return True, ALL
    return False, max([overlap(answer, gold) for gold in golds])


def best_score(answer: str | None, golds: Sequence[str]) -> Score:
    """The best match over all accepted answers; no answer scores 0."""
    if answer is None:
        return Score(0.0, 0.0)
    exact, best = best_overlap(normalise(answer), [normalise(gold) for gold in golds])
    return Score(float(exact), best.f1)
