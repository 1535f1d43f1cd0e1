"""The almanac's worlds: invented entities, the facts that link them, and the articles that state the facts.

Three worlds, train, dev and test, share no entity and no invented word; their articles form one corpus. A
passage is one sentence under its article's title, so that what an agent is shown stays short ("Ila Dun was
born in Zem."). An article names its subject in every sentence that states a fact, or in none ("She was born
in Zem."): otherwise a search would prefer the sentence with the name to the one with the fact.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Sequence
from dataclasses import dataclass

from fireact_ray.core.hashing import content_hash
from fireact_ray.core.types import Hit
from fireact_ray.tasks.almanac import names
from fireact_ray.tasks.almanac.relations import KINDS, LANGUAGE, METRES, RELATIONS, YEAR, Relation
from fireact_ray.tasks.almanac.traps import ALIASES, FESTIVAL, SHARED_TITLES, Alias

SEED = 0
SPLITS = ("train", "dev", "test")

_TRAIN_SIZES = {
    "person": 500, "film": 260, "book": 220, "band": 150, "company": 150, "university": 130,
    "city": 220, "country": 40, "lake": 80, "mountain": 80,
}  # fmt: skip
_TRAIN_TRAPS = {"shared_title": 70, "pen_name": 60, "former_name": 50}
_SHARE = {"train": 1.0, "dev": 0.45, "test": 0.45}  # of the train world's sizes
_YEARS = {"person": (1850, 1979), "university": (1500, 1899), "city": (1100, 1799)}
_METRES = {"lake": (20, 400), "mountain": (900, 7000)}
_NAMED_SHARE = 0.6  # of articles name their subject in every fact; the others use a pronoun
_LABELS = {RELATIONS[trap.relation].subject: trap.label for trap in SHARED_TITLES.values()}


@dataclass(frozen=True)
class World:
    """One split. Names stand for entities; where two works share one, the relation tells them apart."""

    split: str
    words: frozenset[str]  # every invented word of this world
    entities: dict[str, tuple[str, ...]]  # kind -> names
    shared_titles: tuple[str, ...]  # names that both a film and a book bear
    facts: dict[tuple[str, str], str]  # (relation, subject) -> object
    aliases: dict[str, tuple[str, str]]  # alias -> (name of the Alias, the entity)
    passages: tuple[Hit, ...]


def world(split: str) -> World:
    """The world of `split`, one of SPLITS."""
    return _worlds()[split]


def corpus() -> list[Hit]:
    """Every passage of every world, in a fixed order."""
    return [passage for split in SPLITS for passage in world(split).passages]


@functools.cache
def corpus_fingerprint() -> str:
    """Names the corpus by its content."""
    return content_hash([(passage.title, passage.text) for passage in corpus()])


@functools.cache
def _worlds() -> dict[str, World]:
    pool = names.WordPool(SEED)
    return {split: _Builder(split, pool).build() for split in SPLITS}


class _Builder:
    def __init__(self, split: str, pool: names.WordPool) -> None:
        self.split = split
        self.pool = pool
        self.words = pool.start_world()
        self.rng = random.Random(f"{SEED} {split}")
        self.entities: dict[str, list[str]] = {}
        self.shared_titles: list[str] = []
        self.facts: dict[tuple[str, str], str] = {}
        self.nicknames: dict[str, tuple[Alias, str]] = {}  # entity -> its alias
        self.passages: list[Hit] = []

    def build(self) -> World:
        self._name_entities()
        self._link()
        self._give_aliases()
        for kind in KINDS:
            for name in self.entities[kind]:
                self._write_article(kind, name)
        for festival, (alias, nickname) in zip(self.entities[FESTIVAL], self.nicknames.values(), strict=True):
            self.passages += [Hit(festival, d.format(f=festival, o=nickname)) for d in alias.decoys]
        return World(
            self.split,
            frozenset(self.words),
            {kind: tuple(found) for kind, found in self.entities.items()},
            tuple(self.shared_titles),
            self.facts,
            {nickname: (alias.name, name) for name, (alias, nickname) in self.nicknames.items()},
            tuple(self.passages),
        )

    def _size(self, of_train: int) -> int:
        return round(of_train * _SHARE[self.split])

    def _name_entities(self) -> None:
        for kind, n in _TRAIN_SIZES.items():
            self.entities[kind] = [self.pool.name(kind, self.rng) for _ in range(self._size(n))]
        self.shared_titles = self.entities["film"][: self._size(_TRAIN_TRAPS["shared_title"])]
        self.entities["book"][: len(self.shared_titles)] = self.shared_titles

    def _link(self) -> None:
        for relation in RELATIONS.values():
            for name in self.entities[relation.subject]:
                self.facts[relation.name, name] = self._object(relation)
        for country, city in zip(self.entities["country"], self.entities["city"], strict=False):
            self.facts["capital", country] = city
            self.facts["country", city] = country

    def _object(self, relation: Relation) -> str:
        if relation.object == YEAR:
            return str(self.rng.randint(*_YEARS.get(relation.subject, (1900, 1999))))
        if relation.object == METRES:
            return str(self.rng.randint(*_METRES[relation.subject]))
        if relation.object == LANGUAGE:
            return self.pool.word(self.rng)
        return self.rng.choice(self.entities[relation.object])

    def _give_aliases(self) -> None:
        for alias in ALIASES.values():
            for name in self.rng.sample(self.entities[alias.subject], self._size(_TRAIN_TRAPS[alias.name])):
                self.nicknames[name] = (alias, self.pool.name(alias.subject, self.rng))
        self.entities[FESTIVAL] = [self.pool.name(FESTIVAL, self.rng) for _ in self.nicknames]

    def _write_article(self, kind: str, name: str) -> None:
        shared = kind in _LABELS and name in self.shared_titles
        pronoun = names.pronoun(kind, self.rng)
        named = shared or kind == "country" or self.rng.random() < _NAMED_SHARE  # "People in {s} speak {o}."
        subject = name if named else pronoun
        sentences = []
        for relation in RELATIONS.values():
            if relation.subject == kind:
                wordings = (relation.rare,) if shared and relation.rare else relation.wordings
                sentences.append(self._state(wordings, kind, subject, self.facts[relation.name, name]))
        if name in self.nicknames:
            alias, nickname = self.nicknames[name]
            sentences.append(self._state(alias.wordings, kind, subject, nickname))
        if shared:
            other_works = (trap for trap in SHARED_TITLES.values() if trap.label != _LABELS[kind])
            sentences += [trap.decoy.format(s=name) for trap in other_works]
        n_fillers = self.rng.choice((0, 1, 1, 2) if len(sentences) > 2 else (1, 2))
        sentences += [f.format(s=pronoun) for f in self.rng.sample(names.FILLERS[kind], n_fillers)]
        title = f"{name} ({_LABELS[kind]})" if shared else name
        self.passages += [Hit(title, sentence) for sentence in sentences]

    def _state(self, wordings: Sequence[str], kind: str, subject: str, value: str) -> str:
        if subject in names.PRONOUNS:
            wordings = [wording for wording in wordings if wording.startswith("{s} ")]
        free_word = self.rng.choice(names.FREE_WORDS.get(kind, ("",)))
        return self.rng.choice(wordings).format(s=subject, o=value, x=free_word)
