"""Which questions are questions of the evaluation: the same ones, or nearly so.

A question is the set of its words, normalised as answers are (case, punctuation and articles do not count). Two are the
same when the Jaccard index of their sets reaches a threshold; 1 asks for the same words. All such pairs are found: sets
that are so alike share one of their rarest words (prefix filtering, Bayardo et al., 2007), and only those are compared.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from fireact_ray.tasks.scoring import normalise


class QuestionIndex:
    """Questions to be looked up in."""

    def __init__(self, questions: Iterable[str], threshold: float) -> None:
        self._threshold = threshold
        self._questions = list(questions)
        self._words = [_words(question) for question in self._questions]
        self._frequency = Counter(word for words in self._words for word in words)
        self._by_rare_word: dict[str, list[int]] = defaultdict(list)
        for place, words in enumerate(self._words):
            for word in self._rarest(words):
                self._by_rare_word[word].append(place)

    def find(self, question: str) -> str | None:
        """The most alike of the questions that count as the same as this one."""
        words = _words(question)
        places = sorted({place for word in self._rarest(words) for place in self._by_rare_word.get(word, ())})
        similarity, place = max(((_jaccard(words, self._words[p]), -p) for p in places), default=(0.0, 0))
        return self._questions[-place] if similarity >= self._threshold else None

    def _rarest(self, words: frozenset[str]) -> Sequence[str]:
        """So many that two sets at the threshold share one: all but those that either could lack."""
        by_rarity = sorted(words, key=lambda word: (self._frequency[word], word))
        n_shared = math.ceil(self._threshold * len(words) - 1e-9)
        return by_rarity[: len(words) - n_shared + 1]


def _words(question: str) -> frozenset[str]:
    return frozenset(normalise(question).split())


def _jaccard(a: frozenset[str], b: frozenset[str]) -> float:
    shared = len(a & b)
    return shared / (len(a) + len(b) - shared)
