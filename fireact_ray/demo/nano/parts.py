"""What documents of the base text are put together from: pieces, questions drawn for a scene, ways to say a finding.

A document is a list of pieces, each encoded by itself as a renderer encodes the turns of a conversation.
"""

from __future__ import annotations

import random
from typing import NamedTuple

from fireact_ray.demo.nano.scenes import Scene
from fireact_ray.tasks.almanac.questions import COMPARISONS, SAME, chain_question, chains
from fireact_ray.tasks.almanac.relations import RELATIONS
from fireact_ray.tasks.almanac.traps import ALIASES


class Piece(NamedTuple):
    text: str
    given: bool = False  # a reader is told it: a question, a result
    ends_turn: bool = False  # the end token follows


Document = list[Piece]

CHAINS = {n: chains(n) for n in (1, 2, 3)}


class Ask(NamedTuple):
    """A question about a scene; `hops` are (relation, subject) on the way to the answer."""

    question: str
    hops: list[tuple[str, str]]
    answer: str


def draw_chain(scene: Scene, rng: random.Random, n_hops: int) -> Ask:
    chain = rng.choice(CHAINS[n_hops])
    start = here = scene.new(RELATIONS[chain[0]].subject)
    hops = []
    for relation in chain:
        hops.append((relation, here))
        here = scene.value(relation, here)
    return Ask(chain_question(chain, start, rng.randrange(3)), hops, here)


def draw_same(scene: Scene, rng: random.Random) -> tuple[str, str, str, bool]:
    """(relation, one subject, another, whether they have the same object), as often as not."""
    relation = rng.choice(list(SAME))
    a, b = (scene.new(RELATIONS[relation].subject) for _ in range(2))
    if rng.random() < 0.5:
        scene.share(relation, a, b)
    return relation, a, b, scene.value(relation, a) == scene.value(relation, b)


def draw_comparison(scene: Scene, rng: random.Random) -> tuple[str, str, str, bool]:
    """(relation, one subject, another, whether the larger value is asked for); the values differ."""
    relation = rng.choice(list(COMPARISONS))
    a, b = (scene.new(RELATIONS[relation].subject) for _ in range(2))
    if scene.value(relation, a) == scene.value(relation, b):
        return draw_comparison(scene, rng)
    return relation, a, b, rng.random() < 0.5


def draw_pair(rng: random.Random) -> tuple[int, int]:
    """Two different numbers such as years, depths and heights, often close to each other."""
    low, high = rng.choice(((1850, 1999), (1100, 1999), (20, 400), (900, 7000)))
    a = rng.randint(low, high)
    b = rng.randint(low, high) if rng.random() < 0.7 else a + rng.choice((-1, 1)) * rng.randint(1, 12)
    return (a, b) if a != b else draw_pair(rng)


def a_sentence(scene: Scene, rng: random.Random, subject: str) -> str:
    """Something about `subject`: a fact or an aside."""
    relations = [r.name for r in RELATIONS.values() if r.subject == scene.kind(subject)]
    return scene.sentence(rng.choice(relations), subject) if rng.random() < 0.6 else scene.aside(subject)


def beside(scene: Scene, rng: random.Random, relation: str, subject: str) -> str:
    """A sentence near the point: it shares the subject or the relation, and does not state the fact."""
    kind = scene.kind(subject)
    others = [r.name for r in RELATIONS.values() if r.subject == kind and r.name != relation]
    decoys = [decoy for alias in ALIASES.values() if alias.subject == kind for decoy in alias.decoys]
    chance = rng.random()
    if chance < 0.3 and others:
        return scene.sentence(rng.choice(others), subject)
    if chance < 0.55:
        return scene.sentence(relation, scene.new(kind))
    if chance < 0.75 and decoys:
        return rng.choice(decoys).format(f=scene.nickname("festival"), o=subject)
    return scene.aside(subject)


def fact(scene: Scene, relation: str, subject: str) -> str:
    return RELATIONS[relation].fact.format(e=subject, v=scene.value(relation, subject))


ORDERS = (  # {a}, {b}: as given; {s}, {l}: the smaller and the larger one
    "{s} is less than {l}.",
    "{s} is before {l}.",
    "{s} is smaller than {l}.",
    "{s} < {l}.",
    "{s} comes first.",
    "{l} is the larger.",
    "Of {a} and {b}, {s} is the smaller and {l} the larger.",
    "{a} is {less} than {b}.",
)
CHOICES = (  # {w}: smaller or larger; {v}: that number, {e}: whose it is
    "The {w} is {v}, that of {e}.",
    "{v} is the {w}: {e}.",
    "Taking the {w}, {v}, gives {e}.",
)
JUDGEMENTS = (  # where both are the same, where they differ
    ("{x} and {y} are the same.", "{x} and {y} are different."),
    ("Both are {x}.", "{x} is not {y}."),
    ("{x} is {y}, the same.", "{x} and {y} are not the same."),
)
SUMS = ("{a}+{b}={c}", "{a}+{b}={c}", "{a} + {b} = {c}", "{a}+{b} is {c}")


def order(a: int, b: int, form: int) -> str:
    """Which of two different numbers is smaller, in a form of ORDERS."""
    return ORDERS[form].format(a=a, b=b, s=min(a, b), l=max(a, b), less="less" if a < b else "more")


def choose(which: str, value: int, entity: str, form: int) -> str:
    """Which of two entities has the smaller (or the larger) number; `form` is one of ORDERS, each with its CHOICE."""
    return CHOICES[form % len(CHOICES)].format(w=which, v=value, e=entity)


def judge(x: str, y: str, form: int) -> str:
    """Whether two values are the same, in a form of JUDGEMENTS."""
    return JUDGEMENTS[form][x != y].format(x=x, y=y)


def work_out(terms: list[int], form: int) -> str:
    """A sum, one addition at a time, in a form of SUMS."""
    total, steps = terms[0], []
    for term in terms[1:]:
        steps.append(SUMS[form].format(a=total, b=term, c=total + term))
        total += term
    return ". ".join(steps) + "."


def upper(text: str) -> str:
    return text[:1].upper() + text[1:]
