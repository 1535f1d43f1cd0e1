"""Two systems on the same questions: which row faces which, and what became of it.

Rows of a question face each other where method and attempt are the same, then in their order: a system that asked twice
faces one that asked once by one row, and its other row stands alone.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from fireact_ray.evaluation.viewer.rows import Verdict


class Change(StrEnum):
    """What the second system made of it."""

    FIXED = "fixed"
    BROKE = "broke"
    BOTH_RIGHT = "both right"
    BOTH_WRONG = "both wrong"
    UNSCORED = "unscored"  # one of them is, or cannot be read
    ONLY_FIRST = "only first"
    ONLY_SECOND = "only second"


class Entry(NamedTuple):
    """A row of a page: `place` counts all its rows, `question` numbers its questions."""

    place: int
    question: int
    verdict: Verdict
    method: str = ""
    attempt: int = 0


class Pair(NamedTuple):
    """Places of rows; None where nothing stands on that side."""

    first: int | None
    second: int | None
    change: Change


_CHANGES = {
    (Verdict.WRONG, Verdict.RIGHT): Change.FIXED,
    (Verdict.RIGHT, Verdict.WRONG): Change.BROKE,
    (Verdict.RIGHT, Verdict.RIGHT): Change.BOTH_RIGHT,
    (Verdict.WRONG, Verdict.WRONG): Change.BOTH_WRONG,
}


def pair_rows(first: Sequence[Entry], second: Sequence[Entry]) -> list[Pair]:
    """Every row of both once: the first's in their order, then what only the second has."""
    facing: dict[int, Entry] = {}
    waiting: dict[int, list[Entry]] = defaultdict(list)
    for entry in second:
        waiting[entry.question].append(entry)
    for by_name in (True, False):
        for entry in first:
            if entry.place not in facing and (other := _partner(entry, waiting[entry.question], by_name)):
                facing[entry.place] = other
                waiting[entry.question].remove(other)
    taken = {entry.place for entry in facing.values()}
    pairs = [_pair(entry, facing.get(entry.place)) for entry in first]
    return pairs + [Pair(None, entry.place, Change.ONLY_SECOND) for entry in second if entry.place not in taken]


def n_facing(pairs: Sequence[Pair]) -> int:
    return sum(pair.first is not None and pair.second is not None for pair in pairs)


def changes(pairs: Sequence[Pair]) -> dict[Change, int]:
    """How often each happened, in the order of `Change`."""
    counts = Counter(pair.change for pair in pairs)
    return {change: counts[change] for change in Change if counts[change]}


def opening(names: Sequence[tuple[str, str]], facing: Mapping[tuple[int, int], int]) -> tuple[int, int | None]:
    """Which system a page shows first, and against which other one.

    `names`: run and system of each; `facing`: how many rows face each other, of those that share questions. Of two runs
    the same system of both; of one run `base` against `finetuned`, or what shares most.
    """
    runs = {run for run, _ in names}
    across = {pair: n for pair, n in facing.items() if len(runs) == 1 or names[pair[0]][0] != names[pair[1]][0]}
    if not across:
        return 0, None

    def wanted(pair: tuple[int, int]) -> tuple[bool, int, bool, int]:
        first, second = names[pair[0]][1], names[pair[1]][1]
        is_asked_for = (first, second) == ("base", "finetuned") if len(runs) == 1 else first == second
        return is_asked_for, across[pair], second == "finetuned", -pair[0]

    return max(across, key=wanted)


def _partner(entry: Entry, others: Sequence[Entry], by_name: bool) -> Entry | None:
    asked = (entry.method, entry.attempt)
    return next((other for other in others if not by_name or (other.method, other.attempt) == asked), None)


def _pair(entry: Entry, other: Entry | None) -> Pair:
    if other is None:
        return Pair(entry.place, None, Change.ONLY_FIRST)
    return Pair(entry.place, other.place, _CHANGES.get((entry.verdict, other.verdict), Change.UNSCORED))
