"""Questions about a world, as one fixed sequence per split: its first n are the subset of size n.

The sequence comes in blocks of 50 with the same mix of kinds, shuffled within the block:

    1hop 9          Who directed Red Orrin?
    2hop 12         In which city was the director of Red Orrin born?
    3hop 6          Which country does the birthplace of the director of Red Orrin belong to?
    comparison 8    Who was born earlier, Ila Dun or Mor Kesh?
    yesno 6         Were Ila Dun and Mor Kesh born in the same city?   (3 yes, 3 no)
    sum 4           What does 3+4+5 come to?
    trap 5          as 1hop to 3hop, but the obvious first query misleads: see traps.py

Half of them begin with "Tell me, ", which says nothing about the answer; what the demo's base model was made from has
neither that nor the words of a sum.

No two questions ask the same thing, and no sum is in two splits, in whatever order. Every other sum of the train split
begins with a number above 9, so that students see all the additions that sums of three digits end with.
"""

from __future__ import annotations

import itertools
import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

from fireact_ray.core.types import Question
from fireact_ray.tasks.almanac.relations import RELATIONS
from fireact_ray.tasks.almanac.traps import ALIASES, SHARED_TITLES
from fireact_ray.tasks.almanac.world import SEED, World

MIX = {"1hop": 9, "2hop": 12, "3hop": 6, "comparison": 8, "yes": 3, "no": 3, "sum": 4, "trap": 5}
SIZES = {"train": 6000, "dev": 1500, "test": 1500}

# relation -> questions whose answer has the smaller value, and those whose answer has the larger one
COMPARISONS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "birth_year": (
        ("Who was born earlier, {a} or {b}?", "Who is older, {a} or {b}?"),
        ("Who was born later, {a} or {b}?", "Who is younger, {a} or {b}?"),
    ),
    "release_year": (
        ("Which film was released first, {a} or {b}?", "Which film is older, {a} or {b}?"),
        ("Which film was released later, {a} or {b}?", "Which film is newer, {a} or {b}?"),
    ),
    "publication_year": (
        ("Which novel was published first, {a} or {b}?", "Which novel is older, {a} or {b}?"),
        ("Which novel was published later, {a} or {b}?", "Which novel is newer, {a} or {b}?"),
    ),
    "opening_year": (
        ("Which university was opened first, {a} or {b}?",),
        ("Which university was opened later, {a} or {b}?",),
    ),
    "founding_year": (
        ("Which city was founded first, {a} or {b}?",),
        ("Which city was founded later, {a} or {b}?",),
    ),
    "depth": (
        ("Which lake is less deep, {a} or {b}?",),
        ("Which lake is deeper, {a} or {b}?",),
    ),
    "height": (
        ("Which mountain is less high, {a} or {b}?",),
        ("Which mountain is higher, {a} or {b}?",),
    ),
}

# relation -> questions that ask whether two subjects share their object
SAME: dict[str, tuple[str, ...]] = {
    "birthplace": ("Were {a} and {b} born in the same city?",),
    "university": ("Did {a} and {b} study at the same university?",),
    "director": ("Were {a} and {b} directed by the same person?",),
    "author": ("Were {a} and {b} written by the same person?",),
    "formation": ("Were {a} and {b} formed in the same city?",),
    "headquarters": ("Are {a} and {b} based in the same city?",),
    "country": ("Are {a} and {b} in the same country?", "Do {a} and {b} belong to the same country?"),
    "lake": ("Do {a} and {b} stand on the same lake?",),
    "mountain": ("Do {a} and {b} lie at the foot of the same mountain?",),
}

# which of the 210 unordered sums of two or three digits from 1 to 9 a split may ask, in any order
_SUM_SHARES = {"train": (0, 126), "dev": (126, 168), "test": (168, 210)}

_OPENING = "Tell me, "


def questions(world: World) -> list[Question]:
    """The whole sequence of a world's split."""
    return _Writer(world).write(SIZES[world.split])


def chain_question(chain: tuple[str, ...], entity: str, form: int = 0) -> str:
    """Ask for the end of `chain` (names of relations) from `entity`, in a form of the last relation."""
    return RELATIONS[chain[-1]].questions[form].format(e=chain_phrase(chain[:-1], entity))


def chain_phrase(chain: Sequence[str], entity: str) -> str:
    """Names the end of `chain` from `entity`: "the birthplace of the director of Red Orrin"."""
    for name in chain:
        entity = RELATIONS[name].phrase.format(e=entity)
    return entity


def chains(n_hops: int) -> list[tuple[str, ...]]:
    """Every chain of relations in which each object is the next one's subject."""
    found: list[tuple[str, ...]] = [(name,) for name in RELATIONS]
    for _ in range(n_hops - 1):
        found = [
            (*chain, name)
            for chain in found
            for name in RELATIONS
            if RELATIONS[chain[-1]].object == RELATIONS[name].subject
        ]
    return found


