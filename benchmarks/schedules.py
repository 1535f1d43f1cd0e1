"""Schedules computed from known latencies: what a run could have taken, and what other schedules would take.

A chain is one question: its calls of the teacher and, after each, a search. A call of a chain can start when the search
before it has ended. Searches take no slot.

    lower_bound        no schedule can be faster
    work_conserving    a free slot is never left empty while a call is ready (list scheduling)
    pooled             the same for each of several workers, which holds a few questions open per slot
    slot_per_rollout   a rollout holds its slot to its end, searches included
    lockstep           FireAct's generation: all open questions step by step, in chunks
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import count, islice

from benchmarks.occupancy import Call


@dataclass(frozen=True, slots=True)
class Leg:
    """One step of a chain: the teacher's call, then the search that it asked for (0: none)."""

    call_s: float
    search_s: float = 0.0


Chain = tuple[Leg, ...]


def lower_bound_s(chains: Sequence[Chain], slots: int) -> float:
    """The larger of all calls over all slots, and the longest chain."""
    work_s = sum(leg.call_s for chain in chains for leg in chain)
    longest_s = max(sum(leg.call_s + leg.search_s for leg in chain) for chain in chains)
    return max(work_s / slots, longest_s)


def work_conserving(chains: Sequence[Chain], slots: int) -> list[Call]:
    """List scheduling of the calls in the order of the questions."""
    return _run(chains, [_Pool(slots, len(chains))], lambda chain, arrival: chain)


def pooled(chains: Sequence[Chain], slots: int, pools: int, open_per_slot: int) -> list[Call]:
    """Our own: each pool has its share of the slots, holds so many questions open, and serves their calls first come,
    first served."""
    share = max(1, slots // pools)
    return _run(chains, [_Pool(share, open_per_slot * share) for _ in range(pools)], lambda chain, arrival: arrival)


@dataclass
class _Pool:
    slots: int
    admitted: int
    n_open: int = 0
    n_busy: int = 0
    ready: list[tuple[int, int, int]] = field(default_factory=list)  # rank, chain, leg


def _run(chains: Sequence[Chain], pools: list[_Pool], rank: Callable[[int, int], int]) -> list[Call]:
    """`rank` of a ready call, from its chain and the order in which calls became ready: the least goes first."""
    calls: list[Call] = []
    events: list[tuple[float, int, int, int, bool]] = []  # time, pool, chain, leg, has its call ended or its search
    arrivals, coming = count(), iter(range(len(chains)))
    now = 0.0
    while True:
        for number, pool in enumerate(pools):
            for chain in islice(coming, pool.admitted - pool.n_open):
                pool.n_open += 1
                heapq.heappush(pool.ready, (rank(chain, next(arrivals)), chain, 0))
            while pool.ready and pool.n_busy < pool.slots:
                _, chain, leg = heapq.heappop(pool.ready)
                pool.n_busy += 1
                ends = now + chains[chain][leg].call_s
                calls.append(Call(now, ends, opens=leg == 0))
                heapq.heappush(events, (ends, number, chain, leg, True))
        if not events:
            return calls
        now = events[0][0]
        while events and events[0][0] == now:
            _, number, chain, leg, was_call = heapq.heappop(events)
            pool = pools[number]
            if was_call:
                pool.n_busy -= 1
                heapq.heappush(events, (now + chains[chain][leg].search_s, number, chain, leg, False))
            elif leg + 1 < len(chains[chain]):
                heapq.heappush(pool.ready, (rank(chain, next(arrivals)), chain, leg + 1))
            else:
                pool.n_open -= 1


def slot_per_rollout_s(chains: Sequence[Chain], slots: int) -> float:
    return makespan_s((sum(leg.call_s + leg.search_s for leg in chain) for chain in chains), slots)


def lockstep_s(chains: Sequence[Chain], *, chunk: int, connections: int, search_threads: int) -> float:
    """Step by step: the calls of all open questions, one chunk after another; then all their searches."""
    total_s = 0.0
    for depth in range(max(map(len, chains))):
        legs = [chain[depth] for chain in chains if len(chain) > depth]
        for at in range(0, len(legs), chunk):
            total_s += makespan_s((leg.call_s for leg in legs[at : at + chunk]), connections)
        total_s += makespan_s((leg.search_s for leg in legs if leg.search_s), search_threads)
    return total_s


def makespan_s(jobs_s: Iterable[float], slots: int) -> float:
    """Jobs one after another, each on the slot that is free first."""
    free_at = [0.0] * slots
    end = 0.0
    for job_s in jobs_s:
        ends = free_at[0] + job_s
        heapq.heapreplace(free_at, ends)
        end = max(end, ends)
    return end


def resampled(chains: Sequence[Chain], n: int, seed: int = 0) -> list[Chain]:
    """`n` chains drawn from those that were seen: the same law, for runs that are too long to make."""
    return random.Random(seed).choices(chains, k=n)
