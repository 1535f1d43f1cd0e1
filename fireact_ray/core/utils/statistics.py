"""95% intervals: how far a measured proportion or mean may be from the true one, given so few questions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

Z_95 = 1.959963984540054  # the normal distribution's 97.5% quantile

_CELLS = 4_000_000  # resampled values held at a time, 32 MB
_RESAMPLED = 5_000  # values up to which resampling is worth its time


class Interval(NamedTuple):
    low: float
    high: float


def wilson_interval(successes: float, n: int) -> Interval:
    """The score interval for a proportion of `n` trials (E. B. Wilson, JASA 22, 1927, p. 209).

    With p = successes / n: (p + z²/2n ± z·sqrt(p(1-p)/n + z²/4n²)) / (1 + z²/n). Unlike p ± z·sqrt(p(1-p)/n)
    it stays within [0, 1] and has width at p = 0 and p = 1. For n = 0 it is all of [0, 1].
    """
    if n == 0:
        return Interval(0.0, 1.0)
    p, z2 = successes / n, Z_95**2
    centre = p + z2 / (2 * n)
    spread = Z_95 * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    scale = 1 + z2 / n
    return Interval(max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale))


def bootstrap_interval(values: Sequence[float] | np.ndarray, seed: int = 0, n_resamples: int = 10_000) -> Interval:
    """The percentile bootstrap interval (Efron, 1979) of the mean of `values`, which must not be empty.

    The same values, seed and numpy version give the same interval.
    """
    data = np.asarray(values, dtype=np.float64)
    random = np.random.default_rng(seed)
    at_once = max(1, _CELLS // len(data))
    means = [
        data[random.integers(0, len(data), size=(min(at_once, n_resamples - done), len(data)))].mean(axis=1)
        for done in range(0, n_resamples, at_once)
    ]
    low, high = np.quantile(np.concatenate(means), [0.025, 0.975])
    return Interval(float(low), float(high))


def mean_interval(values: Sequence[float] | np.ndarray) -> Interval:
    """The interval of the mean of `values`, which must not be empty: `bootstrap_interval` of up to 5,000, and of more
    the normal one, mean ± z·sd/sqrt(n), from which it does not differ by then."""
    if len(values) <= _RESAMPLED:
        return bootstrap_interval(values)
    data = np.asarray(values, dtype=np.float64)
    half = Z_95 * float(data.std(ddof=1)) / math.sqrt(len(data))
    return Interval(float(data.mean()) - half, float(data.mean()) + half)


def t_95(degrees: int) -> float:
    """The 97.5 % quantile of Student's t, for two-sided 95 % intervals from `degrees` + 1 values.

    Exact for 1 and 2 degrees of freedom; from 3 on the expansion of Abramowitz and Stegun 26.7.5, good to 0.004.
    """
    p, z = 0.975, Z_95
    if degrees == 1:
        return math.tan(math.pi * (p - 0.5))
    if degrees == 2:
        return (2 * p - 1) * math.sqrt(1 / (2 * p * (1 - p)))
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / float(degrees) ** power for power, term in enumerate(terms, start=1))
