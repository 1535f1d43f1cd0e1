"""Which trajectories a student learns from, as the recipe's `convert` section says it, in two halves.

`lines` look at one row at a time, wherever it lies: only finished, correct, usable rows without a trace of their
method; then what `drop` names, by the codes of the lint; then length in steps and evaluation questions. `choose` looks
at all rows that are left, when those that are too long are gone too, so that `n: 500` gives 500 rows: only what is
named, duplicates, one row per question, quotas, the first n of one order. Names come first: a row of a method that is
left out stands in for none of a method that is not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from fireact_ray.core.errors import DataError
from fireact_ray.core.types import Trajectory
from fireact_ray.data.examples import FAULTS, Fault
from fireact_ray.data.formats.records import Record, record_of
from fireact_ray.data.lint import RULES
from fireact_ray.data.lint.base import Context
from fireact_ray.data.lint.contamination import QuestionIndex
from fireact_ray.data.lint.similarity import like_an_earlier
from fireact_ray.data.selection import mixing
from fireact_ray.data.selection.candidates import Candidate
from fireact_ray.data.selection.config import ConvertConfig
from fireact_ray.data.selection.filters import DropReport, Filter, apply_filters
from fireact_ray.data.selection.shortage import Shortage, shortage

_QUESTIONS = 1 << 16  # whose verdict is kept

Line = Callable[[Trajectory], bool]  # whether it leaves the row out


def lines(config: ConvertConfig, evaluation: Iterable[str] = ()) -> dict[str, Line]:
    """By name, in their order. `evaluation`: the questions to decontaminate against."""
    found: dict[str, Line] = {name: _has(fault, config.min_f1) for name, fault in FAULTS.items()}
    if not config.keep_unscored:
        found["unscored"] = lambda row: row.score is None
    record = _Latest()
    found |= {code: _is_found_by(code, record) for code in config.drop}
    found["min_steps"] = lambda row: len(row.steps) < config.min_steps
    if (most := config.max_steps) is not None:
        found["max_steps"] = lambda row: len(row.steps) > most
    if (threshold := config.decontaminate) is not None:
        find = lru_cache(_QUESTIONS)(
            QuestionIndex(evaluation, threshold).find
        )  # a question has rows by several methods
        found["contaminated"] = lambda row: find(row.question.text) is not None
    return found


def dropped_by(row: Trajectory, by: Mapping[str, Line]) -> str | None:
    """The name of the first line that leaves the row out."""
    return next((name for name, leaves_out in by.items() if leaves_out(row)), None)


class Chosen(NamedTuple):
    """What is trained on, what left out the others, and where the recipe would take more."""

    rows: list[Candidate]
    report: DropReport
    short: tuple[Shortage, ...]


def choose(rows: Iterable[Candidate], config: ConvertConfig, seed: int) -> Chosen:
    """What is trained on. Raises DataError where a share has no row, or `n` too few."""
    # In the order of their keys, so that it does not matter in which files the rows lie.
    there = sorted(rows, key=lambda row: row.trajectory_id)
    named, unnamed = apply_filters(there, _named(config))
    left, doubles = apply_filters(named, _distinct(config))
    report, short = unnamed.then(doubles), tuple(_shortages(config, left, there))
    if not (draw := _draw(config)):
        return Chosen(left, report, short)
    try:
        drawn, left_out = apply_filters(mixing.in_seeded_order(left, seed), draw)
    except DataError as error:
        raise DataError(" ".join([str(error), *(f"{each}." for each in short)])) from None
    return Chosen(drawn, report.then(left_out), short)


def _distinct(config: ConvertConfig) -> dict[str, Filter]:
    filters: dict[str, Filter] = {"duplicate": _each_once}
    if (threshold := config.near_duplicates) is not None:
        filters["near_duplicate"] = _dissimilar(threshold)
    if config.per_question != "all":
        filters["per_question"] = mixing.PER_QUESTION[config.per_question]
    return filters


def _named(config: ConvertConfig) -> dict[str, Filter]:
    return {
        name: mixing.of_kinds(mix) if name == "kinds" and mixing.is_shares(mix) else mixing.named(mix, group)
        for name, mix, group in _mixes(config)
    }


def _shortages(config: ConvertConfig, left: Sequence[Candidate], there: Sequence[Candidate]) -> Iterator[Shortage]:
    for name, mix, group in _mixes(config):
        if not mixing.is_shares(mix) and (found := shortage(name, mix, group, left, there)):
            yield found


def _draw(config: ConvertConfig) -> dict[str, Filter]:
    filters: dict[str, Filter] = {}
    mixes = [(mix, group) for _, mix, group in _mixes(config)]
    if limits := [(mix, group) for mix, group in mixes if mixing.is_limits(mix)]:
        filters["quotas"] = mixing.counted(limits)
    if shares := [(mix, group) for mix, group in mixes if mixing.is_shares(mix)]:
        filters["shares"] = mixing.shared(shares)
    if config.n is not None:
        filters["n"] = mixing.first(config.n)
    return filters


def _mixes(config: ConvertConfig) -> list[tuple[str, mixing.Mix, mixing.Group]]:
    """Those that the recipe has, by the names of its settings."""
    mixes = (
        ("methods", config.methods, _method),
        ("tasks", config.tasks, _task),
        ("kinds", config.kinds, _kind),
    )
    return [(name, mix, group) for name, mix, group in mixes if mix is not None]


def _has(fault: Fault, min_f1: float | None) -> Line:
    return lambda row: fault.holds(row, min_f1)


class _Latest:
    """The record of the row that is looked at: made once, for all rules that ask for it in turn."""

    _row: Trajectory | None = None

    def __call__(self, row: Trajectory) -> Record:
        if row is not self._row:
            self._row, self._record = row, record_of(row, 1)
        return self._record


def _is_found_by(code: str, record: Callable[[Trajectory], Record]) -> Line:
    """What a lint rule finds that looks at one row at a time."""
    check, context = RULES[code].check, Context()
    return lambda row: any(True for _ in check([record(row)], context))


def _each_once(rows: Sequence[Candidate]) -> list[Candidate]:
    """Each conversation once, whoever had it: Reflexion is ReAct until it is asked to reflect."""
    by_conversation: dict[bytes, Candidate] = {}
    for row in rows:
        by_conversation.setdefault(row.conversation, row)
    return list(by_conversation.values())


def _dissimilar(threshold: float) -> Filter:
    def passes(rows: Sequence[Candidate]) -> list[Candidate]:
        found = like_an_earlier((row.sketch for row in rows if row.sketch is not None), threshold)
        return [row for place, row in enumerate(rows) if place not in found]

    return passes


def _method(row: Candidate) -> str:
    return row.method


def _task(row: Candidate) -> str:
    return row.task


def _kind(row: Candidate) -> str:
    return row.kind
