"""Does generation keep the teacher's slots full? Against references from the very same latencies.

    python -m benchmarks.generation --questions 2500 --concurrency 50 --baselines plain-calls plain-rollouts
    python -m benchmarks.generation --questions 2000 --concurrency 200 --search-s 0.4 --baselines lockstep
    python -m benchmarks.generation --questions 2000 --concurrency 200 --peer-python /path/to/venv/bin/python

The teacher is the scripted one, in a process of its own; its latency is fixed per question and step (log-normal, some
calls stalled), so every schedule has the same work. `LB` is the lower bound max(work / slots, longest chain), `greedy`
the work-conserving schedule that takes calls in the order of the questions, both computed from the latencies that were
drawn. Times are from the first request to the last reply, as the teacher saw them; the start of Ray is not in them.
The last form compares single-turn requests with bespokelabs-curator, which is in an environment of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.chains import chains_of, requests_of, seen_as_calls
from benchmarks.cpu_watch import CpuWatch, is_of_ray
from benchmarks.curator_peer import run_curator
from benchmarks.header import print_header, print_table
from benchmarks.lockstep import CHUNK, CONNECTIONS, run_lockstep
from benchmarks.occupancy import Call, occupancy
from benchmarks.plain_asyncio import run_plain
from benchmarks.schedules import (
    Chain,
    lockstep_s,
    lower_bound_s,
    pooled,
    resampled,
    slot_per_rollout_s,
    work_conserving,
)
from benchmarks.served_teacher import ServedTeacher, served_teacher
from fireact_ray.assembly import TeacherAgents, open_backend
from fireact_ray.recipe import Recipe
from fireact_ray.recipe_loader import load_recipe
from fireact_ray.scheduling.plan import Planned, plan_lines
from fireact_ray.scheduling.pool import ADMITTED_PER_SLOT
from fireact_ray.stages.generate import generate
from fireact_ray.store import Folder, read_trajectories
from fireact_ray.tasks import load_questions
from fireact_ray.teacher.calls import SeenCall
from fireact_ray.teacher.protocol import MODEL_NAME

_SPLIT_QUESTIONS = 6000  # of the almanac's train split; more rows are further attempts


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


def main() -> None:
    args = _arguments()
    print_header()
    law = ["--latency-median-s", args.median_s, "--latency-sigma", args.sigma, "--seed", args.seed]
    law += ["--stall-rate", args.stall_rate, "--stall-factor", args.stall_factor]
    with served_teacher([str(option) for option in law]) as teacher, tempfile.TemporaryDirectory() as folder:
        recipe = _recipe(args, teacher.base_url, folder)
        planned = _planned(recipe)
        ours = _measure("ours", teacher, lambda: generate(recipe))
        others = [_measure(name, teacher, _baseline(name, args, recipe, planned, teacher)) for name in args.baselines]
        if args.peer_python:
            others.append(_measure("curator", teacher, lambda: run_curator(args.peer_python, recipe, planned)))
        chains, first_requests = _work(recipe, planned, ours.seen, args.search_s)
    for other in others:
        _check_same_work(ours, other)
    _print_law(args, chains)
    _print_schedules([ours, *others], chains, first_requests, args)
    _print_simulated(chains, args)
    _print_cpu([ours, *others], len(planned))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=int, default=500)
    parser.add_argument("--concurrency", type=int, default=50)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--median-s", type=float, default=0.5)
    parser.add_argument("--sigma", type=float, default=0.6)
    parser.add_argument("--stall-rate", type=float, default=0.01, help="share of calls that take stall-factor as long")
    parser.add_argument("--stall-factor", type=float, default=6.0)
    parser.add_argument("--search-s", type=float, default=0.0, help="added to each search, of every schedule")
    parser.add_argument("--search-threads", type=int, default=min(32, (os.cpu_count() or 1) + 4), help="of lockstep")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--method", default="react", choices=["react", "io"])
    parser.add_argument("--baselines", nargs="*", default=[], choices=["plain-calls", "plain-rollouts", "lockstep"])
    parser.add_argument("--peer-python", help="interpreter that has bespokelabs-curator; takes --method io")
    parser.add_argument("--simulate", type=int, nargs="*", default=[10, 50, 200], metavar="K", help="questions K x C")
    parser.add_argument("--set", dest="settings", action="append", default=[], help="further settings of the recipe")
    args = parser.parse_args()
    if args.peer_python:
        args.method = "io"
    return args


def _recipe(args: argparse.Namespace, base_url: str, folder: str) -> Recipe:
    attempts = math.ceil(args.questions / _SPLIT_QUESTIONS)
    width = f"n_questions: {args.questions // attempts}, attempts: {attempts}"
    settings = [
        f"output_dir={folder}",
        f"teacher.model={{kind: openai, name: {MODEL_NAME}, base_url: '{base_url}', api_key_env: null}}",
        f"teacher.methods=[{args.method}]",
        f"generate={{split: train, {width}, workers: {args.workers}, concurrency: {args.concurrency}}}",
    ]
    if args.search_s:
        settings.append(f"search.faults={{kind: latency, probability: 1.0, latency_s: {args.search_s}}}")
    return load_recipe("demo", settings + args.settings)


def _planned(recipe: Recipe) -> list[Planned]:
    width = recipe.generate
    questions = load_questions(recipe.task.name, recipe.task.path, width.split, width.n_questions)
    agents = TeacherAgents(recipe, opened=False)(open_backend(recipe.search))
    return [row for line in plan_lines(questions, agents, width.policy) for row in line]


def _baseline(
    name: str, args: argparse.Namespace, recipe: Recipe, planned: Sequence[Planned], teacher: ServedTeacher
) -> Callable[[], object]:
    if name == "lockstep":
        return lambda: asyncio.run(run_lockstep(recipe, planned, teacher.base_url, args.search_threads))
    gate = "calls" if name == "plain-calls" else "rollouts"
    return lambda: asyncio.run(run_plain(recipe, planned, args.concurrency, gate))


def _measure(name: str, teacher: ServedTeacher, run: Callable[[], object]) -> Measured:
    started_s, before_s = time.monotonic(), teacher.cpu_s()
    with CpuWatch(skip=teacher.process.pid) as watch:
        run()
    seen = [call for call in teacher.calls(started_s) if call.outcome != "400"]  # curator asks once without a message
    measured = Measured(name, seen, {}, teacher.cpu_s() - before_s)
    print(f"{name}: {len(seen)} calls, {measured.window_s[1] - measured.window_s[0]:.1f} s", flush=True)
    return Measured(name, seen, watch.spent_s(*measured.window_s), measured.teacher_cpu_s)


def _work(
    recipe: Recipe, planned: Sequence[Planned], seen: Sequence[SeenCall], search_s: float
) -> tuple[list[Chain], set[str]]:
    """The chains in the order of the plan, and the requests that open them."""
    (agent,) = TeacherAgents(recipe, opened=False)(open_backend(recipe.search)).values()
    by_key = {t.trajectory_id: t for t in read_trajectories(Folder(recipe.run_dir) / "trajectories")}
    trajectories = [by_key[row.trajectory_id] for row in planned]
    requests = [requests_of(agent, trajectory) for trajectory in trajectories]
    return chains_of(trajectories, requests, seen, search_s), {of_one[0] for of_one in requests}


def _check_same_work(ours: Measured, other: Measured) -> None:
    answered = [{call.request for call in run.seen if call.outcome == "200"} for run in (ours, other)]
    if answered[0] != answered[1]:
        raise ValueError(f"{other.name} did not make the same requests as ours: {[len(one) for one in answered]}")


def _print_law(args: argparse.Namespace, chains: Sequence[Chain]) -> None:
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


def _print_schedules(
    runs: Sequence[Measured], chains: Sequence[Chain], first_requests: set[str], args: argparse.Namespace
) -> None:
    slots = args.concurrency
    bound_s, greedy = lower_bound_s(chains, slots), work_conserving(chains, slots)
    best_s = occupancy(greedy, slots).makespan_s
    simulated = {
        "greedy, simulated": greedy,
        "our pools, simulated": pooled(chains, slots, args.workers, ADMITTED_PER_SLOT),
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


def _print_simulated(chains: Sequence[Chain], args: argparse.Namespace) -> None:
    """What the law gives at other sizes: chains drawn again from those that were seen."""
    slots, rows = args.concurrency, []
    for size in args.simulate:
        drawn = resampled(chains, size * slots)
        greedy_s = occupancy(work_conserving(drawn, slots), slots).makespan_s
        pooled_s = occupancy(pooled(drawn, slots, args.workers, ADMITTED_PER_SLOT), slots).makespan_s
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


def _print_cpu(runs: Sequence[Measured], n: int) -> None:
    rows = []
    for run in runs:
        lasted_s = run.window_s[1] - run.window_s[0]
        own_s = sum(s for name, s in run.cpu_s.items() if not is_of_ray(name))
        by_name = ", ".join(f"{name} {1000 * s / n:.2f}" for name, s in run.cpu_s.items())
        rows.append([run.name, f"{1000 * own_s / n:.2f}", by_name, f"{run.teacher_cpu_s / lasted_s:.2f}"])
    print("CPU ms per rollout, first request to last reply (`driver`: this script's process).")
    print_table(["schedule", "all but Ray's own", "by process", "teacher, share of one core"], rows)


if __name__ == "__main__":
    main()
