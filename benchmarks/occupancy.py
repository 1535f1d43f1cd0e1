"""How full the slots of a schedule were: calls with their times -> makespan, share of the slots in use, dips.

The same measure for what a server saw and for what a simulation computed. The drain begins when the last question has
been started: from then on no schedule can keep all slots full.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class Call:
    """One call in flight; `opens` marks the first one of its question."""

    came_at_s: float
    left_at_s: float
    opens: bool


@dataclass(frozen=True, slots=True)
class Occupancy:
    """`in_use`: mean share of the slots before the drain, `ramp_s` included: the time until 0.9 of them were first
    full. A dip is a stretch after the ramp and before the drain with fewer than 0.9 of the slots in use."""

    makespan_s: float
    drain_s: float
    ramp_s: float
    in_use: float
    n_dips: int
    longest_dip_s: float


def occupancy(calls: Sequence[Call], slots: int) -> Occupancy:
    start, end = min(call.came_at_s for call in calls), max(call.left_at_s for call in calls)
    drain_at = max((call.came_at_s for call in calls if call.opens), default=end)
    levels = _levels(calls, until=drain_at)
    full = 0.9 * slots
    ramped_at = next((at for at, _, n in levels if n >= full), drain_at)
    dips = _low_stretches([(at, till) for at, till, n in levels if n < full and at >= ramped_at])
    busy_s = sum((till - at) * n for at, till, n in levels)
    return Occupancy(
        makespan_s=end - start,
        drain_s=end - drain_at,
        ramp_s=ramped_at - start,
        in_use=busy_s / (slots * (drain_at - start)) if drain_at > start else 1.0,
        n_dips=len(dips),
        longest_dip_s=max((till - at for at, till in dips), default=0.0),
    )


def _levels(calls: Sequence[Call], until: float) -> list[tuple[float, float, int]]:
    """(from, till, calls in flight) of each stretch between two changes."""
    changes = [(call.came_at_s, 1) for call in calls] + [(call.left_at_s, -1) for call in calls]
    changes.sort()
    levels, n = [], 0
    for (at, change), (till, _) in pairwise(changes):
        n += change
        if at < until and till > at:
            levels.append((at, min(till, until), n))
    return levels


def _low_stretches(stretches: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Joined where one begins when the other ends."""
    joined: list[tuple[float, float]] = []
    for at, till in stretches:
        if joined and joined[-1][1] == at:
            joined[-1] = (joined[-1][0], till)
        else:
            joined.append((at, till))
    return joined
