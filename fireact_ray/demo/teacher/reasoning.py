"""From facts to an answer: how far the known facts lead, which one is missing, and what follows when none is.

Reasoning never looks anything up: it is handed the facts, read from observations or recalled from memory.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from fireact_ray.demo.teacher import wording
from fireact_ray.demo.teacher.conversation import Facts
from fireact_ray.demo.teacher.understanding import Chain, Comparison, Same
from fireact_ray.tasks.almanac.relations import RELATIONS
from fireact_ray.tasks.almanac.traps import ALIASES

FactOf = Callable[[str, str], str | None]  # (relation, subject) -> object, None where it is not known


@dataclass(frozen=True, slots=True)
class Missing:
    """The next fact to find, and which of the question's facts it is, from 0."""

    relation: str
    subject: str
    position: int


@dataclass(frozen=True, slots=True)
class Progress:
    """`said` states what is known, in the order in which it is needed; `values` are the objects found."""

    said: tuple[str, ...]
    values: tuple[str, ...]
    missing: Missing | None


def progress(meaning: Chain | Comparison | Same, fact_of: FactOf, facts: Facts) -> Progress:
    """`facts` may hold aliases: an entity that has no fact of its own is looked up under its real name."""
    if isinstance(meaning, Chain):
        return _follow(meaning, fact_of, facts)
    said, values = list[str](), list[str]()
    for position, subject in enumerate(meaning.pair):
        value = fact_of(meaning.relation, subject)
        if value is None:
            return Progress(tuple(said), tuple(values), Missing(meaning.relation, subject, position))
        said.append(wording.fact(meaning.relation, subject, value))
        values.append(value)
    return Progress(tuple(said), tuple(values), None)


def _follow(chain: Chain, fact_of: FactOf, facts: Facts) -> Progress:
    here, said, values = chain.entity, list[str](), list[str]()
    for position, relation in enumerate(chain.relations):
        for (alias, entity), nickname in facts.items():
            if nickname == here and alias in ALIASES and ALIASES[alias].subject == RELATIONS[relation].subject:
                said.append(wording.capital(ALIASES[alias].fact.format(e=here, v=entity)))
                here = entity
                break
        value = fact_of(relation, here)
        if value is None:
            return Progress(tuple(said), tuple(values), Missing(relation, here, position))
        said.append(wording.fact(relation, here, value))
        values.append(value)
        here = value
    return Progress(tuple(said), tuple(values), None)


@dataclass(frozen=True, slots=True)
class Conclusion:
    thought: str
    answer: str


def conclude(rng: random.Random, meaning: Chain | Comparison | Same, done: Progress, slips: bool) -> Conclusion:
    """The answer that complete `done` gives, or a wrong one where the teacher `slips`."""
    if isinstance(meaning, Chain):
        answer = miscopied(rng, done.values[-1]) if slips else done.values[-1]
        return Conclusion(wording.done(rng, done.said[-1], answer), answer)
    a, b = done.values
    known = " ".join(done.said)
    if isinstance(meaning, Same):
        same = (a == b) != slips
        verdict = f"{a} and {b} are {'the same' if same else 'different'}"
        answer = "yes" if same else "no"
    else:
        a_is_less = (int(a) < int(b)) != slips
        small, large = (a, b) if a_is_less else (b, a)
        answer = meaning.pair[a_is_less == meaning.larger]
        counts = f"The {wording.which(meaning.larger)} one is {large if meaning.larger else small}, of {answer}"
        verdict = f"{small} is less than {large}. {counts}"
    return Conclusion(f"{known} {verdict}, so the answer is {answer}.", answer)


def add(rng: random.Random, terms: tuple[int, ...], slips: bool) -> Conclusion:
    total = sum(terms) + (rng.choice((-1, 1, 10)) if slips else 0)
    return Conclusion(wording.adding(terms, total), str(total))


def miscopied(rng: random.Random, value: str) -> str:
    """A wrong copy of a name or a number: one character too few or another digit."""
    if value.isdigit():
        return value[:-1] + str((int(value[-1]) + rng.randint(1, 9)) % 10)
    return value[:-1]
