"""How the teacher says what it thinks: the plan, what is known, what is missing, in several wordings."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Literal

from fireact_ray.tasks.almanac.relations import RELATIONS

# What a search brought that did not bring the fact: words on its subject, words on another thing, no words, an error.
Heard = Literal["near", "beside", "nothing", "failure"]

_NEED = ("I need {need}.", "I have to find {need}.", "What is asked is {need}.")
_FIRST = (
    "The steps are {steps}. First I need {need}.",
    "I need {steps}. I start with {need}.",
    "This takes {steps}. First comes {need}.",
)
_NEXT = (
    "{known} Still missing is {steps}. Now I need {need}.",
    "{known} What is left is {steps}. Next I need {need}.",
    "{known} The next step is {steps}. I look for {need}.",
)
_DONE = (
    "{known} No step is left, so the answer is {answer}.",
    "{known} Nothing is missing, so the answer is {answer}.",
    "{known} That was the last step, so the answer is {answer}.",
)
_RETRY: dict[Heard, tuple[str, ...]] = {
    "near": (
        "This does not give {need}. I try other words.",
        "That result does not tell {need}. I ask in other words.",
        "{need} is not in this result. I change the query.",
    ),
    "beside": (
        "That result is not about {subject}. I still need {need} and try other words.",
        "This speaks of something else. I look for {need} in other words.",
        "This result has nothing to do with {subject}. I ask for {need} once more.",
    ),
    "nothing": (
        "Nothing was found. I still need {need} and try other words.",
        "The search found nothing. I look for {need} in other words.",
        "There is no result. I ask for {need} once more.",
    ),
    "failure": (
        "The search failed. I still need {need} and try again.",
        "The search did not work. I look for {need} once more.",
        "That search went wrong. I ask for {need} again.",
    ),
}
_COMPARE = (
    "I compare {a} and {b} by {short}; the {which} one counts. First I need {need}.",
    "The {which} {short} of {a} and {b} decides. I start with {need}.",
)
_BOTH = (
    "I need the {short} of both {a} and {b}. First I need {need}.",
    "I compare {a} and {b} by {short}. I start with {need}.",
)
_OTHER = ("{known} Now I need {need}.", "{known} Next I need {need}.", "{known} Still missing is {need}.")


def needed(relation: str, subject: str) -> str:
    return RELATIONS[relation].phrase.format(e=subject)


def fact(relation: str, subject: str, value: str) -> str:
    return capital(RELATIONS[relation].fact.format(e=subject, v=value))


def first(rng: random.Random, relations: Sequence[str], need: str) -> str:
    forms = _NEED if len(relations) == 1 else _FIRST
    return rng.choice(forms).format(steps=steps(relations), need=need)


def following(rng: random.Random, known: str, relations: Sequence[str], need: str) -> str:
    return rng.choice(_NEXT).format(known=known, steps=steps(relations), need=need)


def done(rng: random.Random, known: str, answer: str) -> str:
    return rng.choice(_DONE).format(known=known, answer=answer)


def retry(rng: random.Random, heard: Heard, subject: str, need: str) -> str:
    return capital(rng.choice(_RETRY[heard]).format(subject=subject, need=need))


def first_of_two(rng: random.Random, relation: str, pair: tuple[str, str], larger: bool | None) -> str:
    """`larger` None: a yes-or-no question."""
    return rng.choice(_BOTH if larger is None else _COMPARE).format(
        a=pair[0],
        b=pair[1],
        short=RELATIONS[relation].short,
        which=which(larger),
        need=needed(relation, pair[0]),
    )


def second_of_two(rng: random.Random, known: str, need: str) -> str:
    return rng.choice(_OTHER).format(known=known, need=need)


def which(larger: bool | None) -> str:
    return "larger" if larger else "smaller"


def adding(terms: Sequence[int], total: int) -> str:
    """The sum step by step; `total` is what the last step is said to give."""
    said, so_far = [], terms[0]
    for i, term in enumerate(terms[1:], start=2):
        result = total if i == len(terms) else so_far + term
        said.append(f"{so_far}+{term}={result}.")
        so_far = result
    return f"No search is needed. {' '.join(said)} The answer is {total}."


def steps(relations: Sequence[str]) -> str:
    """ "the director, then the birthplace"."""
    return ", then ".join(f"the {RELATIONS[relation].short}" for relation in relations)


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]
