"""Logs of a clerk who looks things up, in labels, brackets and words that are not the agent's.

    Task: In which city was the director of Red Orrin born?
    Note: First the director, then the birthplace. Find the director of Red Orrin.
    Call: query<Red Orrin directed by>
    Result: Red Orrin was directed by Ila Dun.
    Note: The director of Red Orrin is Ila Dun. Left: birthplace. ...

Most are written in one of three dialects, so that a model learns the work without learning to work in any format that
a prompt may show: that is what fine-tuning is for. The format of the project's own grammar is left out.
"""

from __future__ import annotations

import random

from fireact_ray.demo.nano import parts
from fireact_ray.demo.nano.lookup_style import Style, draw_dialect, draw_style
from fireact_ray.demo.nano.parts import Ask, Document, Piece, fact, upper
from fireact_ray.demo.nano.scenes import Scene
from fireact_ray.tasks.almanac.questions import COMPARISONS, SAME, chain_question
from fireact_ray.tasks.almanac.relations import RELATIONS
from fireact_ray.tasks.almanac.traps import ALIASES

_MISS = 0.12  # chance that a look-up finds something else first


def log(scene: Scene, rng: random.Random) -> Document:
    """Up to three questions in one of a few dialects."""
    style = draw_dialect(rng)
    pieces: Document = []
    for _ in range(rng.choice((1, 1, 2, 3))):
        pieces += rng.choices(_WRITERS, _WEIGHTS)[0](scene, rng, style)
    return pieces


def strange_log(scene: Scene, rng: random.Random) -> Document:
    """Questions that one look-up answers, and sums, in labels and words of this document's own."""
    style = draw_style(rng)
    pieces: Document = []
    for _ in range(rng.randint(3, 6)):
        if rng.random() < 0.15:
            pieces += _add(scene, rng, style)
        else:
            ask = parts.draw_chain(scene, rng, 1)
            pieces += _follow_from(_Log(scene, rng, style, ask.question), ask)
    return pieces


class _Log:
    """One question's log as it grows."""

    def __init__(self, scene: Scene, rng: random.Random, style: Style, question: str) -> None:
        self.scene, self.rng, self.style = scene, rng, style
        self.pieces = [Piece(f"{style.ask}: {question}\n", given=True)]
        self.known: list[str] = []

    def find(self, before: str, relation: str, subject: str) -> None:
        """Look a fact up, with a second try in other words where the first one misses; then it is `known`."""
        needed = self.style.need.format(RELATIONS[relation].phrase.format(e=subject))
        note = " ".join(part for part in (self._known(), before, needed) if part)
        keywords = list(RELATIONS[relation].keywords)
        if self.rng.random() < 0.3:
            keywords.reverse()
        if self.rng.random() < _MISS:
            self.step(note, f"{subject} {keywords[0]}", self._miss(relation, subject))
            failed = self.rng.choice(
                ("That does not say {}.", "No word of {}.", "This is not {}.", "{} is still open.")
            )
            again = self.rng.choice(("Try other words.", "Ask in another way.", "Once more."))
            note = f"{upper(failed.format(RELATIONS[relation].phrase.format(e=subject)))} {again}"
            keywords.reverse()
        self.step(note, f"{subject} {keywords[0]}", self.scene.sentence(relation, subject))
        self.known.append(upper(fact(self.scene, relation, subject)))

    def step(self, note: str, query: str, result: str) -> None:
        self._act(note, self.style.find, query)
        self.pieces.append(Piece(f"{chr(10) * self.style.ends_turns}{self.style.seen}: {result}\n", given=True))

    def end(self, note: str, answer: str) -> Document:
        self._act(" ".join(part for part in (self._known(), note) if part), self.style.finish, answer)
        return [*self.pieces, Piece("\n")]

    def _act(self, note: str, verb: str, argument: str) -> None:
        style = self.style
        note = f"{style.note}: {note}\n" if style.note and note else ""
        action = f"{style.act}: {verb}{style.brackets[0]}{argument}{style.brackets[1]}"
        ends = style.ends_turns
        self.pieces.append(Piece(note + action + ("" if ends else "\n"), ends_turn=ends))

    def _known(self) -> str:
        return " ".join(self.known if self.style.restates else self.known[-1:])

    def _miss(self, relation: str, subject: str) -> str:
        if self.rng.random() < 0.1:
            return self.rng.choice(("None", "No result.", "Nothing found."))
        return parts.beside(self.scene, self.rng, relation, subject)


def _follow(scene: Scene, rng: random.Random, style: Style) -> Document:
    n_hops = rng.choice((1, 2, 2, 3))
    ask = parts.draw_chain(scene, rng, n_hops)
    return _follow_from(_Log(scene, rng, style, ask.question), ask)


