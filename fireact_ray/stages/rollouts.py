"""Rollouts at scale, shared by generate and evaluate.

Ray Data streams the plan, each row marked with what has landed of it, into a dispatcher; long-lived async workers pull
rows from there and land what finishes in Parquet. An async UDF of Ray Data is a barrier per block (the block comes out
when its slowest row is done), so no rollout is one: a slow row here holds no slot but its own.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import ray
from ray.data import DataContext
from ray.exceptions import RayActorError, RayTaskError

from fireact_ray.actors.dispatch import ActorSource, open_dispatcher
from fireact_ray.actors.search import search_pool
from fireact_ray.assembly import AgentBuilder
from fireact_ray.collector import spare_collector
from fireact_ray.errors import BudgetExhausted, DataError, FireActError, ModelDenied, ModelUnknown
from fireact_ray.journal import Journal
from fireact_ray.journaling import journaled
from fireact_ray.recipe import Recipe
from fireact_ray.scheduling.dispatch import Counts
from fireact_ray.scheduling.landing import Lander
from fireact_ray.scheduling.plan import PLAN, Landed, PlanSize
from fireact_ray.scheduling.pool import OPEN_PER_SLOT, Assignment, Pool
from fireact_ray.scheduling.progress import LiveProgress
from fireact_ray.stages.metering import shared_quota
from fireact_ray.stages.runtime import interrupts_wait, own_error, ray_session
from fireact_ray.stages.sharing import demand_shared
from fireact_ray.store import Folder
from fireact_ray.tools.base import SearchBackend
from fireact_ray.tools.offline import OfflineBackend
from fireact_ray.types import Trajectory

_WAITING_ROWS = 20_000  # rows that the dispatcher holds ready; the rest stays in the plan
_BATCH_ROWS = 2_000
_POLL_S = 0.5
_SHIP_S = 1.0
_ENDING_S = 10.0  # how long interrupted workers may take to land what has finished

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class WorkerSettings:
    """What every worker is built from. `slots`: model calls at a time in one worker, with `open_per_slot` rollouts."""

    builder: AgentBuilder
    backend: SearchBackend
    home: Folder
    slots: int
    open_per_slot: int
    offline: bool


class RolloutWorker:
    """An actor: one event loop, one set of agents, one journal, one pool."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings

    async def run(self, seat: str, dispatcher: Any) -> None:
        """Until there is nothing left to run. Ray calls it again in a new process when this one dies."""
        settings = self._settings
        writer = f"{seat}-{uuid.uuid4().hex[:8]}"
        journal = Journal(settings.home / "journal", writer)
        agents = settings.builder(settings.backend, settings.slots)
        spare_collector()

        async def run_row(assignment: Assignment) -> Trajectory:
            row = assignment.row
            agent = journaled(agents[row.method], journal, row.trajectory_id, assignment.paid, settings.offline)
            return await agent.run(row.question, row.attempt)

        await dispatcher.join.remote(seat, writer)
        lander = Lander(settings.home / "trajectories", writer)
        shipping = asyncio.create_task(_ship(journal))
        try:
            await Pool(run_row, lander, ActorSource(dispatcher, seat), settings.open_per_slot * settings.slots).run()
        finally:
            shipping.cancel()
            journal.close()
            for agent in agents.values():
                await agent.close()


