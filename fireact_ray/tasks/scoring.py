"""How answers are compared: exact match and token F1 of SQuAD (Rajpurkar et al., 2016), as HotpotQA uses them."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable, Sequence

from fireact_ray.core.types import Score

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)
_CLOSED = {"yes", "no", "noanswer"}  # HotpotQA: no partial credit where either side is one of these


def normalise(text: str) -> str:
    """Lower case, no punctuation, no articles, single spaces."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def exact_match(answer: str, gold: str) -> float:
    return float(normalise(answer) == normalise(gold))


def f1(answer: str, gold: str) -> float:
    """Harmonic mean of token precision and recall; 0 where a yes/no answer does not match exactly."""
    a, g = normalise(answer), normalise(gold)
    if a != g and (a in _CLOSED or g in _CLOSED):
        return 0.0
    answer_tokens, gold_tokens = a.split(), g.split()
    common = sum((Counter(answer_tokens) & Counter(gold_tokens)).values())
    if common == 0:
        return float(answer_tokens == gold_tokens)
    precision, recall = common / len(answer_tokens), common / len(gold_tokens)
    return 2 * precision * recall / (precision + recall)


def best_score(answer: str | None, golds: Sequence[str]) -> Score:
    """The best match over all accepted answers; no answer scores 0."""
    if answer is None:
        return Score(0.0, 0.0)
    return Score(_best(exact_match, answer, golds), _best(f1, answer, golds))


def _best(metric: Callable[[str, str], float], answer: str, golds: Sequence[str]) -> float:
    return max(metric(answer, gold) for gold in golds)
