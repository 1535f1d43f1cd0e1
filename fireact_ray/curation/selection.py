"""Which trajectories a student learns from, as the recipe's `convert` section says it: a sieve per line.

`curate` comes before tokenization: only finished, correct, usable rows without a trace of their method; then what
`drop` names, by the codes of the lint; then length in steps, evaluation questions, duplicates. `draw` comes after it,
when rows that are too long are gone, so that `n: 500` gives 500 rows.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence

from fireact_ray.curation import mixing
from fireact_ray.curation.config import ConvertConfig
from fireact_ray.curation.contamination import QuestionIndex
from fireact_ray.curation.examples import FAULTS, Fault, conversation
from fireact_ray.curation.records import record_of
from fireact_ray.curation.rules import RULES
from fireact_ray.curation.rules.base import Context
from fireact_ray.curation.sieve import DropReport, Sieve, each, sift
from fireact_ray.curation.similarity import near_duplicates
from fireact_ray.curation.traces import plain_thought
from fireact_ray.types import Question, Trajectory

FindNear = Callable[[Sequence[str], float], Mapping[int, int]]  # similarity.near_duplicates, or its like on Ray


def curate(
    rows: Sequence[Trajectory],
    config: ConvertConfig,
    evaluation: Iterable[Question] = (),
    find_near: FindNear = near_duplicates,
) -> tuple[list[Trajectory], DropReport]:
    """What may be trained on. `evaluation`: the questions to decontaminate against."""
    sieves: dict[str, Sieve] = {name: _without(fault, config.min_f1) for name, fault in FAULTS.items()}
    if not config.keep_unscored:
        sieves["unscored"] = each(lambda row: row.score is not None)
    sieves |= {code: _linted(code) for code in config.drop}
    sieves["min_steps"] = each(lambda row: len(row.steps) >= config.min_steps)
    if (most := config.max_steps) is not None:
        sieves["max_steps"] = each(lambda row: len(row.steps) <= most)
    if (threshold := config.decontaminate) is not None:
        index = QuestionIndex((question.text for question in evaluation), threshold)
        sieves["contaminated"] = each(lambda row: index.find(row.question.text) is None)
    sieves["duplicate"] = _distinct
    if (threshold := config.near_duplicates) is not None:
        sieves["near_duplicate"] = _dissimilar(threshold, find_near)
    return sift(rows, sieves)


def draw(rows: Sequence[Trajectory], config: ConvertConfig, seed: int) -> tuple[list[Trajectory], DropReport]:
    """What is trained on of that. Raises DataError where there are fewer rows than the section asks for."""
    sieves: dict[str, Sieve] = {}
    if config.per_question != "all":
        sieves["per_question"] = mixing.PER_QUESTION[config.per_question]
    shares: list[tuple[mixing.Mix, mixing.Group]] = []
    for name, mix, group in (("methods", config.methods, _method), ("tasks", config.tasks, _task)):
        if mix is None:
            continue
        sieves[name] = mixing.named(mix, group)
        if mixing.is_shares(mix):
            shares.append((mix, group))
        elif any(most is not None for most in mix.values()):
            sieves[f"{name}_quota"] = mixing.counted(mix, group)
    if shares:
        sieves["shares"] = mixing.shared(shares)
    if config.n is not None:
        sieves["n"] = mixing.first(config.n)
    return sift(mixing.in_seeded_order(rows, seed), sieves)


def _without(fault: Fault, min_f1: float | None) -> Sieve:
    return each(lambda row: not fault.holds(row, min_f1))


def _linted(code: str) -> Sieve:
    """Rows that a lint rule does not find."""

    def sieve(rows: Sequence[Trajectory]) -> list[Trajectory]:
        records = [record_of(row, number) for number, row in enumerate(rows, start=1)]
        found = set(RULES[code].check(records, Context()))
        return [row for place, row in enumerate(rows) if place not in found]

    return sieve


def _distinct(rows: Sequence[Trajectory]) -> list[Trajectory]:
    """Each conversation once, whoever had it: Reflexion is ReAct until it is asked to reflect."""
    by_conversation: dict[Hashable, Trajectory] = {}
    for row in rows:
        steps = tuple((plain_thought(s.thought), s.action, s.observation and s.observation.text) for s in row.steps)
        by_conversation.setdefault((row.question.text, steps), row)
    return list(by_conversation.values())


def _dissimilar(threshold: float, find_near: FindNear) -> Sieve:
    def sieve(rows: Sequence[Trajectory]) -> list[Trajectory]:
        found = find_near(["\n".join(turn.content for turn in conversation(row)) for row in rows], threshold)
        return [row for place, row in enumerate(rows) if place not in found]

    return sieve


def _method(row: Trajectory) -> str:
    return row.method


def _task(row: Trajectory) -> str:
    return row.question.task
