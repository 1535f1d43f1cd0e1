"""The teacher without a tool: CoT reasons from memory and invents what is missing, IO answers offhand."""

from __future__ import annotations

import random

from fireact_ray.demo.teacher import reasoning
from fireact_ray.demo.teacher.guessing import guess
from fireact_ray.demo.teacher.memory import Memory
from fireact_ray.demo.teacher.reasoning import Conclusion, miscopied
from fireact_ray.demo.teacher.understanding import Chain, Comparison, Meaning, Same, Sum, Unclear
from fireact_ray.tasks.almanac.relations import RELATIONS

_OFFHAND = 0.6  # share of steps in between that succeed without being written down


def think(meaning: Meaning, memory: Memory, slips: bool, rng: random.Random) -> Conclusion:
    """A line of thought and its answer."""
    if isinstance(meaning, Unclear):
        best_guess = guess(meaning.text, "", rng)
        return Conclusion(f"My best guess is {best_guess}.", best_guess)
    if isinstance(meaning, Sum):
        return reasoning.add(rng, meaning.terms, slips)

    def recall_or_invent(relation: str, subject: str) -> str:
        return memory.recall(relation, subject) or memory.invent(relation, rng)

    known = reasoning.progress(_by_real_name(meaning, memory), recall_or_invent, {})
    conclusion = reasoning.conclude(rng, meaning, known, slips)
    if isinstance(meaning, Chain):
        thought = f"{' '.join(known.said)} So the answer is {conclusion.answer}."
        return Conclusion(thought, conclusion.answer)
    return conclusion


def answer_offhand(meaning: Meaning, memory: Memory, slips: bool, rng: random.Random) -> str:
    """An answer without a line of thought: where a step in between is lost, it is a guess."""
    answer = think(meaning, memory, slips, rng).answer
    match meaning:
        case Chain(relations=relations):
            n_between, guessed = len(relations) - 1, memory.invent(relations[-1], rng)
        case Comparison(pair=pair):
            n_between, guessed = 1, rng.choice(pair)
        case Same():
            n_between, guessed = 1, rng.choice(("yes", "no"))
        case Sum(terms=terms):
            n_between, guessed = len(terms) - 2, miscopied(rng, answer)
        case Unclear():
            n_between, guessed = 0, answer
    return answer if all(rng.random() < _OFFHAND for _ in range(n_between)) else guessed


def _by_real_name(meaning: Chain | Comparison | Same, memory: Memory) -> Chain | Comparison | Same:
    if not isinstance(meaning, Chain):
        return meaning
    return Chain(meaning.relations, memory.who_is(meaning.entity, RELATIONS[meaning.relations[0]].subject))
