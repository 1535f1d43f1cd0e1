"""How many rows of what: one per question, quotas by method, task and kind, and the first n of one order.

Rows stand in the order of a seeded hash of their keys, and everything is taken from its front. So the 100 rows of
`n: 100` are among the 200 of `n: 200`, whatever quotas there are, and rows added later change nobody's place.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from math import inf

from fireact_ray.core.errors import DataError
from fireact_ray.core.hashing import content_hash
from fireact_ray.data.selection.candidates import Candidate
from fireact_ray.data.selection.filters import Filter

# By name: a share (all add up to 1), a number of rows at most, or None for all. What is not named is left out.
Mix = Mapping[str, float | None]
Group = Callable[[Candidate], str]


def in_seeded_order(rows: Sequence[Candidate], seed: int) -> list[Candidate]:
    return sorted(rows, key=lambda row: content_hash([seed, row.trajectory_id]))


def first_per_question(rows: Sequence[Candidate]) -> list[Candidate]:
    """Of each question the earliest attempt; of several methods' the first in key order."""
    return _one_per_question(rows, lambda row: row.attempt)


def shortest_per_question(rows: Sequence[Candidate]) -> list[Candidate]:
    """Of each question the row with the fewest steps, then with the shortest thoughts."""
    return _one_per_question(rows, lambda row: (row.n_steps, row.thought_chars))


PER_QUESTION: dict[str, Filter] = {"first": first_per_question, "shortest": shortest_per_question}


def named(mix: Mix, group: Group) -> Filter:
    """Only groups that the mix names."""
    return lambda rows: [row for row in rows if group(row) in mix]


def of_kinds(mix: Mix) -> Filter:
    """As `named`, of kinds of questions that have shares. No schema knows their names: raises DataError for one that
    no row is of."""
    passes = named(mix, lambda row: row.kind)

    def checked(rows: Sequence[Candidate]) -> list[Candidate]:
        there = {row.kind for row in rows}
        if unknown := [kind for kind in mix if kind not in there]:
            raise DataError(
                f"convert.kinds names {', '.join(unknown)}, of which no row is left. There are rows of: "
                f"{', '.join(sorted(kind for kind in there if kind)) or 'no kind'}."
            )
        return passes(rows)

    return checked


def counted(mixes: Sequence[tuple[Mix, Group]]) -> Filter:
    """The first rows of each group, as many as the mixes allow it: a row that one of them has no room for takes none of
    the others'."""

    def passes(rows: Sequence[Candidate]) -> list[Candidate]:
        room = [{name: inf if most is None else most for name, most in mix.items()} for mix, _ in mixes]
        kept = []
        for row in rows:
            groups = [group(row) for _, group in mixes]
            if all(left[name] > 0 for left, name in zip(room, groups, strict=True)):
                for left, name in zip(room, groups, strict=True):
                    left[name] -= 1
                kept.append(row)
        return kept

    return passes


def shared(mixes: Sequence[tuple[Mix, Group]]) -> Filter:
    """Rows in such an order that every front part of it has the shares, as nearly as whole rows allow.

    The k-th row of a group with share s comes at (k - 1/2) / s (Sainte-Laguë's method). With two mixes a pair of
    groups has the product of its shares. Where the first group runs out, the order ends. Raises DataError for a group
    that has a share and no row.
    """

    def passes(rows: Sequence[Candidate]) -> list[Candidate]:
        by_cell = defaultdict[tuple[str, ...], list[Candidate]](list)
        for row in rows:
            by_cell[tuple(group(row) for _, group in mixes)].append(row)
        places: list[tuple[float, int, Candidate]] = []
        ends = []
        for cell, share in _cells([mix for mix, _ in mixes]).items():
            members = by_cell[cell]
            if not members:
                raise DataError(
                    f"convert asks for a share of {' and '.join(cell)}, and no row of it is left. Take it out of "
                    "convert.methods, convert.tasks or convert.kinds, or see dropped rows above for where they went."
                )
            places += [((k + 0.5) / share, len(places) + k, row) for k, row in enumerate(members)]
            ends.append((len(members) + 0.5) / share)
        return [row for place, _, row in sorted(places, key=lambda p: p[:2]) if place < min(ends)]

    return passes


def first(n: int) -> Filter:
    """The first n rows. Raises DataError where there are fewer: n is what a result is compared by."""

    def passes(rows: Sequence[Candidate]) -> list[Candidate]:
        if len(rows) < n:
            raise DataError(
                f"convert.n = {n}, but only {len(rows)} rows are left to choose from. "
                "Lower it, generate more, or set it to null to take all."
            )
        return list(rows[:n])

    return passes


def is_shares(mix: Mix) -> bool:
    """All groups have a number, and these add up to 1."""
    numbers = [number for number in mix.values() if number is not None]
    return len(numbers) == len(mix) and abs(sum(numbers) - 1) < 1e-6


def is_limits(mix: Mix) -> bool:
    """Of some group there is a number of rows at most."""
    return not is_shares(mix) and any(number is not None for number in mix.values())


def _one_per_question(rows: Sequence[Candidate], rank: Callable[[Candidate], object]) -> list[Candidate]:
    best: dict[tuple[str, str], Candidate] = {}
    for row in sorted(rows, key=lambda row: (rank(row), row.trajectory_id)):
        best.setdefault((row.task, row.question_id), row)
    chosen = {id(row) for row in best.values()}
    return [row for row in rows if id(row) in chosen]


def _cells(mixes: Sequence[Mix]) -> dict[tuple[str, ...], float]:
    cells: dict[tuple[str, ...], float] = {(): 1.0}
    for mix in mixes:
        cells = {(*cell, name): share * (part or 0) for cell, share in cells.items() for name, part in mix.items()}
    return cells
