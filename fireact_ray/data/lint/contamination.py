"""Which questions are questions of the evaluation: the same ones, or nearly so.

A question is its words, folded (`core/utils/folding.py`), articles left out. Two are the same

- when the Jaccard index of their sets of words reaches a threshold; 1 asks for the same words. All such pairs are
  found: sets that are so alike share one of their rarest words (prefix filtering, Bayardo et al., 2007), and only those
  are compared;
- when one of at least six words stands, word for word, inside the other's longer text: behind an instruction, before
  answer choices. Its rarest word is then among the text's, so that a text costs as many look-ups as it has words.

A shorter one inside a longer text is found where a label (`Question:`) parts it from that, or where it is a line or a
sentence of it, word for word.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from fireact_ray.core.utils.folding import folded

Words = tuple[str, ...]

_ARTICLES = {"a", "an", "the"}
_RUN = 6  # words that a question inside a longer text has at least
_MAX_PARTS = 50  # lines or sentences of a text that are looked up by themselves
_MIN_STEM = 10  # words of a question that is taken without its answer choices: many begin alike
_LABEL = re.compile(r"(?:^|[\s\W])(?:question|problem|query|q)\s*\d{0,4}\s*\W{0,4}[:：]", re.IGNORECASE)
_ANSWER = re.compile(r"(?:^|[\s\W])(?:answer|a)\s*\W{0,4}[:：]", re.IGNORECASE)
_CHOICES = re.compile(r"[\s(\[][A-D1-4][.):\]]\s.*?[\s(\[][B-D2-4][.):\]]\s", re.DOTALL)
_ENDS = re.compile(r"\n+|(?<=[.?!:]) +")


class QuestionIndex:
    """Questions to be looked up in."""

    def __init__(self, questions: Iterable[str], threshold: float) -> None:
        self._threshold = threshold
        self._questions = list(questions)
        forms = {(words, place): None for place, text in enumerate(self._questions) for words in _forms(text)}
        self._places = [place for _, place in forms]
        self._words = [words for words, _ in forms]
        self._sets = [frozenset(words) for words in self._words]
        self._frequency = Counter(word for words in self._sets for word in words)
        self._by_rare_word: dict[str, list[int]] = defaultdict(list)
        self._by_rarest: dict[str, list[int]] = defaultdict(list)  # those of at least _RUN words
        self._by_words = dict(zip(reversed(self._words), reversed(self._places), strict=True))
        for form, words in enumerate(self._words):
            rarest = self._rarest(self._sets[form])
            for word in rarest:
                self._by_rare_word[word].append(form)
            if len(words) >= _RUN:
                self._by_rarest[rarest[0]].append(form)

    def find(self, question: str) -> str | None:
        """The most alike of the questions that count as the same as this one."""
        forms = _forms(question)
        if not forms:
            return None
        held = frozenset(forms[0])
        alike = [self._most_alike(held), *(self._most_alike(frozenset(words)) for words in forms[1:])]
        similarity, minus_place = max(alike)
        if similarity and similarity >= self._threshold:
            return self._questions[-minus_place]
        inside = self._inside(forms[0], held)
        if inside is None and not _is_one_sentence(question):
            inside = next((self._by_words[part] for part in _parts(question) if part in self._by_words), None)
        return None if inside is None else self._questions[inside]

    def _most_alike(self, words: frozenset[str]) -> tuple[float, int]:
        """The Jaccard index, and minus the place of the first question that has it."""
        found = {form for word in self._rarest(words) for form in self._by_rare_word.get(word, ())}
        return max(((_jaccard(words, self._sets[form]), -self._places[form]) for form in found), default=(0.0, 0))

    def _inside(self, words: Words, held: frozenset[str]) -> int | None:
        if len(words) < _RUN:
            return None
        found = [form for word in held if word in self._by_rarest for form in self._by_rarest[word]]
        likely = [form for form in found if self._sets[form] <= held]
        if not likely:
            return None
        text = f" {' '.join(words)} "
        inside = (self._places[form] for form in likely if f" {' '.join(self._words[form])} " in text)
        return min(inside, default=None)

    def _rarest(self, words: frozenset[str]) -> Sequence[str]:
        """So many that two sets at the threshold share one: all but those that either could lack."""
        frequency = self._frequency.get
        by_rarity = sorted([(frequency(word, 0), word) for word in words])
        n_shared = math.ceil(self._threshold * len(words) - 1e-9)
        return [word for _, word in by_rarity[: len(words) - n_shared + 1]]


def _forms(text: str) -> list[Words]:
    """The question as it stands; behind its last label; without its answer choices. Each has a word at least."""
    found = [_words(text)]
    if _is_one_sentence(text):
        return found if found[0] else []
    if ":" in text or "：" in text:
        for label in list(_LABEL.finditer(text))[-1:]:
            found.append(_words(_ANSWER.split(text[label.end() :])[0]))
    choices = _CHOICES.search(text)
    if choices and len(stem := _words(text[: choices.start()])) >= _MIN_STEM:
        found.append(stem)
    return [words for words in dict.fromkeys(found) if words]


def _parts(text: str) -> list[Words]:
    """Lines and sentences, where there are several."""
    parts = _ENDS.split(text.strip(), maxsplit=_MAX_PARTS)
    return [_words(part) for part in parts] if len(parts) > 1 else []


def _is_one_sentence(text: str) -> bool:
    """As most questions are: there is neither label nor choice in it, which are looked for at some cost."""
    return not (
        "\n" in text
        or ". " in text
        or ":" in text
        or "：" in text
        or ") " in text
        or "? " in text
        or "! " in text
        or "] " in text
    )


def _words(text: str) -> Words:
    return tuple([word for word in folded(text).split() if word not in _ARTICLES])


def _jaccard(a: frozenset[str], b: frozenset[str]) -> float:
    shared = len(a & b)
    return shared / (len(a) + len(b) - shared)
