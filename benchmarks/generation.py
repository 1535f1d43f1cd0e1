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

from benchmarks.chains import chains_of, requests_of
from benchmarks.cpu_watch import CpuWatch
from benchmarks.curator_peer import run_curator
from benchmarks.generation_tables import Measured, print_cpu, print_law, print_schedules, print_simulated
from benchmarks.header import print_header
from benchmarks.lockstep import run_lockstep
from benchmarks.plain_asyncio import run_plain
from benchmarks.schedules import Chain
from benchmarks.served_teacher import ServedTeacher, served_teacher
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.trajectories import read_trajectories
from fireact_ray.demo.teacher.calls import SeenCall
from fireact_ray.demo.teacher.protocol import MODEL_NAME
from fireact_ray.recipe.loader import load_recipe
from fireact_ray.recipe.schema import Recipe
from fireact_ray.recipe.search import open_backend
from fireact_ray.recipe.teacher import TeacherAgents
from fireact_ray.rollouts.plan import Planned, plan_lines
from fireact_ray.stages.generate import generate
from fireact_ray.tasks import load_questions

_SPLIT_QUESTIONS = 6000  # of the almanac's train split; more rows are further attempts


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
    print_law(args, chains)
    print_schedules([ours, *others], chains, first_requests, args)
    print_simulated(chains, args)
    print_cpu([ours, *others], len(planned))


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


if __name__ == "__main__":
    main()
