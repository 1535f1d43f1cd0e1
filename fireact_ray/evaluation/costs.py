"""What trials cost in money, tokens, searches, steps and seconds: mean, spread and histogram over the rows.

What nobody measured is left out and never counts as 0: a row's tokens where it has steps and not one token, its seconds
where none were measured, its cost where the price is unknown. Each distribution says how many rows it is over; where
that is none, there is no distribution.
"""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
    "overhead_seconds": "overhead seconds",
}
_WHOLE = {"searches", "steps"}  # few values, each its own bin
_BINS = 20
_UNKNOWN = math.nan
_NEITHER = (_UNKNOWN, _UNKNOWN)


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


class CostColumns:
    """What the rows cost: 8 bytes for each number, NaN where it is not known."""

    def __init__(self) -> None:
        self._values = array("d")

    def add(self, episode: Episode) -> None:
        """The quantities, in their order."""
        told = (episode.cost_usd, episode.cached_tokens, episode.n_searches, episode.n_steps, episode.overhead_s)
        cost, cached, searches, steps, overhead = (_UNKNOWN if one is None else float(one) for one in told)
        tokens: tuple[float, float] = (episode.prompt_tokens, episode.completion_tokens)
        seconds = (episode.model_s, episode.tool_s)
        if steps != 0:  # of a row without any, nothing is all that it took
            tokens, seconds = (both if any(both) else _NEITHER for both in (tokens, seconds))
        self._values.extend((cost, *tokens, cached, searches, steps, *seconds, overhead))

    def distributions(self) -> Mapping[str, Distribution | None]:
        """By quantity; None where no row's is known."""
        columns = np.asarray(self._values).reshape(-1, len(QUANTITIES)).T
        known = {name: column[~np.isnan(column)] for name, column in zip(QUANTITIES, columns, strict=True)}
        found = {name: distribution(values, name in _WHOLE) for name, values in known.items()}
        for names in (("prompt_tokens", "completion_tokens"), ("model_seconds", "tool_seconds")):
            if not any(one.total for name in names if (one := found[name])):  # nothing but rows that took no step
                found.update(dict.fromkeys(names))
        return found


def distribution(values: Sequence[float] | np.ndarray, whole: bool = False) -> Distribution | None:
    """None of no values. `whole`: values are whole numbers, each of which is a bin."""
    if not len(values):
        return None
    data = np.sort(np.asarray(values, dtype=np.float64))
    total = math.fsum(data)
    mean = total / len(data)
    sd = math.sqrt(math.fsum((data - mean) ** 2) / (len(data) - 1)) if len(data) > 1 else None
    low, high = float(data[0]), float(data[-1])
    bins = _counted(data) if whole or low == high else _binned(data)
    return Distribution(len(data), total, mean, sd, low, float(np.median(data)), high, bins)


def _counted(data: np.ndarray) -> tuple[tuple[float, float, int], ...]:
    return tuple((value, value, n) for value, n in sorted(Counter(data.tolist()).items()))


def _binned(data: np.ndarray) -> tuple[tuple[float, float, int], ...]:
    counts, edges = np.histogram(data, bins=_BINS)
    ends = edges.tolist()
    return tuple(zip(ends[:-1], ends[1:], counts.tolist(), strict=True))
