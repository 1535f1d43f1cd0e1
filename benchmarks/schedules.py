"""Schedules computed from known latencies: what a run could have taken, and what other schedules would take.

A chain is one question: its calls of the teacher and, after each, a search. A call of a chain can start when the search
before it has ended. Searches take no slot.

    lower_bound        no schedule can be faster
    work_conserving    a free slot is never left empty while a call is ready (list scheduling)
    slot_per_rollout   a rollout holds its slot to its end, searches included
    lockstep           FireAct's generation: all open questions step by step, in chunks
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import count

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


def work_conserving(chains: Sequence[Chain], slots: int, admitted: int | None = None) -> list[Call]:
    """List scheduling of the calls in the order of the questions.

    With `admitted`, at most so many questions are open at a time and ready calls are taken first come, first served,
    as a program would that cannot hold all questions open.
    """
    calls: list[Call] = []
    ready: list[tuple[float, int, int]] = []  # (rank, chain, leg)
    events: list[tuple[float, int, int, bool]] = []  # (time, chain, leg, has its call ended or its search)
    arrivals = count()
    n_opened = n_open = n_busy = 0
    now = 0.0

    def make_ready(chain: int, leg: int) -> None:
        heapq.heappush(ready, (next(arrivals) if admitted else chain, chain, leg))

    while True:
        while n_opened < len(chains) and n_open < (admitted or len(chains)):
            make_ready(n_opened, 0)
            n_opened, n_open = n_opened + 1, n_open + 1
        while ready and n_busy < slots:
            _, chain, leg = heapq.heappop(ready)
            ends = now + chains[chain][leg].call_s
            calls.append(Call(now, ends, opens=leg == 0))
            heapq.heappush(events, (ends, chain, leg, True))
            n_busy += 1
        if not events:
            return calls
        now = events[0][0]
        while events and events[0][0] == now:
            _, chain, leg, was_call = heapq.heappop(events)
            if was_call:
                n_busy -= 1
                heapq.heappush(events, (now + chains[chain][leg].search_s, chain, leg, False))
            elif leg + 1 < len(chains[chain]):
                make_ready(chain, leg + 1)
            else:
                n_open -= 1


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
