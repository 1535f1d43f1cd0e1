"""What the page offers beyond the API: a name, and questions to begin with."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fireact_ray.core.types import Question

N_EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class Example:
    """A question to begin with; `kind` as the task calls it, empty where it has none."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Offer:
    title: str = "fireact"
    examples: tuple[Example, ...] = ()


def examples_of(questions: Iterable[Question]) -> tuple[Example, ...]:
    """At most three, of as many kinds as there are: the first of each, then whatever comes first."""
    first: dict[str, Question] = {}
    rest: list[Question] = []
    for question in questions:
        if question.kind in first:
            rest.append(question)
        else:
            first[question.kind] = question
    return tuple(Example(q.kind, q.text) for q in [*first.values(), *rest][:N_EXAMPLES])
