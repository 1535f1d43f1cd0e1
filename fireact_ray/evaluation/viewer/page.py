"""Systems of one or two runs in, what their page holds out: an index to list and filter by, and a body for each row.

The index is one JSON object with a list for each column, so that thousands of rows are read at once; bodies are a line
of JSON each, read when a row is opened.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean
from typing import Any

import numpy as np

from fireact_ray.core.pages.text import MAX_CHARS, Texts
from fireact_ray.data.formats.records import Record
from fireact_ray.data.lint import RULES
from fireact_ray.data.lint.base import Context
from fireact_ray.data.lint.lint import lint
from fireact_ray.evaluation.viewer.choosing import question_key
from fireact_ray.evaluation.viewer.pairs import Entry, Pair, changes, n_facing, opening, pair_rows
from fireact_ray.evaluation.viewer.rows import (
    Verdict,
    body,
    facts,
    finite,
    searches_of,
    seconds_of,
    steps_of,
    text_lengths,
    tokens_of,
    verdict_of,
)
from fireact_ray.evaluation.viewer.trained import TrainedRow

PAGE_CHARS = 50_000_000  # of the texts of all its cards
_MOST = (MAX_CHARS, 5_000, 1_000, 200)  # of one text

Pairs = Mapping[tuple[int, int], Sequence[Pair]]  # of systems that share questions, by their numbers


@dataclass(frozen=True)
class System:
    """Rows of one origin that are in the page, of `n_rows` that there are.

    `run` and `name` tell it from others; `place`: what `fireact show` opens. `trained`: by trajectory.
    """

    run: str
    name: str
    place: str
    records: Sequence[Record]
    n_rows: int
    trained: Mapping[str, TrainedRow]


@dataclass(frozen=True)
class Page:
    """`index` and `bodies` are plain JSON types, a body for each place of the index; `summary`: for a terminal."""

    title: str
    index: dict[str, Any]
    bodies: list[dict[str, Any]]
    summary: list[str]


def build_page(title: str, systems: Sequence[System], notes: Sequence[str] = ()) -> Page:
    """`notes`: sentences about what could not be read."""
    shown = Texts(_max_chars(systems))
    names = [shown(name) for name in _names(systems)]
    questions, entries = _entries(systems)
    pairs = _pairs(entries)
    first, second = opening([(s.run, s.name) for s in systems], {pair: n_facing(rows) for pair, rows in pairs.items()})
    columns, bodies = _rows(systems, entries, shown)
    asked = [shown(text) for text in questions]
    about = [_about(name, shown(system.place), system) for name, system in zip(names, systems, strict=True)]
    found = sorted({code for codes in columns.get("lint", ()) for code in codes})
    notes = [*notes, *_apart(systems, pairs), *_left_out(names, systems), *_unreadable(names, systems)]
    if shown.n_cut:
        notes.append(f"Texts longer than {shown.max_chars:,} characters are cut there: {shown.n_cut:,}.")
    index: dict[str, Any] = {
        "title": shown(title),
        "systems": about,
        "pairs": {f"{a}-{b}": [list(pair) for pair in rows] for (a, b), rows in pairs.items()},
        "open": [first, second],
        "questions": asked,
        "lint": {code: RULES[code].reason for code in found},
        "notes": [shown(note) for note in notes],
        "columns": columns,
    }
    compared = [] if second is None else [f"{names[second]} against {names[first]}: {_changes(pairs[first, second])}"]
    return Page(index["title"], index, bodies, [*map(_line, about), *compared, *index["notes"]])


def _max_chars(systems: Sequence[System]) -> int:
    """Of a text: as many as leave a page that a browser opens, at most 20,000."""
    lengths = np.fromiter((n for s in systems for record in s.records for n in text_lengths(record)), np.int64)
    fitting = (most for most in _MOST if np.minimum(lengths, most).sum() <= PAGE_CHARS)
    return next(fitting, _MOST[-1])


def _names(systems: Sequence[System]) -> list[str]:
    """With the run before it where there are several."""
    several = len({system.run for system in systems}) > 1
    return [f"{s.run}/{s.name}" if several and s.run != s.name else s.name for s in systems]


def _entries(systems: Sequence[System]) -> tuple[list[str], list[list[Entry]]]:
    """Each question once, as it is written first; and the rows of each system, which know its number."""
    numbers: dict[str, int] = {}
    texts: list[str] = []
    place = 0
    entries: list[list[Entry]] = []
    for system in systems:
        entries.append([])
        for record in system.records:
            key = question_key(record.question)
            if key not in numbers:
                numbers[key] = len(texts)
                texts.append(record.question)
            trajectory = record.trajectory
            method, attempt = (trajectory.method, trajectory.attempt) if trajectory else ("", 0)
            entries[-1].append(Entry(place, numbers[key], verdict_of(record), method, attempt))
            place += 1
    return texts, entries


def _pairs(entries: Sequence[Sequence[Entry]]) -> Pairs:
    asked = [{entry.question for entry in rows} for rows in entries]
    return {
        (a, b): pair_rows(entries[a], entries[b])
        for a, b in combinations(range(len(entries)), 2)
        if not asked[a].isdisjoint(asked[b])
    }


def _rows(
    systems: Sequence[System], entries: Sequence[Sequence[Entry]], shown: Texts
) -> tuple[dict[str, list[Any]], list[dict[str, Any]]]:
    rows, bodies = [], []
    for number, system in enumerate(systems):
        codes = _lint_codes(system.records)
        for record, entry in zip(system.records, entries[number], strict=True):
            trained = system.trained.get(record.trajectory.trajectory_id) if record.trajectory else None
            about = facts(record, shown, codes.get(record.row, ()), trained)
            rows.append({"system": number, "question": entry.question, **about})
            bodies.append(body(record, shown, trained))
    return {name: [row[name] for row in rows] for name in (rows[0] if rows else ())}, bodies


def _lint_codes(records: Sequence[Record]) -> dict[int, list[str]]:
    """By row number, of the rows in the page among themselves."""
    found: dict[int, list[str]] = {}
    for code, rows in lint(records, Context()).rows.items():
        for row in rows:
            found.setdefault(row, []).append(code)
    return found


def _about(name: str, place: str, system: System) -> dict[str, Any]:
    """A system in one line of numbers; means are of the rows for which they are known, None where there is none."""
    trajectories = [record.trajectory for record in system.records if record.trajectory]
    verdicts = Counter(map(verdict_of, system.records))
    scored = verdicts[Verdict.RIGHT] + verdicts[Verdict.WRONG]
    costs = [cost for trajectory in trajectories if (cost := finite(trajectory.cost_usd)) is not None]
    return {
        "name": name,
        "place": place,
        "n_rows": system.n_rows,
        "n_shown": len(system.records),
        "verdicts": {str(verdict): verdicts[verdict] for verdict in Verdict if verdicts[verdict]},
        "right": verdicts[Verdict.RIGHT] / scored if scored else None,
        "searches": _mean([searches_of(trajectory) for trajectory in trajectories]),
        "steps": _mean([steps_of(trajectory) for trajectory in trajectories]),
        "seconds": _mean([seconds_of(trajectory) for trajectory in trajectories]),
        "tokens": _mean([tokens_of(trajectory) for trajectory in trajectories]),
        "cost": sum(costs) if costs and len(costs) == len(trajectories) else None,
    }


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


def _apart(systems: Sequence[System], pairs: Pairs) -> Iterator[str]:
    runs = list(dict.fromkeys(system.run for system in systems))
    if len(runs) > 1 and not any(systems[a].run != systems[b].run for a, b in pairs):
        yield f"{' and '.join(runs)} have no question in common, so that nothing stands side by side."


def _left_out(names: Sequence[str], systems: Sequence[System]) -> Iterator[str]:
    for name, system in zip(names, systems, strict=True):
        if more := system.n_rows - len(system.records):
            yield (
                f"{name}: {_n_rows(more)} of {system.n_rows:,} left out of this page, which shows "
                f"{len(system.records):,}; `--limit` says how many it holds in all."
            )


def _unreadable(names: Sequence[str], systems: Sequence[System]) -> Iterator[str]:
    for name, system in zip(names, systems, strict=True):
        kinds = Counter(record.fault.partition(":")[0] for record in system.records if record.trajectory is None)
        if kinds:
            listed = ", ".join(f"{kind} {n}" for kind, n in sorted(kinds.items()))
            yield f"{name}: {_n_rows(kinds.total())} without a readable trajectory ({listed}), shown as written."


def _line(about: Mapping[str, Any]) -> str:
    verdicts = ", ".join(f"{n:,} {verdict}" for verdict, n in about["verdicts"].items())
    return f"{about['name']}: {_n_rows(about['n_shown'])}, {verdicts}"


def _changes(rows: Sequence[Pair]) -> str:
    return ", ".join(f"{n:,} {change}" for change, n in changes(rows).items())


def _n_rows(n: int) -> str:
    return "1 row" if n == 1 else f"{n:,} rows"
