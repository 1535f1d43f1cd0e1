"""How many bytes a rollout leaves in files, and what stages hold of each row in memory: sizes, no times.

    python -m benchmarks.scaling_sizes --rollouts 1000

Rollouts of the null teacher on a virtual clock, as in benchmarks.scale, without Ray. benchmarks.scaling reckons with
what is printed here.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import tempfile
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.header import print_header, print_table
from benchmarks.null_run import Width, open_dispatch, run_null
from benchmarks.null_teacher import Meter, Questions, null_agents
from benchmarks.virtual_clock import VirtualClockLoop
from fireact_ray.agent.models.slots import Slots
from fireact_ray.core.storage.compaction import compactions_of
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.trajectories import read_trajectories
from fireact_ray.rollouts.completed import read_written
from fireact_ray.rollouts.journal import read_journal
from fireact_ray.rollouts.plan import PLAN, Policy, plan_lines, write_plan

_WIDTH = Width(workers=2, concurrency=200)


@dataclass(frozen=True)
class Sizes:
    """Bytes of a rollout. `paid`: of all its replies, as the dispatcher remembers them; `row`: of the trajectory as
    evaluation reads it."""

    plan: float
    part: float
    journal: float
    journal_lines: float
    question: float
    paid: float
    row: float


def weigh(home: Folder, n: int) -> Sizes:
    written, _ = read_written(home / "trajectories")
    write_plan(home, plan_lines(Questions(n), null_agents(Meter(1), Slots(1)), Policy()), Policy(), written)
    with asyncio.Runner(loop_factory=VirtualClockLoop) as runner:
        runner.run(_whole(home))
    parts, journal = home / "trajectories", home / "journal"
    todo = compactions_of(parts)
    compacted = [*todo.kept, *(one.run() for one in todo.made)]
    return Sizes(
        plan=home.size(PLAN) / n,
        part=sum(map(parts.size, compacted)) / n,
        journal=sum(map(journal.size, journal.names())) / n,
        journal_lines=sum(1 for _ in read_journal(journal)) / n,
        question=_held_bytes(lambda: list(Questions(n))) / n,
        paid=_held_bytes(lambda: list(read_journal(journal))) / n,
        row=_held_bytes(lambda: read_trajectories(parts)) / n,
    )


async def _whole(home: Folder) -> None:
    await run_null(home, _WIDTH, await open_dispatch(home, _WIDTH))


def _held_bytes(make: Callable[[], object]) -> int:
    """Of what `make` returns."""
    gc.collect()
    tracemalloc.start()
    made = make()
    gc.collect()
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del made
    return held


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rollouts", type=int, default=1_000)
    args = parser.parse_args()
    print_header()
    with tempfile.TemporaryDirectory() as folder:
        sizes = weigh(Folder(f"{folder}/run"), args.rollouts)
    print_table(
        ["of a rollout", "bytes"],
        [
            ["plan.parquet", f"{sizes.plan:.0f}"],
            ["compacted part", f"{sizes.part:.0f}"],
            ["journal", f"{sizes.journal:.0f}"],
            ["its question in memory", f"{sizes.question:.0f}"],
            ["its replies in the dispatcher, where it is pending again", f"{sizes.paid:.0f}"],
            ["it itself in memory", f"{sizes.row:.0f}"],
        ],
    )
    print(f"journal lines of a rollout: {sizes.journal_lines:.2f}")


if __name__ == "__main__":
    main()