def run_rollouts(
    label: str,
    home: Folder,
    builder: AgentBuilder,
    recipe: Recipe,
    fingerprint: str,
    *,
    size: PlanSize,
    workers: int,
    concurrency: int,
    open_per_slot: int = OPEN_PER_SLOT,
    num_gpus: float = 0,
    recording: Folder | None = None,
    only: frozenset[str] | None = None,
) -> None:
    """Run what `home`/plan.parquet owes; each row is in `home`/trajectories before it counts.

    `concurrency`: model calls in flight, over all workers; `open_per_slot`: begun rollouts for each of them.
    `fingerprint`: of the search backend (see actors.search). `recording`: a folder like `home` whose journal answers
    every call; nothing is asked outside. `only`: these rows.
    Raises ModelDenied, ToolDenied or BudgetExhausted, once what is under way has landed, when no further call is
    allowed, and DataError when rows cannot be written.
    """
    slots = max(1, concurrency // workers)
    backend_context: Any = nullcontext(OfflineBackend(fingerprint))
    with ray_session(recipe.ray):
        demand_shared(home)
        if recording is None:
            backend_context = search_pool(recipe.search, fingerprint)
        with (
            backend_context as backend,
            shared_quota(builder) as builder,
            open_dispatcher(home, workers, recording) as dispatcher,
        ):
            settings = WorkerSettings(builder, backend, home, slots, open_per_slot, offline=recording is not None)
            width = f"{workers} workers, {slots * workers} calls in flight"
            logger.info("%s: Ray Data, %d rows to %s", label, size.owed, width)
            progress = LiveProgress(label, home, size.owed, size.planned - size.owed)
            with _workers(settings, dispatcher, workers, num_gpus) as running, _feeding(home, dispatcher, only):
                _follow(progress, dispatcher, running)


@contextmanager
def _workers(settings: WorkerSettings, dispatcher: Any, n: int, num_gpus: float) -> Iterator[list[Any]]:
    """Their running calls. A worker that dies is started again, wherever there is room."""
    options = {"max_restarts": -1, "max_task_retries": -1, "scheduling_strategy": "SPREAD"}
    actor = ray.remote(RolloutWorker).options(num_cpus=0.5, num_gpus=num_gpus, **options)
    actors = [actor.remote(settings) for _ in range(n)]
    try:
        yield [actor.run.remote(f"w{seat}", dispatcher) for seat, actor in enumerate(actors)]
    finally:
        for actor in actors:
            ray.kill(actor)


@contextmanager
def _feeding(home: Folder, dispatcher: Any, only: frozenset[str] | None) -> Iterator[None]:
    """While inside, the plan goes to the dispatcher as fast as it needs rows."""
    stop = threading.Event()
    thread = threading.Thread(target=_feed, args=(home, dispatcher, only, stop), name="feed", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _feed(home: Folder, dispatcher: Any, only: frozenset[str] | None, stop: threading.Event) -> None:
    try:
        DataContext.get_current().execution_options.preserve_order = True
        mark = MarkLanded(ray.put(ray.get(dispatcher.landed.remote())), only)
        # A fraction of a CPU each: on a small machine the workers hold the rest.
        plan = ray.data.read_parquet(f"{home.uri}/{PLAN}", num_cpus=0.1).map_batches(
            mark, batch_format="pyarrow", batch_size=_BATCH_ROWS, num_cpus=0.1
        )
        for batch in plan.iter_batches(batch_format="pyarrow", batch_size=_BATCH_ROWS):
            n_waiting = ray.get(dispatcher.feed.remote(batch))
            while n_waiting > _WAITING_ROWS and not stop.wait(_POLL_S):
                n_waiting = ray.get(dispatcher.waiting.remote())
            if stop.is_set():
                return
        ray.get(dispatcher.fed.remote())
    except RayTaskError as error:
        problem = own_error(error) or DataError(f"The plan {home.uri}/{PLAN} could not be read: {error.cause!r}")
        ray.get(dispatcher.halt.remote(problem))


@dataclass(frozen=True)
class MarkLanded:
    """Adds to rows of the plan the column `landed`: accepted, not accepted, or null. `landed`: a reference to it."""

    landed: Any
    only: frozenset[str] | None

    def __call__(self, batch: pa.Table) -> pa.Table:
        keys = batch["trajectory_id"].to_pylist()
        landed: Landed = ray.get(self.landed)
        batch = batch.append_column("landed", pa.array(landed.find(keys), pa.bool_()))
        if self.only is None:
            return batch
        return batch.filter(pa.array([key in self.only for key in keys], pa.bool_()))


def _follow(progress: LiveProgress, dispatcher: Any, running: list[Any]) -> None:
    """Show progress until all is over. Raises what stopped the run."""
    with progress, interrupts_wait() as interrupted:
        counts = _counts(dispatcher)
        while not counts.over and running and not interrupted():
            ended, running = ray.wait(running, num_returns=len(running), timeout=_POLL_S)
            ray.get(ended)  # a worker that failed says why
            counts = _counts(dispatcher)
            progress.set(counts.finished, counts.accepted)
        if interrupted():
            ray.get(dispatcher.give_up.remote())
        ray.wait(running, num_returns=len(running), timeout=_ENDING_S)  # killed while it runs, Ray would complain
    if counts.error is not None:
        raise _explained(counts.error)


def _counts(dispatcher: Any) -> Counts:
    try:
        counts: Counts = ray.get(dispatcher.counts.remote())
    except RayActorError:
        raise DataError("The run's dispatcher died. Nothing finished is lost: run the same command again.") from None
    return counts


async def _ship(journal: Journal) -> None:
    while True:
        await asyncio.sleep(_SHIP_S)
        await asyncio.to_thread(journal.ship)


def _explained(error: FireActError) -> FireActError:
    """With what to do next."""
    if isinstance(error, ModelUnknown):
        return ModelUnknown(f"{error}. Set teacher.model.name or base_url to one that exists.")
    if isinstance(error, ModelDenied) and not isinstance(error, BudgetExhausted):
        return ModelDenied(
            f"{error}: the provider refuses every call (key, billing or quota). What was paid for is kept; "
            "put it right and run the same command again."
        )
    return error
