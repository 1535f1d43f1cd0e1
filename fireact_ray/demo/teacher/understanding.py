"""What a question asks, worked out from its words: question text -> Chain, Comparison, Same, Sum or Unclear.

The teacher knows the almanac's language, its question forms and phrases, as a reader of English would, and
none of its facts.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass

from fireact_ray.tasks.almanac.questions import COMPARISONS, SAME, unopened
from fireact_ray.tasks.almanac.relations import RELATIONS


@dataclass(frozen=True, slots=True)
class Chain:
    """Follow `relations` one after another from `entity`."""

    relations: tuple[str, ...]
    entity: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """Which of two entities has the larger (or the smaller) number."""

    relation: str
    pair: tuple[str, str]
    larger: bool


@dataclass(frozen=True, slots=True)
class Same:
    """Whether two entities share their object."""

    relation: str
    pair: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Sum:
    terms: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Unclear:
    """A question in no form that the teacher knows."""

    text: str


Meaning = Chain | Comparison | Same | Sum | Unclear

_SUM = re.compile(r"What does (\d+(?:\+\d+)+) come to\?")


@functools.lru_cache(maxsize=4096)  # an episode asks the same question at every step
def understand(question: str) -> Meaning:
    question = unopened(question.strip())
    if (sum_of := _SUM.fullmatch(question)) is not None:
        return Sum(tuple(map(int, sum_of[1].split("+"))))
    for pattern, relation, larger in _pair_patterns():
        if (match := pattern.fullmatch(question)) is not None:
            pair = (match["a"], match["b"])
            return Same(relation, pair) if larger is None else Comparison(relation, pair, larger)
    for relation, subject in _matches(question, _question_patterns()):
        if (chain := _chain(relation, subject)) is not None:
            return chain
    return Unclear(question)


def _chain(relation: str, subject: str) -> Chain | None:
    """Peel phrases off `subject` until a name is left; None where something else is left."""
    if subject[0].isupper():
        return Chain((relation,), subject)
    for inner_relation, inner_subject in _matches(subject, _phrase_patterns()):
        inner = _chain(inner_relation, inner_subject)
        if inner is not None and RELATIONS[inner_relation].object == RELATIONS[relation].subject:
            return Chain((*inner.relations, relation), inner.entity)
    return None


_Patterns = tuple[tuple[re.Pattern[str], str], ...]


def _matches(text: str, patterns: _Patterns) -> Iterator[tuple[str, str]]:
    """(relation, its subject) for every pattern that fits the whole text."""
    for pattern, relation in patterns:
        if (match := pattern.fullmatch(text)) is not None:
            yield relation, match["e"]


@functools.cache
def _question_patterns() -> _Patterns:
    return tuple((_pattern(form), r.name) for r in RELATIONS.values() for form in r.questions)


@functools.cache
def _phrase_patterns() -> _Patterns:
    return tuple((_pattern(relation.phrase), relation.name) for relation in RELATIONS.values())


@functools.cache
def _pair_patterns() -> tuple[tuple[re.Pattern[str], str, bool | None], ...]:
    """(pattern, relation, larger?) where None marks a yes-or-no question."""
    compare = [
        (_pattern(form), relation, larger)
        for relation, (smaller_forms, larger_forms) in COMPARISONS.items()
        for larger, forms in ((False, smaller_forms), (True, larger_forms))
        for form in forms
    ]
    same = [(_pattern(form), relation, None) for relation, forms in SAME.items() for form in forms]
    return (*compare, *same)


def _pattern(form: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\\{(\w)\\\}", r"(?P<\1>.+)", re.escape(form)))
