"""95% intervals: how far a measured proportion or mean may be from the true one, given so few questions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

Z_95 = 1.959963984540054  # the normal distribution's 97.5% quantile

_CELLS = 4_000_000  # resampled values held at a time, 32 MB
_RESAMPLED = 5_000  # values up to which resampling is worth its time


class Interval(NamedTuple):
    low: float
    high: float


def wilson_interval(successes: float, n: float) -> Interval:
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

    The same values in the same order, seed and numpy version give the same interval.
    """
    data = np.asarray(values, dtype=np.float64)
    return _percentiles(len(data), lambda drawn: data[drawn].mean(axis=1), seed, n_resamples)


def mean_interval(values: Sequence[float] | np.ndarray) -> Interval:
    """The interval of the mean of `values`, which must not be empty: `bootstrap_interval` of up to 5,000, and of more
    the normal one, mean ± z·sd/sqrt(n), from which it does not differ by then. Their order does not matter."""
    data = np.sort(np.asarray(values, dtype=np.float64))
    if len(data) <= _RESAMPLED:
        return bootstrap_interval(data)
    half = Z_95 * float(data.std(ddof=1)) / math.sqrt(len(data))
    return Interval(float(data.mean()) - half, float(data.mean()) + half)


def grouped_mean_interval(sums: np.ndarray, sizes: np.ndarray) -> Interval:
    """The interval of sum(sums) / sum(sizes), the mean over the members of groups that are drawn as wholes, such as
    several answers to one question: as `mean_interval`, of groups. Both (groups,), each group with a member.

    Members of a group are no trials of their own. Taken for such, of a file that holds each row twice the interval
    would be 30 % narrower.
    """
    order = np.lexsort((sizes, sums))
    sums, sizes = sums[order], sizes[order]
    if len(sums) <= _RESAMPLED:
        return _percentiles(len(sums), lambda drawn: sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1), 0, 10_000)
    mean = float(sums.sum() / sizes.sum())
    half = Z_95 * math.sqrt(_grouped_variance(sums, sizes))
    return Interval(mean - half, mean + half)


def grouped_wilson_interval(sums: np.ndarray, sizes: np.ndarray) -> Interval:
    """Wilson's interval of a proportion whose trials come in groups: of as many trials as would say as much, were each
    drawn alone (Korn and Graubard, Survey Methodology 24, 1998). `sums`: successes of each group, of `sizes` trials.

    That number is p(1-p) divided by the variance of p over groups, at most all trials; where p is 0 or 1, which has no
    variance, the number of groups.
    """
    n, p = float(sizes.sum()), float(sums.sum() / sizes.sum())
    variance = _grouped_variance(sums, sizes)
    alone = p * (1 - p)
    n_alone = float(len(sums)) if alone == 0 or len(sums) == 1 else n if variance == 0 else min(n, alone / variance)
    return wilson_interval(p * n_alone, n_alone)


def _grouped_variance(sums: np.ndarray, sizes: np.ndarray) -> float:
    """Of sum(sums) / sum(sizes) over draws of groups, by linearisation; 0 of one group."""
    n_groups = len(sums)
    if n_groups == 1:
        return 0.0
    left = sums - sums.sum() / sizes.sum() * sizes
    return float(n_groups / (n_groups - 1) * (left**2).sum() / sizes.sum() ** 2)


def _percentiles(n: int, of: Callable[[np.ndarray], np.ndarray], seed: int, n_resamples: int) -> Interval:
    """`of`: (resamples, n) places drawn from `n` -> what is looked at, of each resample."""
    random = np.random.default_rng(seed)
    at_once = max(1, _CELLS // n)
    found = [
        of(random.integers(0, n, size=(min(at_once, n_resamples - done), n))) for done in range(0, n_resamples, at_once)
    ]
    low, high = np.quantile(np.concatenate(found), [0.025, 0.975])
    return Interval(float(low), float(high))


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
