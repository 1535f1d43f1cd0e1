"""A worker of a run: an actor with one event loop, one set of agents, one journal and one pool.

It imports no stage, and so no Ray Data: a process that starts loads a second less of Python.
"""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass
from typing import Any

import ray

from fireact_ray.agent.agent import AgentBuilder
from fireact_ray.agent.tools.base import SearchBackend
from fireact_ray.core.errors import InputError
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.types import Trajectory
from fireact_ray.core.utils.gc_tuning import spare_collector
from fireact_ray.core.utils.light_tables import spare_pandas
from fireact_ray.rollouts.journal import Journal
from fireact_ray.rollouts.plan import PLAN
from fireact_ray.rollouts.pool import Assignment, Pool
from fireact_ray.rollouts.replay import journaled
from fireact_ray.rollouts.writer import Writer
from fireact_ray.stages.actors.dispatcher import ActorSource
from fireact_ray.stages.actors.log_forwarding import forward_warnings

_SEEN_S = 30.0


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
    """`run` is called once in each process."""

    def __init__(self) -> None:
        forward_warnings()
        spare_pandas()

    async def run(self, settings: WorkerSettings, worker: str, dispatcher: Any) -> None:
        """Until there is nothing left to run. Ray calls it again in a new process when this one dies."""
        await _demand_seen(settings.home)
        writer = f"{worker}-{uuid.uuid4().hex[:8]}"
        journal = Journal(settings.home / "journal", writer)
        agents = settings.builder(settings.backend, settings.slots)
        spare_collector()

        async def run_row(assignment: Assignment) -> Trajectory:
            row = assignment.row
            agent = journaled(agents[row.method], journal, row.trajectory_id, assignment.paid, settings.offline)
            return await agent.run(row.question, row.attempt)

        await dispatcher.join.remote(worker, writer)
        rows = Writer(settings.home / "trajectories", writer)
        try:
            source, n_open = ActorSource(dispatcher, worker), settings.open_per_slot * settings.slots
            await Pool(run_row, rows, source, n_open).run()
        finally:
            journal.close()
            for agent in agents.values():
                await agent.close()


async def _demand_seen(home: Folder) -> None:
    """Raises InputError on a node that does not see the run folder, as one that came after the others were asked: its
    rows would lie where nobody reads them. A mount may be slow to show what another node wrote."""
    for _ in range(int(_SEEN_S)):
        if await asyncio.to_thread(home.exists, PLAN):
            return
        await asyncio.sleep(1)
    node = ray.util.get_node_ip_address()
    raise InputError(
        f"output_dir: {home.uri}/{PLAN}, which was written by the node of the run, is not there on {node}. "
        "Put output_dir on storage that every node mounts at the same place, or on s3://."
    )
