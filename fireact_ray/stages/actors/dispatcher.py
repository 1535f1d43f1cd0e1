"""The dispatcher: one actor per run, on the driver's node, that gives rows to the workers and hears what came of them.

It is rollouts.dispatcher behind a handle. It dies with its driver: all it knows stands in the run folder.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from fireact_ray.core.errors import FireActError
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.utils.gc_tuning import spare_collector
from fireact_ray.core.utils.light_tables import spare_pandas
from fireact_ray.rollouts.dispatcher import Counts, Dispatch, Leaving
from fireact_ray.rollouts.plan import Planned, Policy, planned_row, read_policy
from fireact_ray.rollouts.pool import Order, Report
from fireact_ray.stages.actors.log_forwarding import forward_warnings

_MAX_CONCURRENCY = 10_000


class DispatchActor:
    """Methods are coroutines, so that they run one at a time on one loop."""

    def __init__(self, home: Folder, policy: Policy, n_workers: int, recording: Folder | None) -> None:
        forward_warnings()
        spare_pandas()
        self._dispatch = Dispatch(home, policy, n_workers, recording)
        self._line: list[tuple[Planned, bool | None]] = []
        self._number = -1
        spare_collector()

    async def written(self) -> Any:
        return self._dispatch.written

    async def feed(self, table: pa.Table) -> int:
        """Rows of plan.parquet with a column `written`, in the order of the plan; returns how many rows wait."""
        n_waiting = 0
        for row in table.to_pylist():
            if row["line"] != self._number:
                n_waiting = self._feed_line()
                self._number = row["line"]
            self._line.append((planned_row(row), row["written"]))
        return n_waiting

    async def fed(self) -> None:
        self._feed_line()
        self._dispatch.fed()

    async def waiting(self) -> int:
        return self._dispatch.feed(())

    async def join(self, worker: str, writer: str) -> None:
        self._dispatch.join(worker, writer)

    async def exchange(self, worker: str, report: Report, room: int) -> Order:
        return self._dispatch.exchange(worker, report, room)

    async def halt(self, error: FireActError) -> None:
        self._dispatch.halt(error)

    async def give_up(self) -> None:
        self._dispatch.give_up()

    async def counts(self) -> Counts:
        return self._dispatch.counts()

    async def expect(self, n_workers: int) -> None:
        self._dispatch.expect(n_workers)

    async def leave(self, workers: list[str], n: int) -> Leaving:
        return self._dispatch.leave(workers, n)

    def _feed_line(self) -> int:
        line, self._line = self._line, []
        return self._dispatch.feed([(tuple(row for row, _ in line), [state for _, state in line])] if line else ())


class ActorSource:
    """The dispatcher as a pool's Source."""

    def __init__(self, dispatcher: Any, worker: str) -> None:
        self._dispatcher, self._worker = dispatcher, worker

    async def exchange(self, report: Report, room: int) -> Order:
        order: Order = await self._dispatcher.exchange.remote(self._worker, report, room)
        return order


@contextmanager
def open_dispatcher(home: Folder, n_workers: int, recording: Folder | None) -> Iterator[Any]:
    """The handle of the dispatcher of a run whose plan is written."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    options = {"num_cpus": 0, "max_concurrency": _MAX_CONCURRENCY, "scheduling_strategy": here}
    dispatcher = ray.remote(DispatchActor).options(**options).remote(home, read_policy(home), n_workers, recording)
    try:
        yield dispatcher
    finally:
        ray.kill(dispatcher)
