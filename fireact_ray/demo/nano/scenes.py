"""Small invented scenes in the almanac's language, about nothing that the almanac knows.

A scene is made up as it is written about: asking for a fact that is still open invents it. No scene holds a
word of the almanac's worlds, or of another scene except by chance, so a model can learn to read them and
nothing by heart.
"""

from __future__ import annotations

import functools
import random

from fireact_ray.tasks.almanac import names
from fireact_ray.tasks.almanac.relations import LANGUAGE, METRES, RELATIONS, YEAR
from fireact_ray.tasks.almanac.world import SEED, SPLITS, world

_KNOWN_AGAIN = 0.15  # chance that a new fact points to something the scene has already
_PRONOUN_SHARE = 0.4  # of the sentences that can, begin with a pronoun behind the subject's title
_NUMBERS = {YEAR: (1100, 1999), METRES: (20, 7000)}


@functools.cache
def banned_words() -> frozenset[str]:
    """Every invented word of the almanac, and its plural (bands are called "The <word>s")."""
    words = {word for split in SPLITS for word in world(split).words}
    return frozenset(words | {f"{word}s" for word in words})


class FreshWords(names.WordPool):
    """Words of the almanac's syllables, but never one of its words, nor one that is given out already."""

    def __init__(self) -> None:
        super().__init__(SEED)

    def forget(self) -> None:
        self._given.clear()

    def word(self, rng: random.Random) -> str:
        while True:
            word = super().word(rng)
            if word not in banned_words() and f"{word}s" not in banned_words():
                return word


class Scene:
    """Entities and facts of one document."""

    def __init__(self, rng: random.Random, pool: FreshWords) -> None:
        pool.forget()
        self.rng = rng
        self.words = pool.start_world()  # all invented words that the document may use
        self._pool = pool
        self._of_kind: dict[str, list[str]] = {}
        self._kind: dict[str, str] = {}
        self._facts: dict[tuple[str, str], str] = {}

    def new(self, kind: str) -> str:
        name = self._pool.name(kind, self.rng)
        self._of_kind.setdefault(kind, []).append(name)
        self._kind[name] = kind
        return name

    def nickname(self, kind: str) -> str:
        """A name that belongs to no entity yet."""
        return self._pool.name(kind, self.rng)

    def kind(self, name: str) -> str:
        return self._kind[name]

    def entities(self) -> list[str]:
        return list(self._kind)

    def value(self, relation: str, subject: str) -> str:
        if (relation, subject) not in self._facts:
            self._facts[relation, subject] = self._invent(relation, subject)
        return self._facts[relation, subject]

    def share(self, relation: str, subject: str, other: str) -> None:
        """Let `other` have the same object as `subject`."""
        self._facts[relation, other] = self.value(relation, subject)

    def sentence(self, relation: str, subject: str) -> str:
        """A sentence that states the fact; a pronoun for a subject has the title before it."""
        found = RELATIONS[relation]
        word = self.rng.choice(names.FREE_WORDS.get(found.subject, ("",)))
        value = self.value(relation, subject)
        if found.subject != "country" and self.rng.random() < _PRONOUN_SHARE:
            wording = self.rng.choice([w for w in found.wordings if w.startswith("{s} ")])
            it = names.pronoun(found.subject, self.rng)
            return f"{subject}: {wording.format(s=it, o=value, x=word)}"
        return self.rng.choice(found.wordings).format(s=subject, o=value, x=word)

    def aside(self, subject: str) -> str:
        """A sentence about `subject` that states no fact."""
        kind = self._kind[subject]
        return f"{subject}: {self.rng.choice(names.FILLERS[kind]).format(s=names.pronoun(kind, self.rng))}"

    def _invent(self, relation: str, subject: str) -> str:
        wanted = RELATIONS[relation].object
        if wanted in _NUMBERS:
            return str(self._number(relation, *_NUMBERS[wanted]))
        if wanted == LANGUAGE:
            return self._pool.word(self.rng)
        known = [name for name in self._of_kind.get(wanted, ()) if name != subject]
        if known and self.rng.random() < _KNOWN_AGAIN:
            return self.rng.choice(known)
        return self.new(wanted)

    def _number(self, relation: str, low: int, high: int) -> int:
        if relation == "depth":
            return self.rng.randint(20, 400)
        if relation == "height":
            return self.rng.randint(900, 7000)
        return self.rng.randint(1800, 1999) if self.rng.random() < 0.6 else self.rng.randint(low, high)
