"""A whole run on a virtual clock in one process: the real plan, dispatcher, pools, journals and Parquet parts.

Only what is remote is missing: Ray, HTTP and the teacher. A worker is what a worker process would be; to kill it is to
drop all that it holds in memory at that moment, as SIGKILL would.
"""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.null_teacher import Meter, null_agents
from fireact_ray.agent.models.slots import Slots
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.types import Trajectory
from fireact_ray.rollouts.dispatcher import Dispatch
from fireact_ray.rollouts.journal import Entry, Journal
from fireact_ray.rollouts.plan import PLAN, Policy, planned_row
from fireact_ray.rollouts.pool import OPEN_PER_SLOT, Assignment, Order, Pool, Report
from fireact_ray.rollouts.replay import journaled
from fireact_ray.rollouts.writer import Writer

_HOP_S = 0.001  # a message to the dispatcher and back
_BATCH_ROWS, _WAITING_ROWS = 2_000, 20_000  # as stages.rollout_workers feeds it


@dataclass(frozen=True)
class Width:
    workers: int
    concurrency: int

    @property
    def slots(self) -> int:
        """Of one worker."""
        return max(1, self.concurrency // self.workers)


@dataclass(frozen=True)
class Kills:
    """`n` of them, each of a worker taken by chance, at random moments."""

    n: int
    mean_every_s: float
    seed: int = 0


class _MortalJournal(Journal):
    """Of a process that may die: nothing is written after that."""

    alive = True

    def put(self, entry: Entry) -> None:
        if self.alive:
            super().put(entry)


@dataclass
class Seat:
    """One worker. `deaths`: how often it was killed."""

    name: str
    home: Folder
    dispatch: Dispatch
    meter: Meter
    slots: int
    deaths: int = 0
    _pool: asyncio.Task[None] | None = None
    _rollouts: set[asyncio.Task[Trajectory]] = field(default_factory=set)
    _journal: _MortalJournal | None = None

    async def run(self) -> None:
        """Until all is over, in as many lives as it takes."""
        while True:
            self._pool = asyncio.create_task(self._live())
            await asyncio.wait([self._pool])
            if not self._pool.cancelled():
                return self._pool.result()

    def kill(self) -> None:
        if self._pool is None or self._pool.done():
            return
        self.deaths += 1
        if self._journal is not None:
            self._journal.alive = False
        for task in (self._pool, *self._rollouts):
            task.cancel()
        self._rollouts = set()

    async def exchange(self, report: Report, room: int) -> Order:
        """As a pool's Source."""
        await asyncio.sleep(_HOP_S)
        return self.dispatch.exchange(self.name, report, room)

    async def _live(self) -> None:
        writer = f"{self.name}-{uuid.uuid4().hex[:8]}"
        journal = self._journal = _MortalJournal(self.home / "journal", writer)
        agents = null_agents(self.meter, Slots(self.slots))

        async def run_row(assignment: Assignment) -> Trajectory:
            task = asyncio.current_task()
            self._rollouts.add(task)
            task.add_done_callback(self._rollouts.discard)
            row = assignment.row
            agent = journaled(agents[row.method], journal, row.trajectory_id, assignment.paid, offline=False)
            return await agent.run(row.question, row.attempt)

        self.dispatch.join(self.name, writer)
        writer_of_rows = Writer(self.home / "trajectories", writer, clock=asyncio.get_running_loop().time)
        try:
            await Pool(run_row, writer_of_rows, self, OPEN_PER_SLOT * self.slots).run()
        finally:
            journal.close()


@dataclass(frozen=True)
class RunState:
    dispatch: Dispatch
    meter: Meter
    deaths: int


async def open_dispatch(home: Folder, width: Width) -> Dispatch:
    return Dispatch(home, Policy(), width.workers, clock=asyncio.get_running_loop().time)


async def run_null(
    home: Folder, width: Width, dispatch: Dispatch, *, stop_at: int | None = None, kills: Kills | None = None
) -> RunState:
    """Run what the plan owes; with `stop_at`, kill all when so many rows of this session have finished."""
    meter = Meter(width.slots * width.workers)
    workers = [Seat(f"w{i}", home, dispatch, meter, width.slots) for i in range(width.workers)]
    feeding = asyncio.create_task(_feed(home, dispatch))
    running = [asyncio.create_task(worker.run()) for worker in workers]
    killing = asyncio.create_task(_kill(workers, kills)) if kills else None
    if stop_at is None:
        await asyncio.gather(feeding, *running)
    else:
        while dispatch.counts().finished < stop_at:  # noqa: ASYNC110 (a second of virtual time costs nothing)
            await asyncio.sleep(1)
        for task in (feeding, *running):
            task.cancel()
        for worker in workers:
            worker.kill()
        await asyncio.gather(feeding, *running, return_exceptions=True)
    if killing is not None:
        killing.cancel()
    return RunState(dispatch, meter, sum(worker.deaths for worker in workers))


async def _feed(home: Folder, dispatch: Dispatch) -> None:
    """As stages.rollout_workers does it: rows marked with what is written of them, as fast as they are needed."""
    for batch in _plan_batches(home):
        rows = batch.to_pylist()
        states = dispatch.written.find([row["trajectory_id"] for row in rows])
        lines = [((planned_row(row),), [state]) for row, state in zip(rows, states, strict=True)]
        n_waiting = dispatch.feed(lines)
        while n_waiting > _WAITING_ROWS:
            await asyncio.sleep(0.5)
            n_waiting = dispatch.feed(())
    dispatch.fed()


def _plan_batches(home: Folder) -> Iterator[pa.RecordBatch]:
    yield from pq.ParquetFile(home.local_path / PLAN).iter_batches(_BATCH_ROWS)


async def _kill(workers: list[Seat], kills: Kills) -> None:
    rng = random.Random(kills.seed)
    for _ in range(kills.n):
        await asyncio.sleep(rng.expovariate(1 / kills.mean_every_s))
        rng.choice(workers).kill()
