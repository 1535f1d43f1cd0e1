"""The schedule's state machine alone, driven by events in virtual time: no rollouts, no event loop, no files."""

from __future__ import annotations

import heapq
import random
import time
from collections import deque
from dataclasses import dataclass
from itertools import count, islice

import psutil

from benchmarks.null_run import Width
from benchmarks.null_teacher import SEARCH_S, Meter, Questions, latency_s, n_steps
from fireact_ray.rollouts.plan import Planned, Policy
from fireact_ray.rollouts.pool import OPEN_PER_SLOT
from fireact_ray.rollouts.schedule import Receipt, Schedule

_FED_ROWS = 20_000
_REPORTED = 20  # rows that go together in one report


@dataclass(frozen=True)
class Simulated:
    cpu_s: float
    share_in_use: float
    rss_grown_mb: float


def simulate(n: int, width: Width) -> Simulated:
    cpu_s, process = time.process_time(), psutil.Process()
    meter = Meter(width.concurrency)
    before = process.memory_info().rss
    _drive(n, meter)
    grown = process.memory_info().rss - before
    return Simulated(time.process_time() - cpu_s, meter.share_in_use, grown / 2**20)


def _drive(n: int, meter: Meter) -> None:
    schedule, rng, order = Schedule(Policy()), random.Random(0), count()
    plan = (Planned(q.id, q, "react") for q in Questions(n))
    n_open, now = 0, 0.0
    ready: deque[tuple[str, int, bool]] = deque()  # calls that wait for a slot: row, calls left, is it the first
    events: list[tuple[float, int, str, int, bool]] = []  # time, tie, row, calls left, has a call ended or a search
    finished: list[Receipt] = []
    while True:
        if len(finished) >= _REPORTED or not events:
            schedule.finished("w", finished)
            schedule.written("w", [receipt.trajectory_id for receipt in finished])
            finished = []
            if schedule.n_ready < _FED_ROWS // 2:
                for row in islice(plan, _FED_ROWS):
                    schedule.add((row,), [None])
            taken = schedule.take("w", OPEN_PER_SLOT * meter.slots - n_open)
            ready.extend((row.trajectory_id, n_steps(rng), True) for row in taken)
            n_open += len(taken)
        while ready and meter.in_use < meter.slots:
            row, left, opens = ready.popleft()
            meter.change(1, now, opens)
            heapq.heappush(events, (now + latency_s(rng), next(order), row, left - 1, True))
        if not events:
            return
        now, _, row, left, was_call = heapq.heappop(events)
        if not was_call:
            ready.append((row, left, False))
            continue
        meter.change(-1, now)
        if left:
            heapq.heappush(events, (now + SEARCH_S, next(order), row, left, False))
        else:
            n_open -= 1
            finished.append(Receipt(row, accepted=True))
