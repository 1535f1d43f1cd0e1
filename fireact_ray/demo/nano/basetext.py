"""The text that the nano model is made from: short documents about scenes, each kind teaching one thing.

    article      facts stated, entity after entity
    reading      sentences, then questions about them, answered with or without the way there
    copying      lists repeated, tables looked up, names put into brackets
    numbers      which of two is smaller, sums of two and three
    similarity   are two names, or two facts, the same?
    planning     a question taken apart into the facts that it asks for
    replacing    a phrase made shorter by what is known of it
    noticing     does a sentence say what is wanted?
    log          a clerk's look-ups, in labels and words of their own: see lookups.py

What a model cannot know is not asked of it: `given` pieces weigh little, and the first mention of anything
invented nothing.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from fireact_ray.demo.nano.parts import (
    JUDGEMENTS,
    ORDERS,
    SUMS,
    Document,
    Piece,
    a_sentence,
    beside,
    choose,
    draw_chain,
    draw_pair,
    draw_same,
    fact,
    judge,
    order,
    upper,
    work_out,
)
from fireact_ray.demo.nano.scenes import Scene
from fireact_ray.tasks.almanac.questions import SAME, chain_phrase
from fireact_ray.tasks.almanac.relations import RELATIONS

ENTITY_RELATIONS = [r for r in RELATIONS.values() if r.object in {x.subject for x in RELATIONS.values()}]


_LESS = ("first", "older", "earlier", "smaller", "less deep", "less high")
_MORE = ("later", "newer", "younger", "larger", "deeper", "higher")


def article(scene: Scene, rng: random.Random) -> Document:
    subject = scene.new(rng.choice(ENTITY_RELATIONS).subject)
    lines = []
    for _ in range(rng.randint(2, 4)):
        relations = [r for r in RELATIONS.values() if r.subject == scene.kind(subject)]
        lines.append(" ".join([*(scene.sentence(r.name, subject) for r in relations), scene.aside(subject)]))
        onward = [scene.value(r.name, subject) for r in relations if r in ENTITY_RELATIONS]
        if not onward:
            break
        subject = rng.choice(onward)
    return [Piece("\n".join(lines) + "\n")]


def reading(scene: Scene, rng: random.Random) -> Document:
    asked = [draw_chain(scene, rng, rng.choice((1, 1, 2, 3))) for _ in range(rng.randint(1, 4))]
    sentences = [scene.sentence(relation, subject) for ask in asked for relation, subject in ask.hops]
    for subject in rng.sample(scene.entities(), min(2, len(scene.entities()))):
        sentences.append(a_sentence(scene, rng, subject))
    rng.shuffle(sentences)
    ask_label, reply_label = rng.choice((("Q:", "A:"), ("Asked:", "Told:"), ("Ask:", "Reply:")))
    pieces = [Piece(rng.choice(("Text: ", "", "Passage: ")) + " ".join(sentences) + "\n", given=True)]
    for ask in asked:
        pieces.append(Piece(f"{ask_label} {ask.question}\n", given=True))
        reply = ask.answer
        if rng.random() < 0.7:
            facts = " ".join(upper(fact(scene, relation, subject)) for relation, subject in ask.hops)
            reply = f"{facts} {rng.choice(('So', 'Answer', 'That is'))} {reply}."
        pieces.append(Piece(f"{reply_label} {reply}\n"))
    return pieces


def copying(scene: Scene, rng: random.Random) -> Document:
    kinds = [relation.subject for relation in RELATIONS.values()]
    names = [scene.new(rng.choice(kinds)) for _ in range(rng.randint(3, 9))]
    form = rng.random()
    if form < 0.35:
        line = rng.choice((", ", "; ", " and ", " | ", "\n")).join(names) + "\n"
        return [Piece(line, given=True), Piece(line * rng.randint(1, 3))]
    if form < 0.75:
        colon = rng.choice((": ", " = ", " - ", " -> "))
        rows = [f"{name}{colon}{scene.new(rng.choice(kinds))}\n" for name in names]
        table = "".join(rows)
        return [Piece(table, given=True), *(Piece(rng.choice(rows)) for _ in range(rng.randint(3, 7)))]
    opening, closing = rng.choice(("()", "[]", "[]", "<>", "{}"))
    verb = rng.choice(("get", "show", "open", "tell", "call", "note", "take"))
    return [Piece("".join(f"{name}. {verb}{opening}{name}{closing}\n" for name in names))]


def numbers(scene: Scene, rng: random.Random) -> Document:
    adding, ordering = rng.randrange(len(SUMS)), rng.randrange(len(ORDERS))
    pieces: Document = []
    for _ in range(rng.randint(12, 24)):
        pieces += _sum(rng, adding) if rng.random() < 0.35 else _which_of_two(scene, rng, ordering)
    return [*pieces, Piece("\n")]


def _sum(rng: random.Random, form: int) -> Document:
    terms = [rng.randint(1, 9) for _ in range(rng.choice((2, 3, 3)))]
    if rng.random() < 0.8:
        return [Piece(f"{work_out(terms, form)} ")]
    return [Piece("+".join(map(str, terms)) + "=", given=True), Piece(f"{sum(terms)}. ")]


def _which_of_two(scene: Scene, rng: random.Random, form: int) -> Document:
    a, b = draw_pair(rng)
    if rng.random() < 0.7:
        return [Piece(f"{a} and {b}: ", given=True), Piece(f"{order(a, b, form)} ")]
    x, y = (scene.new(rng.choice(("person", "film", "book", "city"))) for _ in range(2))
    wants_less = rng.random() < 0.5
    word = rng.choice(_LESS if wants_less else _MORE)
    chosen, number = (x, a) if (a < b) == wants_less else (y, b)
    which = choose("smaller" if wants_less else "larger", number, chosen, form)
    return [Piece(f"{x} {a}, {y} {b}, {word}? ", given=True), Piece(f"{order(a, b, form)} {which} ")]


def similarity(scene: Scene, rng: random.Random) -> Document:
    pieces, form = [], rng.randrange(len(JUDGEMENTS))
    for _ in range(rng.randint(4, 8)):
        relation, a, b, same = draw_same(scene, rng)
        x, y = scene.value(relation, a), scene.value(relation, b)
        stated = f"{upper(fact(scene, relation, a))} {upper(fact(scene, relation, b))}"
        question = rng.choice(SAME[relation]).format(a=a, b=b)
        answer = f" {question} {'Yes' if same else 'No'}." if rng.random() < 0.6 else ""
        pieces += [Piece(stated + " ", given=True), Piece(judge(x, y, form) + answer + "\n")]
    return pieces


def planning(scene: Scene, rng: random.Random) -> Document:
    pieces = []
    style = rng.randrange(3)
    for _ in range(rng.randint(3, 6)):
        ask = draw_chain(scene, rng, rng.choice((1, 2, 2, 3, 3)))
        pieces.append(Piece(f"{ask.question}\n", given=True))
        first, start = ask.hops[0]
        steps = [RELATIONS[relation].short for relation, _ in ask.hops]
        phrase = RELATIONS[first].phrase.format(e=start)
        pieces.append(
            Piece(
                (
                    f"Start: {start}. Steps: {', '.join(steps)}.\n",
                    f"{len(steps)} facts: {' > '.join(steps)}. First {phrase}.\n",
                    f"{upper(phrase)}" + "".join(f", then its {step}" for step in steps[1:]) + ".\n",
                )[style]
            )
        )
    return pieces


def replacing(scene: Scene, rng: random.Random) -> Document:
    """ "the birthplace of the director of Red Orrin; the director of Red Orrin is Mo Ki: the birthplace of Mo Ki"."""
    given, gives, after = rng.choice((("; ", ": ", "\n"), (". ", " Then ", ".\n"), (" | ", " => ", "\n")))
    pieces = []
    for _ in range(rng.randint(3, 6)):
        ask = draw_chain(scene, rng, rng.choice((2, 2, 3)))
        for i, (relation, subject) in enumerate(ask.hops[:-1]):
            rest = [step for step, _ in ask.hops[i:]]
            known = fact(scene, relation, subject).rstrip(".")
            pieces.append(Piece(f"{chain_phrase(rest, subject)}{given}{known}{gives}", given=True))
            pieces.append(Piece(f"{chain_phrase(rest[1:], scene.value(relation, subject))}{after}"))
    return pieces


_NOTICED = (  # {p}: what is wanted, {v}: its value; where a sentence says it, where it does not
    ("yes, {v}", "no"),
    ("says {p}: {v}", "does not say {p}"),
    ("found {v}", "nothing found"),
    ("{v}", "open"),
)


def noticing(scene: Scene, rng: random.Random) -> Document:
    said, not_said = rng.choice(_NOTICED)
    wanted = rng.choice(("Wanted: {p}. ", "{p}? ", "Is {p} told? "))
    pieces = []
    for _ in range(rng.randint(3, 7)):
        relation = rng.choice(list(RELATIONS.values()))
        subject = scene.new(relation.subject)
        phrase = relation.phrase.format(e=subject)
        told = rng.random() < 0.5
        sentence = scene.sentence(relation.name, subject) if told else beside(scene, rng, relation.name, subject)
        pieces.append(Piece(f"{upper(wanted.format(p=phrase))}{sentence}", given=True))
        value = scene.value(relation.name, subject) if told else ""
        pieces.append(Piece(f" {upper((said if told else not_said).format(p=phrase, v=value))}.\n"))
    return pieces


KINDS: dict[str, tuple[float, Callable[[Scene, random.Random], Document]]] = {
    "article": (0.03, article),
    "reading": (0.09, reading),
    "copying": (0.12, copying),
    "numbers": (0.26, numbers),
    "similarity": (0.07, similarity),
    "planning": (0.07, planning),
    "replacing": (0.06, replacing),
    "noticing": (0.06, noticing),
}