def _follow_from(log: _Log, ask: Ask) -> Document:
    shorts = [RELATIONS[relation].short for relation, _ in ask.hops]
    for i, (relation, subject) in enumerate(ask.hops):
        before = _plan(shorts, log.style.plan) if i == 0 else _left(shorts[i:], log.style.left)
        log.find(before, relation, subject)
    return log.end(log.style.done.format(ask.answer), ask.answer)


def _plan(shorts: list[str], form: int) -> str:
    many = len(shorts) > 1
    return (
        "",
        f"Steps: {', '.join(shorts)}.",
        f"First the {shorts[0]}" + "".join(f", then the {short}" for short in shorts[1:]) + "." if many else "",
        f"To find: {' > '.join(shorts)}.",
        f"This takes {len(shorts)} step{'s' * many}: {' and '.join(shorts)}.",
    )[form]


def _left(shorts: list[str], form: int) -> str:
    return ("", f"Left: {', '.join(shorts)}.", f"Next the {shorts[0]}.", f"The {shorts[0]} is missing.")[form]


def _rename(scene: Scene, rng: random.Random, style: Style) -> Document:
    """The question uses an alias: find out whose it is, then go on with the name."""
    alias = rng.choice(list(ALIASES.values()))
    chain = rng.choice([c for n in (1, 2) for c in parts.CHAINS[n] if RELATIONS[c[0]].subject == alias.subject])
    nickname, here = scene.nickname(alias.subject), scene.new(alias.subject)
    log = _Log(scene, rng, style, chain_question(chain, nickname, rng.randrange(3)))
    phrase = RELATIONS[chain[0]].phrase.format(e=nickname)
    festival = f"{scene.nickname('festival')}"
    decoy = f"{rng.choice(alias.decoys).format(f=festival, o=nickname)}"
    log.step(style.need.format(phrase), f"{nickname} {RELATIONS[chain[0]].keywords[0]}", decoy)
    whose = f"{nickname} may be a {alias.name.replace('_', ' ')}."
    told = rng.choice(alias.wordings).format(s=here, o=nickname)
    log.step(f"That does not say {phrase}. {whose}", alias.query.format(e=nickname), told)
    log.known.append(alias.fact.format(e=nickname, v=here))
    hops = []
    for relation in chain:
        hops.append((relation, here))
        here = scene.value(relation, here)
    return _follow_from(log, Ask("", hops, here))


def _compare(scene: Scene, rng: random.Random, style: Style) -> Document:
    relation, a, b, larger = parts.draw_comparison(scene, rng)
    log = _Log(scene, rng, style, rng.choice(COMPARISONS[relation][larger]).format(a=a, b=b))
    wanted = f"Wanted is the {'larger' if larger else 'smaller'} {RELATIONS[relation].short}."
    _look_up_both(log, relation, a, b, wanted)
    x, y = (int(scene.value(relation, subject)) for subject in (a, b))
    answer, number = (a, x) if (x > y) == larger else (b, y)
    chosen = parts.choose("larger" if larger else "smaller", number, answer, style.order)
    return log.end(f"{parts.order(x, y, style.order)} {chosen} {style.done.format(answer)}", answer)


def _same(scene: Scene, rng: random.Random, style: Style) -> Document:
    relation, a, b, same = parts.draw_same(scene, rng)
    log = _Log(scene, rng, style, rng.choice(SAME[relation]).format(a=a, b=b))
    _look_up_both(log, relation, a, b)
    answer = "yes" if same else "no"
    found = parts.judge(scene.value(relation, a), scene.value(relation, b), style.judge)
    return log.end(f"{found} {style.done.format(answer)}", answer)


def _look_up_both(log: _Log, relation: str, a: str, b: str, wanted: str = "") -> None:
    short = RELATIONS[relation].short
    plan = (
        wanted,
        f"Compare {a} and {b}. {wanted}".strip(),
        f"Two facts: {short} of {a}, {short} of {b}.",
        wanted,
        "",
    )
    log.find(plan[log.style.plan], relation, a)
    log.find(("", f"Left: {b}.", f"Next {b}.", f"{b} is missing.")[log.style.left], relation, b)


def _add(scene: Scene, rng: random.Random, style: Style) -> Document:
    terms = [rng.randint(1, 9) for _ in range(rng.choice((2, 3)))]
    log = _Log(scene, rng, style, "+".join(map(str, terms)) + "=")
    return log.end(parts.work_out(terms, style.add), str(sum(terms)))


_WRITERS = (_follow, _rename, _compare, _same, _add)
_WEIGHTS = (0.50, 0.08, 0.22, 0.13, 0.07)
