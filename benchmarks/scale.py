"""Does the cost of a rollout stay the same from a thousand to a million, in CPU, memory, files and time to resume?

    python -m benchmarks.scale --sizes 1000 10000 100000 1000000
    python -m benchmarks.scale --sizes --kills 100
    python -m benchmarks.scale --sizes --simulate 10000000

Rollouts of a null teacher on a virtual clock, through the real plan, dispatcher, pools, journals, parts, compaction and
audit (see null_run). Each size runs in a process of its own. At 99 % everything is killed, and the run is resumed.
A million takes about half an hour and 4 GB of disk. A size that is named again is measured again, and its least cost
counts: other jobs can only add to it, and name the small sizes before and after the large one to see how much.
`--simulate` drives the schedule's state machine alone, without rollouts or files.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import multiprocessing
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
import pyarrow.parquet as pq

from benchmarks.header import print_header, print_table
from benchmarks.null_run import Kills, RunState, Width, open_dispatch, run_null
from benchmarks.null_teacher import Meter, Questions, null_agents
from benchmarks.simulated_schedule import simulate
from benchmarks.virtual_clock import VirtualClockLoop
from fireact_ray.agent.models.slots import Slots
from fireact_ray.core.storage.compaction import MAX_PART_BYTES, Compaction, compactions_of, drop_compacted
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.trajectories import finished_keys
from fireact_ray.core.utils.gc_tuning import spare_collector
from fireact_ray.rollouts.audit import audit
from fireact_ray.rollouts.plan import Policy, plan_lines
from fireact_ray.stages.trajectory_folder import begin

_STOP_AT = 0.99
_PHASES = ("plan", "run", "resume", "compaction", "audit")


@dataclass(frozen=True)
class Phase:
    cpu_s: float
    wall_s: float
    peak_rss_mb: float


@dataclass
class Size:
    """One size measured."""

    n: int
    phases: dict[str, Phase] = field(default_factory=dict)
    share_in_use: float = 0.0
    n_bytes: int = 0
    n_parts_written: int = 0
    n_parts_compacted: int = 0
    journal_bytes: int = 0
    pending: int = 0
    problems: tuple[str, ...] = ()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="*", default=[1_000, 10_000, 100_000])
    parser.add_argument("--concurrency", type=int, default=200)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--kills", type=int, default=0, help="kill workers at random moments so many times")
    parser.add_argument("--simulate", type=int, default=0, metavar="N")
    parser.add_argument("--scratch", help="where run folders are made and deleted; about 4 KB per rollout")
    args = parser.parse_args()
    width = Width(args.workers, args.concurrency)
    print_header()
    if args.sizes:
        _print_sizes([_apart(measure, n, width, args.scratch) for n in args.sizes], width)
    if args.kills:
        _print_kills(args.kills, width, args.scratch)
    if args.simulate:
        _print_simulated(args.simulate, width)


def _apart(function, *args):
    """In a fresh process, so that memory is that of this size alone."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *args).result()


def measure(n: int, width: Width, scratch: str | None) -> Size:
    size = Size(n)
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        _whole_run(Folder(f"{folder}/warm-up"), Size(100), width)
        spare_collector()  # as workers do
        _whole_run(Folder(f"{folder}/run"), size, width)
    return size


def _whole_run(home: Folder, size: Size, width: Width) -> None:
    with _phase(size, "plan"):
        _begin(home, size.n)
    with _phase(size, "run"):
        state = _on_virtual_clock(_sitting(home, width, int(_STOP_AT * size.n)))
    size.share_in_use = state.meter.share_in_use
    parts = home / "trajectories"
    size.n_parts_written = len(parts.names(".parquet"))
    with _phase(size, "resume"):
        _begin(home, size.n)
        _on_virtual_clock(open_dispatch(home, width))
    with _phase(size, "rest"):
        _on_virtual_clock(_sitting(home, width, None))
    with _phase(size, "compaction"):
        old = parts.names(".parquet")
        with ProcessPoolExecutor(
            1, mp_context=multiprocessing.get_context("spawn")
        ) as task:  # as in a task of Ray Data
            todo = compactions_of(parts)
            compacted = [*todo.kept, *task.map(Compaction.run, todo.made)]
        drop_compacted(parts, old, compacted)
    with _phase(size, "audit"):
        found = audit(home)
        parts.write_json("manifest.json", {**found.to_dict(), "parts": compacted})
    size.n_bytes = sum(parts.size(name) for name in compacted)
    size.n_parts_compacted = len(compacted)
    size.journal_bytes = sum(path.stat().st_size for path in (home / "journal").local_path.glob("*"))
    size.pending, size.problems = found.pending, found.problems


def _begin(home: Folder, n: int) -> None:
    agents = null_agents(Meter(1), Slots(1))
    begin(home, {"benchmark": "scale"}, plan_lines(Questions(n), agents, Policy()), Policy())


async def _sitting(home: Folder, width: Width, stop_at: int | None) -> RunState:
    return await run_null(home, width, await open_dispatch(home, width), stop_at=stop_at)


