"""Rollouts at scale, shared by generate and evaluate.

The plan goes to a dispatcher (stages.plan_feed), each row marked with what is written of it; long-lived async workers
pull rows from there and land what finishes in Parquet. An async UDF of Ray Data is a barrier per block (the block comes
out when its slowest row is done), so no rollout is one: a slow row here holds no slot but its own.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

import ray
from ray.exceptions import RayActorError

from fireact_ray.agent.agent import AgentBuilder
from fireact_ray.agent.placeholders import OfflineBackend
from fireact_ray.agent.tools.base import SearchBackend
from fireact_ray.core.errors import DataError, FireActError, ModelDenied, ModelUnknown, QuotaDenied
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.utils.interrupts import interrupts_wait
from fireact_ray.core.utils.waiting import Waiting
from fireact_ray.recipe.schema import Recipe
from fireact_ray.recipe.teacher import TeacherAgents
from fireact_ray.rollouts.dispatcher import Counts
from fireact_ray.rollouts.plan import PlanSize
from fireact_ray.rollouts.pool import OPEN_PER_SLOT
from fireact_ray.rollouts.progress import LiveProgress
from fireact_ray.stages.actors.dispatcher import open_dispatcher
from fireact_ray.stages.actors.resources import pending
from fireact_ray.stages.actors.rollout_worker import RolloutWorker, WorkerSettings
from fireact_ray.stages.actors.search import search_pool
from fireact_ray.stages.plan_feed import Feed, feeding
from fireact_ray.stages.preflight import preflight
from fireact_ray.stages.ray_session import ray_session
from fireact_ray.stages.shared_folder import demand_shared
from fireact_ray.stages.shared_quota import shared_quota

_WORKER_CPUS = 0.5
_POLL_S = 0.5
_ENDING_S = 10.0  # how long interrupted workers may take to write what has finished

logger = logging.getLogger(__name__)


def run_rollouts(
    label: str,
    home: Folder,
    builder: AgentBuilder,
    recipe: Recipe,
    source: SearchBackend,
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
    `source`: the search as the driver has opened it (see stages.actors.search). `recording`: a folder like `home` whose
    journal answers every call; nothing is asked outside. `only`: these rows.
    Raises ModelDenied, ToolDenied or BudgetExhausted, once what is under way is written, when no further call is
    allowed, SameFailure when the teacher's first call or row after row fails alike, and DataError when rows cannot be
    written.
    """
    slots = max(1, concurrency // workers)
    backend_context: Any = nullcontext(OfflineBackend(source.fingerprint))
    with ray_session(recipe.ray):
        demand_shared(home)
        if recording is None:
            if isinstance(builder, TeacherAgents):
                _preflight(home, builder, source, only)
            backend_context = search_pool(recipe.search, source.fingerprint)
        with (
            _workers(workers, num_gpus) as actors,  # they and the dispatcher start while the last two are waited for
            open_dispatcher(home, workers, recording) as dispatcher,
            backend_context as backend,
            shared_quota(builder) as builder,
        ):
            settings = WorkerSettings(builder, backend, home, slots, open_per_slot, offline=recording is not None)
            width = f"{workers} workers, {slots * workers} calls in flight"
            logger.info("%s: %d rows to %s", label, size.pending, width)
            progress = LiveProgress(label, home, size.pending, size.planned - size.pending)
            each = {"CPU": _WORKER_CPUS, "GPU": num_gpus}
            running = [actor.run.remote(settings, f"w{worker}", dispatcher) for worker, actor in enumerate(actors)]
            with feeding(home, dispatcher, only) as feed:
                waiting = Waiting(label, partial(_waited_for, dispatcher, feed, workers, each))
                _follow(progress, waiting, dispatcher, running)


def _preflight(home: Folder, builder: TeacherAgents, source: SearchBackend, only: frozenset[str] | None) -> None:
    try:
        preflight(home, builder, source, only)
    except FireActError as error:
        raise _explained(error) from None


@contextmanager
def _workers(n: int, num_gpus: float) -> Iterator[list[Any]]:
    """Their handles. A worker that dies is started again, wherever there is room."""
    options = {"max_restarts": -1, "max_task_retries": -1, "scheduling_strategy": "SPREAD"}
    actor = ray.remote(RolloutWorker).options(num_cpus=_WORKER_CPUS, num_gpus=num_gpus, **options)
    actors = [actor.remote() for _ in range(n)]
    try:
        yield actors
    finally:
        for actor in actors:
            ray.kill(actor)


def _follow(progress: LiveProgress, waiting: Waiting, dispatcher: Any, running: list[Any]) -> None:
    """Show progress until all is over. Raises what stopped the run."""
    with progress, interrupts_wait() as interrupted:
        counts = _counts(dispatcher)
        while not counts.over and running and not interrupted():
            ended, running = ray.wait(running, num_returns=len(running), timeout=_POLL_S)
            ray.get(ended)  # a worker that failed says why
            counts = _counts(dispatcher)
            progress.set(counts.finished, counts.accepted)
            waiting.look()
        if interrupted():
            ray.get(dispatcher.give_up.remote())
        ray.wait(running, num_returns=len(running), timeout=_ENDING_S)  # killed while it runs, Ray would complain
    if counts.error is not None:
        raise _explained(counts.error)


def _waited_for(dispatcher: Any, feed: Feed, n_workers: int, each: dict[str, float]) -> str | None:
    """By a run none of whose rows goes on; None: by none."""
    n_missing = n_workers - _counts(dispatcher).joined
    if n_missing > 0:
        return pending(n_missing, f"of {n_workers} workers", each)
    return feed.waits_for


def _counts(dispatcher: Any) -> Counts:
    try:
        counts: Counts = ray.get(dispatcher.counts.remote())
    except RayActorError:
        raise DataError("The run's dispatcher died. Nothing finished is lost: run the same command again.") from None
    return counts


def _explained(error: FireActError) -> FireActError:
    """With what to do next."""
    if isinstance(error, ModelUnknown):
        return ModelUnknown(f"{error}. Set its name or base_url in the recipe to one that exists.")
    if isinstance(error, ModelDenied) and not isinstance(error, QuotaDenied):
        return ModelDenied(
            f"{error}: the provider refuses every call (key, billing or quota). What was paid for is kept; "
            "put it right and run the same command again."
        )
    return error
