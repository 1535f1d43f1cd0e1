"""What trials cost in money, tokens, searches, steps and seconds: mean, spread and histogram over the rows.

What nobody measured is left out and never counts as 0: a row's tokens where it has steps and not one token, its seconds
where none were measured, its cost where the price is unknown. Each distribution says how many rows it is over; where
that is none, there is no distribution.
"""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fireact_ray.evaluation.episodes import Episode

# In this order, in a report as on its page: the key in report.json and the words on the page.
QUANTITIES = {
    "cost_usd": "cost $",
    "prompt_tokens": "prompt tokens",
    "completion_tokens": "completion tokens",
    "cached_tokens": "cached tokens",
    "searches": "searches",
    "steps": "steps",
    "model_seconds": "model seconds",
    "tool_seconds": "tool seconds",
}
_WHOLE = {"searches", "steps"}  # few values, each its own bin
_BINS = 20


@dataclass(frozen=True, slots=True)
class Distribution:
    """Of `n` rows. `sd`: of the sample (n - 1), None of a single row. `bins`: (from, to, rows), the upper end of the
    last one included; a bin of whole numbers begins and ends with its number."""

    n: int
    total: float
    mean: float
    sd: float | None
    low: float
    median: float
    high: float
    bins: tuple[tuple[float, float, int], ...]

    def to_dict(self) -> dict[str, Any]:
        return {
            "n": self.n,
            "total": self.total,
            "mean": self.mean,
            "sd": self.sd,
            "min": self.low,
            "median": self.median,
            "max": self.high,
            "bins": [list(one) for one in self.bins],
        }


@dataclass(slots=True)
class CostColumns:
    """What the rows cost: 8 bytes for each number that is known."""

    _columns: dict[str, array[float]] = field(default_factory=lambda: {name: array("d") for name in QUANTITIES})

    def add(self, episode: Episode) -> None:
        for name, value in _known(episode):
            self._columns[name].append(value)

    def distributions(self) -> Mapping[str, Distribution | None]:
        """By quantity; None where no row's is known."""
        found = {name: distribution(values, name in _WHOLE) for name, values in self._columns.items()}
        for names in (("prompt_tokens", "completion_tokens"), ("model_seconds", "tool_seconds")):
            if not any(one.total for name in names if (one := found[name])):  # nothing but rows that took no step
                found.update(dict.fromkeys(names))
        return found


def distribution(values: Sequence[float], whole: bool = False) -> Distribution | None:
    """None of no values. `whole`: values are whole numbers, each of which is a bin."""
    if not values:
        return None
    data = np.sort(np.asarray(values, dtype=np.float64))
    total = math.fsum(data)
    mean = total / len(data)
    sd = math.sqrt(math.fsum((data - mean) ** 2) / (len(data) - 1)) if len(data) > 1 else None
    low, high = float(data[0]), float(data[-1])
    bins = _counted(data) if whole or low == high else _binned(data)
    return Distribution(len(data), total, mean, sd, low, float(np.median(data)), high, bins)


def _known(episode: Episode) -> Iterator[tuple[str, float]]:
    """The quantities of a row that somebody measured."""
    yield "searches", episode.n_searches
    yield "steps", episode.n_steps
    if episode.cost_usd is not None:
        yield "cost_usd", episode.cost_usd
    if episode.cached_tokens is not None:
        yield "cached_tokens", episode.cached_tokens
    if episode.prompt_tokens or episode.completion_tokens or not episode.n_steps:
        yield "prompt_tokens", episode.prompt_tokens
        yield "completion_tokens", episode.completion_tokens
    if episode.model_s or episode.tool_s or not episode.n_steps:
        yield "model_seconds", episode.model_s
        yield "tool_seconds", episode.tool_s


def _counted(data: np.ndarray) -> tuple[tuple[float, float, int], ...]:
    return tuple((value, value, n) for value, n in sorted(Counter(data.tolist()).items()))


def _binned(data: np.ndarray) -> tuple[tuple[float, float, int], ...]:
    counts, edges = np.histogram(data, bins=_BINS)
    ends = edges.tolist()
    return tuple(zip(ends[:-1], ends[1:], counts.tolist(), strict=True))
