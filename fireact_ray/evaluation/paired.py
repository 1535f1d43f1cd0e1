"""Is one system better than another on the same questions? Pairing removes the questions' own difficulty."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fireact_ray.core.errors import DataError
from fireact_ray.core.utils.statistics import Interval, bootstrap_interval


@dataclass(frozen=True, slots=True)
class Paired:
    """What two systems did with the same questions, `b` against `a`."""

    n: int
    n_only_a: int  # questions on which a scored higher
    n_only_b: int
    difference: float  # mean of b minus mean of a, in units of the scores
    interval: Interval  # 95%, of the difference
    p_value: float  # of the exact McNemar test


def compare_paired(a: Mapping[str, float], b: Mapping[str, float]) -> Paired:
    """Compare scores by question id. Raises DataError where the two did not answer the same questions.

    The interval is the bootstrap's over questions. The p-value is the exact form of McNemar's test
    (Psychometrika 12, 1947): if neither system were better, each question that only one got right would be a
    fair coin. For scores other than 0 and 1 (means over attempts) that is the sign test.
    """
    if a.keys() != b.keys() or not a:
        raise DataError(
            f"A paired comparison needs the same questions: {len(a)} and {len(b)} were answered, "
            f"{len(a.keys() & b.keys())} by both. Evaluate both systems on the same split and n_questions."
        )
    differences = [b[question] - a[question] for question in sorted(a)]
    n_only_a, n_only_b = sum(d < 0 for d in differences), sum(d > 0 for d in differences)
    return Paired(
        n=len(differences),
        n_only_a=n_only_a,
        n_only_b=n_only_b,
        difference=sum(differences) / len(differences),
        interval=bootstrap_interval(differences),
        p_value=coin_p_value(n_only_a, n_only_b),
    )


def coin_p_value(heads: int, tails: int) -> float:
    """Two-sided: how likely a fair coin falls at least as unevenly."""
    n = heads + tails
    ways = tail = 1  # whole numbers, exact however many coins: of the sequences with k heads, and with at most k
    for k in range(min(heads, tails)):
        ways = ways * (n - k) // (k + 1)
        tail += ways
    return min(1.0, 2 * tail / (1 << n))