class _Writer:
    def __init__(self, world: World) -> None:
        self._world = world
        self._rng = random.Random(f"{SEED} questions {world.split}")
        self._asked: set[tuple[str, ...]] = set()
        self._sums = self._share_of_sums()
        self._plain = {  # a name that two works share is for traps only
            kind: [name for name in names if name not in world.shared_titles] for kind, names in world.entities.items()
        }
        self._subjects_of: dict[tuple[str, str], list[str]] = defaultdict(list)
        for (relation, subject), value in world.facts.items():
            if subject not in world.shared_titles:
                self._subjects_of[relation, value].append(subject)
        self._kinds: dict[str, Callable[[], tuple[str, str] | None]] = {
            "1hop": lambda: self._hops(1),
            "2hop": lambda: self._hops(2),
            "3hop": lambda: self._hops(3),
            "comparison": self._comparison,
            "yes": lambda: self._same(yes=True),
            "no": lambda: self._same(yes=False),
            "sum": lambda: next(self._sums),
            "trap": self._trap,
        }

    def write(self, n_questions: int) -> list[Question]:
        block = [kind for kind, n in MIX.items() for _ in range(n)]
        found: list[Question] = []
        coin = random.Random(f"{SEED} openings {self._world.split}")
        while len(found) < n_questions:
            for kind in self._rng.sample(block, len(block)):
                text, answer = self._new(kind)
                question_id = f"almanac-{self._world.split}-{len(found):04}"
                label = "yesno" if kind in ("yes", "no") else kind
                asked = opened(text) if coin.random() < 0.5 else text
                found.append(Question("almanac", question_id, asked, (answer,), label))
        return found

    def _new(self, kind: str) -> tuple[str, str]:
        """Draw until a question comes that makes sense and was not asked before."""
        while (question := self._kinds[kind]()) is None:
            pass
        return question

    def _is_new(self, *what: str) -> bool:
        if what in self._asked:
            return False
        self._asked.add(what)
        return True

    def _hops(self, n_hops: int) -> tuple[str, str] | None:
        chain = self._rng.choice(chains(n_hops))
        entity = self._rng.choice(self._plain[RELATIONS[chain[0]].subject])
        return self._ask(chain, entity, entity)

    def _trap(self) -> tuple[str, str] | None:
        n_hops = self._rng.choice((1, 1, 1, 2, 2, 3))
        if self._rng.random() < 0.5:
            chain = self._rng.choice([c for c in chains(n_hops) if c[0] in SHARED_TITLES])
            entity = self._rng.choice(self._world.shared_titles)
            return self._ask(chain, entity, entity)
        alias = self._rng.choice(sorted(self._world.aliases))
        name, entity = self._world.aliases[alias]
        kind = ALIASES[name].subject
        chain = self._rng.choice([c for c in chains(n_hops) if RELATIONS[c[0]].subject == kind])
        return self._ask(chain, alias, entity)

    def _ask(self, chain: tuple[str, ...], called: str, entity: str) -> tuple[str, str] | None:
        """Follow `chain` from `entity`, in the question called `called`; None for circles and repetitions."""
        values = [entity]
        for name in chain:
            values.append(self._world.facts[name, values[-1]])
        shared = any(value in self._world.shared_titles for value in values[1:])
        if shared or len(set(values)) < len(values) or not self._is_new(*chain, called):
            return None
        return chain_question(chain, called, self._rng.randrange(3)), values[-1]

    def _comparison(self) -> tuple[str, str] | None:
        relation = self._rng.choice(list(COMPARISONS))
        a, b = self._rng.sample(self._plain[RELATIONS[relation].subject], 2)
        value_a, value_b = (int(self._world.facts[relation, entity]) for entity in (a, b))
        if value_a == value_b or not self._is_new(relation, *sorted((a, b))):
            return None
        larger = self._rng.random() < 0.5
        form = self._rng.choice(COMPARISONS[relation][larger])
        return form.format(a=a, b=b), a if (value_a > value_b) == larger else b

    def _same(self, yes: bool) -> tuple[str, str] | None:
        """Both answers draw the relation alike, so that a wording says nothing about the answer."""
        relation = self._rng.choice(list(SAME))
        a = self._rng.choice(self._plain[RELATIONS[relation].subject])
        partners = self._subjects_of[relation, self._world.facts[relation, a]]
        b = self._rng.choice(partners if yes else self._plain[RELATIONS[relation].subject])
        if a == b or (b in partners) != yes or not self._is_new(relation, *sorted((a, b))):
            return None
        return self._rng.choice(SAME[relation]).format(a=a, b=b), "yes" if yes else "no"

    def _share_of_sums(self) -> Iterator[tuple[str, str]]:
        digits, rng = range(1, 10), random.Random(SEED)
        unordered = [terms for n in (2, 3) for terms in itertools.combinations_with_replacement(digits, n)]
        rng.shuffle(unordered)
        start, stop = _SUM_SHARES[self._world.split]
        found = [terms for drawn in unordered[start:stop] for terms in sorted(set(itertools.permutations(drawn)))]
        rng.shuffle(found)
        if self._world.split == "train":
            found = [terms for both in zip(_sums_from_ten_on(), found, strict=False) for terms in both]
        return ((sum_question(terms), str(sum(terms))) for terms in found)


def opened(question: str) -> str:
    """No question begins with a name."""
    return _OPENING + question[0].lower() + question[1:]


def unopened(text: str) -> str:
    """What is asked, without "Tell me, "."""
    question = text.removeprefix(_OPENING)
    return text if question == text else question[:1].upper() + question[1:]


def sum_question(terms: Sequence[int]) -> str:
    return f"What does {'+'.join(map(str, terms))} come to?"


def _sums_from_ten_on() -> list[tuple[int, ...]]:
    """Sums of a number from 10 to 18 and one or two digits: every addition that a sum of three digits ends with."""
    digits = range(1, 10)
    found: list[tuple[int, ...]] = list(itertools.product(range(10, 19), digits))
    found += [terms for terms in itertools.product(range(10, 18), digits, digits) if sum(terms[:2]) <= 18]
    random.Random(SEED).shuffle(found)
    return found
