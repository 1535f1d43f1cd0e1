"""The tables of the generation benchmark: schedules side by side, the same law at other sizes, CPU by process."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.chains import seen_as_calls
from benchmarks.cpu_watch import is_of_ray
from benchmarks.header import print_table
from benchmarks.lockstep import CHUNK, CONNECTIONS
from benchmarks.occupancy import Call, occupancy
from benchmarks.schedules import (
    Chain,
    lockstep_s,
    lower_bound_s,
    pooled,
    resampled,
    slot_per_rollout_s,
    work_conserving,
)
from fireact_ray.demo.teacher.calls import SeenCall
from fireact_ray.rollouts.pool import OPEN_PER_SLOT


@dataclass(frozen=True)
class Measured:
    """One schedule as the teacher saw it. `cpu_s`: by process, between the first request and the last reply."""

    name: str
    seen: list[SeenCall]
    cpu_s: dict[str, float]
    teacher_cpu_s: float

    @property
    def window_s(self) -> tuple[float, float]:
        return min(call.came_at_s for call in self.seen), max(call.left_at_s for call in self.seen)


def print_law(args: argparse.Namespace, chains: Sequence[Chain]) -> None:
    calls_s = sorted(leg.call_s for chain in chains for leg in chain)
    steps = sorted(map(len, chains))
    print(
        f"\nLaw: log-normal, median {args.median_s:g} s, sigma {args.sigma:g}, {args.stall_rate:.1%} of calls "
        f"x {args.stall_factor:g}; {args.search_s:g} s added per search. "
        f"Drawn: mean {sum(calls_s) / len(calls_s):.3f} s, "
        f"p99 {calls_s[int(0.99 * len(calls_s))]:.2f} s, largest {calls_s[-1]:.2f} s; {len(calls_s)} calls of "
        f"{len(chains)} rollouts, steps p50 {steps[len(steps) // 2]}, p95 {steps[int(0.95 * len(steps))]}, "
        f"most {steps[-1]}."
    )


def print_schedules(
    runs: Sequence[Measured], chains: Sequence[Chain], first_requests: set[str], args: argparse.Namespace
) -> None:
    slots = args.concurrency
    bound_s, greedy = lower_bound_s(chains, slots), work_conserving(chains, slots)
    best_s = occupancy(greedy, slots).makespan_s
    simulated = {
        "greedy, simulated": greedy,
        "our pools, simulated": pooled(chains, slots, args.workers, OPEN_PER_SLOT),
    }
    rows = [_row(name, calls, len(chains), slots, bound_s, best_s) for name, calls in simulated.items()]
    for run in runs:
        row = _row(run.name, seen_as_calls(run.seen, first_requests), len(chains), slots, bound_s, best_s)
        if run.name == "lockstep":  # its calls are bounded by connections, not by slots
            row[5:] = ["-"] * 4
        refused = sum(call.outcome == "429" for call in run.seen)
        late_s = [call.left_at_s - call.came_at_s - call.drawn_s for call in run.seen]
        rows.append([*row, refused, len(run.seen), f"{1000 * sum(late_s) / len(late_s):.1f}"])
    print(f"\n{len(chains)} rollouts, C = {slots}; LB {bound_s:.1f} s.")
    columns = [
        "schedule",
        "s",
        "rollouts/s",
        "LB/makespan",
        "greedy/makespan",
        "in use before drain",
        "ramp s",
        "drain s",
    ]
    columns += ["dips < 0.9 C (longest ms)", "429s", "calls", "teacher late ms"]
    print_table(columns, [[*row, "", "", ""] if len(row) < len(columns) else row for row in rows])
    ours = runs[0].window_s[1] - runs[0].window_s[0]
    for other in runs[1:]:
        print(f"{other.name} takes {(other.window_s[1] - other.window_s[0]) / ours:.2f} x as long as ours")


def _row(name: str, calls: Sequence[Call], n: int, slots: int, bound_s: float, best_s: float) -> list[object]:
    seen = occupancy(calls, slots)
    return [
        name,
        f"{seen.makespan_s:.1f}",
        f"{n / seen.makespan_s:.1f}",
        f"{bound_s / seen.makespan_s:.3f}",
        f"{best_s / seen.makespan_s:.3f}",
        f"{seen.in_use:.3f}",
        f"{seen.ramp_s:.2f}",
        f"{seen.drain_s:.1f}",
        f"{seen.n_dips} ({1000 * seen.longest_dip_s:.0f})",
    ]


def print_simulated(chains: Sequence[Chain], args: argparse.Namespace) -> None:
    """What the law gives at other sizes: chains drawn again from those that were seen."""
    slots, rows = args.concurrency, []
    for size in args.simulate:
        drawn = resampled(chains, size * slots)
        greedy_s = occupancy(work_conserving(drawn, slots), slots).makespan_s
        pooled_s = occupancy(pooled(drawn, slots, args.workers, OPEN_PER_SLOT), slots).makespan_s
        locked_s = lockstep_s(drawn, chunk=CHUNK, connections=CONNECTIONS, search_threads=args.search_threads)
        equal_s = occupancy(work_conserving(drawn, CONNECTIONS), CONNECTIONS).makespan_s
        bound_s = lower_bound_s(drawn, slots)
        rows.append(
            [
                f"{size} C = {len(drawn)}",
                f"{bound_s / greedy_s:.3f}",
                f"{bound_s / pooled_s:.3f}",
                f"{bound_s / slot_per_rollout_s(drawn, slots):.3f}",
                f"{locked_s / greedy_s:.1f}",
                f"{locked_s / equal_s:.1f}",
            ]
        )
    print(f"Simulated, C = {slots}, chains drawn from the ones above; lockstep: {args.search_threads} search threads.")
    columns = ["rollouts", "LB/greedy", "LB/our pools", "LB/slot per rollout", "lockstep/greedy"]
    print_table([*columns, f"lockstep/greedy, both {CONNECTIONS} calls at a time"], rows)


def print_cpu(runs: Sequence[Measured], n: int) -> None:
    rows = []
    for run in runs:
        lasted_s = run.window_s[1] - run.window_s[0]
        own_s = sum(s for name, s in run.cpu_s.items() if not is_of_ray(name))
        by_name = ", ".join(f"{name} {1000 * s / n:.2f}" for name, s in run.cpu_s.items())
        rows.append([run.name, f"{1000 * own_s / n:.2f}", by_name, f"{run.teacher_cpu_s / lasted_s:.2f}"])
    print("CPU ms per rollout, first request to last reply (`driver`: this script's process).")
    print_table(["schedule", "all but Ray's own", "by process", "teacher, share of one core"], rows)