def _on_virtual_clock(coroutine):
    with asyncio.Runner(loop_factory=VirtualClockLoop) as runner:
        return runner.run(coroutine)


@contextmanager
def _phase(size: Size, name: str) -> Iterator[None]:
    peak, done = [0.0], threading.Event()
    watch = threading.Thread(target=_watch_memory, args=(peak, done))
    watch.start()
    cpu_s, wall_s = time.process_time(), time.monotonic()
    try:
        yield
    finally:
        done.set()
        watch.join()
        size.phases[name] = Phase(time.process_time() - cpu_s, time.monotonic() - wall_s, peak[0])


def _watch_memory(peak: list[float], done: threading.Event) -> None:
    process = psutil.Process()
    while True:
        peak[0] = max(peak[0], process.memory_info().rss / 2**20)
        if done.wait(0.1):
            return


def _print_sizes(sizes: list[Size], width: Width) -> None:
    rows = []
    for size in sizes:
        run, allowed = size.phases["run"], math.ceil(size.n_bytes / MAX_PART_BYTES) + width.workers
        rows.append(
            [
                f"{size.n:,}",
                f"{1000 * run.cpu_s / (_STOP_AT * size.n):.3f}",
                f"{size.share_in_use:.4f}",
                *(f"{size.phases[name].peak_rss_mb:.0f}" for name in _PHASES),
                f"{size.phases['resume'].wall_s:.1f}",
                f"{size.phases['plan'].wall_s:.1f} / {size.phases['compaction'].wall_s:.1f}",
                f"{size.n_parts_written} -> {size.n_parts_compacted} ({allowed})",
                f"{size.n_bytes / size.n:.0f} / {size.journal_bytes / size.n:.0f}",
                f"{size.pending} {'; '.join(size.problems)}",
            ]
        )
    columns = ["rollouts", "CPU ms each", "slots in use", *(f"{name}: peak RSS MB" for name in _PHASES)]
    columns += [
        "resume s",
        "plan / compact s",
        "parts -> compacted (allowed)",
        "bytes each: Parquet / journal",
        "pending",
    ]
    print(f"\nC = {width.concurrency}, {width.workers} workers, one process.")
    print_table(columns, rows)
    costs = _least_costs(sizes)
    if len(costs) > 1:
        print(f"Largest over smallest cost: {max(costs.values()) / min(costs.values()):.3f}; ", end="")
        print(f"exponent {1 + _slope(costs):.3f}.")
        smallest, largest = min(sizes, key=lambda size: size.n), max(sizes, key=lambda size: size.n)
        grown = {name: largest.phases[name].peak_rss_mb - smallest.phases[name].peak_rss_mb for name in _PHASES}
        print("Peak RSS grows by MB:", ", ".join(f"{name} {mb:.0f}" for name, mb in grown.items()))


def _least_costs(sizes: list[Size]) -> dict[int, float]:
    """CPU seconds of a rollout by n."""
    return {
        n: min(size.phases["run"].cpu_s / (_STOP_AT * n) for size in sizes if size.n == n)
        for n in sorted({size.n for size in sizes})
    }


def _slope(costs: dict[int, float]) -> float:
    """Least squares of log cost over log n."""
    line = np.polyfit(np.log(list(costs)), np.log(list(costs.values())), 1)
    return float(line[0])


def _print_kills(kills: int, width: Width, scratch: str | None) -> None:
    n = 100 * width.concurrency
    seconds = n * 12.0 / width.concurrency  # about: three calls of 2.4 s and two searches each, then the drain
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        home = Folder(f"{folder}/run")
        _begin(home, n)
        planned = set(pq.read_table(Path(folder) / "run" / "plan.parquet")["trajectory_id"].to_pylist())
        state = _on_virtual_clock(_killed(home, width, Kills(kills, seconds / kills)))
        parts = home / "trajectories"
        written = [key for table in parts.read_tables(["trajectory_id"]) for key in table["trajectory_id"].to_pylist()]
        keys = finished_keys(parts)
        found = audit(home)
    print_table(
        ["kills", "planned", "written", "missing", "not planned", "written twice", "pending", "calls made"],
        [
            [
                state.deaths,
                len(planned),
                len(keys),
                len(planned - keys),
                len(keys - planned),
                len(written) - len(keys),
                found.pending,
                state.meter.n_calls,
            ]
        ],
    )
    print(f"by reason: {found.by_reason}")


async def _killed(home: Folder, width: Width, kills: Kills) -> RunState:
    return await run_null(home, width, await open_dispatch(home, width), kills=kills)


def _print_simulated(n: int, width: Width) -> None:
    seen = _apart(simulate, n, width)
    rows = [[f"{n:,}", f"{1e6 * seen.cpu_s / n:.1f}", f"{seen.share_in_use:.4f}", f"{seen.rss_grown_mb:.0f}"]]
    print_table(["rollouts, schedule alone", "CPU us each", "slots in use", "RSS grown MB"], rows)


if __name__ == "__main__":
    main()
