"""What the teacher knows by heart: a seeded part of the almanac's facts; it can invent the rest."""

from __future__ import annotations

import functools
import random

from fireact_ray.tasks.almanac.relations import METRES, RELATIONS, YEAR
from fireact_ray.tasks.almanac.traps import ALIASES
from fireact_ray.tasks.almanac.world import SPLITS, world


class Memory:
    """Each fact is known with probability `share`, drawn from `seed` and the fact alone."""

    def __init__(self, seed: int, share: float) -> None:
        self._seed = seed
        self._share = share

    def recall(self, relation: str, subject: str) -> str | None:
        """The object, or None where it is not known."""
        return _facts().get((relation, subject)) if self._knows(relation, subject) else None

    def who_is(self, alias: str, kind: str) -> str:
        """The entity of `kind` behind an alias, or the name itself where it is none or not known as one."""
        name, entity = _aliases().get(alias, ("", alias))
        return entity if name and ALIASES[name].subject == kind and self._knows(name, entity) else alias

    def invent(self, relation: str, rng: random.Random) -> str:
        """An object of the right kind: what a model says that does not know."""
        kind = RELATIONS[relation].object
        if kind == YEAR:
            return str(rng.randint(1850, 1999))
        if kind == METRES:
            return str(rng.randint(50, 5000))
        return rng.choice(_objects()[relation])

    def _knows(self, relation: str, subject: str) -> bool:
        return random.Random(f"{self._seed} memory {relation} {subject}").random() < self._share


@functools.cache
def _facts() -> dict[tuple[str, str], str]:
    return {fact: value for split in SPLITS for fact, value in world(split).facts.items()}


@functools.cache
def _aliases() -> dict[str, tuple[str, str]]:
    return {alias: entity for split in SPLITS for alias, entity in world(split).aliases.items()}


@functools.cache
def _objects() -> dict[str, tuple[str, ...]]:
    """relation -> every object that it has somewhere."""
    found: dict[str, set[str]] = {}
    for (relation, _), value in _facts().items():
        found.setdefault(relation, set()).add(value)
    return {relation: tuple(sorted(values)) for relation, values in found.items()}
