"""Rollouts at scale, shared by generate and evaluate.

The plan goes to a dispatcher (stages.plan_feed), each row marked with what is written of it; long-lived async workers
(stages.crew) pull rows from there and land what finishes in Parquet. An async UDF of Ray Data is a barrier per block
(the block comes out when its slowest row is done), so no rollout is one: a slow row here holds no slot but its own.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import nullcontext
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
from fireact_ray.recipe.workers import WorkerRange
from fireact_ray.rollouts.dispatcher import Counts
from fireact_ray.rollouts.elastic import Load, Sizing
from fireact_ray.rollouts.plan import PlanSize
from fireact_ray.rollouts.pool import OPEN_PER_SLOT
from fireact_ray.rollouts.progress import LiveProgress
from fireact_ray.stages.actors.dispatcher import open_dispatcher
from fireact_ray.stages.actors.quota import ActorQuota
from fireact_ray.stages.actors.resources import pending
from fireact_ray.stages.actors.rollout_worker import WorkerSettings
from fireact_ray.stages.actors.search import search_pool
from fireact_ray.stages.crew import Crew, crew
from fireact_ray.stages.plan_feed import Feed, feeding
from fireact_ray.stages.preflight import preflight
from fireact_ray.stages.ray_session import ray_session
from fireact_ray.stages.shared_folder import demand_shared
from fireact_ray.stages.shared_quota import shared_quota

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
    workers: WorkerRange,
    concurrency: int,
    open_per_slot: int = OPEN_PER_SLOT,
    num_gpus: float = 0,
    recording: Folder | None = None,
    only: frozenset[str] | None = None,
) -> None:
    """Run what `home`/plan.parquet owes; each row is in `home`/trajectories before it counts.

    `concurrency`: model calls in flight, over the most workers; `open_per_slot`: begun rollouts for each of them.
    `source`: the search as the driver has opened it (see stages.actors.search). `recording`: a folder like `home` whose
    journal answers every call; nothing is asked outside. `only`: these rows.
    Raises ModelDenied, ToolDenied or BudgetExhausted, once what is under way is written, when no further call is
    allowed, SameFailure when the teacher's first call or row after row fails alike, and DataError when rows cannot be
    written.
    """
    slots = max(1, concurrency // workers.max)
    backend_context: Any = nullcontext(OfflineBackend(source.fingerprint))
    with ray_session(recipe.ray):
        demand_shared(home)
        if recording is None:
            if isinstance(builder, TeacherAgents):
                _preflight(home, builder, source, only)
            backend_context = search_pool(recipe.search, source.fingerprint)
        with (
            crew(label, workers, num_gpus) as staff,  # it and the dispatcher start while the last two are waited for
            open_dispatcher(home, workers.min, recording) as dispatcher,
            backend_context as backend,
            shared_quota(builder) as builder,
        ):
            settings = WorkerSettings(builder, backend, home, slots, open_per_slot, offline=recording is not None)
            width = f"{workers} workers, {slots * workers.max} calls in flight"
            logger.info("%s: %d rows to %s", label, size.pending, width)
            progress = LiveProgress(label, home, size.pending, size.planned - size.pending)
            staff.begin(settings, dispatcher)
            with feeding(home, dispatcher, only) as feed:
                waiting = Waiting(label, partial(_waited_for, dispatcher, feed, workers.min, staff.needs))
                sized = partial(_resize, staff, Sizing(workers.min, workers.max, slots), _quota_of(builder))
                _follow(progress, waiting, dispatcher, staff, sized)


def _preflight(home: Folder, builder: TeacherAgents, source: SearchBackend, only: frozenset[str] | None) -> None:
    try:
        preflight(home, builder, source, only)
    except FireActError as error:
        raise _explained(error) from None


def _quota_of(builder: AgentBuilder) -> ActorQuota | None:
    quota = builder.quota if isinstance(builder, TeacherAgents) else None
    return quota if isinstance(quota, ActorQuota) else None


def _resize(staff: Crew, sizing: Sizing, quota: ActorQuota | None, counts: Counts) -> None:
    if not sizing.is_fixed:
        n_held_up = 0 if quota is None else quota.n_waiting()
        staff.resize(sizing.wanted(Load(counts.open, counts.joined, n_held_up), time.monotonic()))


def _follow(
    progress: LiveProgress, waiting: Waiting, dispatcher: Any, staff: Crew, resize: Callable[[Counts], None]
) -> None:
    """Show progress until all is over. Raises what stopped the run."""
    with progress, interrupts_wait() as interrupted:
        counts = _counts(dispatcher)
        while not counts.over and staff.is_running and not interrupted():
            staff.wait(_POLL_S)  # a worker that failed says why
            counts = _counts(dispatcher)
            progress.set(counts.finished, counts.accepted)
            if counts.error is None and not counts.over:
                resize(counts)
            waiting.look()
        if interrupted():
            ray.get(dispatcher.give_up.remote())
        staff.settle(_ENDING_S)
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
