"""The agents' deployment: its replicas hold the agents that were evaluated and their HTTP face, and neither a model nor
a corpus. Models are the engine deployments' (actors/engine_server.py), searches the search deployment's
(actors/search_server.py)."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import ray
from fastapi import FastAPI
from ray import serve as ray_serve

from fireact_ray.agent.agent import Agent
from fireact_ray.agent.models.local import LocalChat
from fireact_ray.agent.tools.base import SearchBackend
from fireact_ray.core.errors import ToolDenied, ToolError
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.types import Hit, Trajectory
from fireact_ray.core.utils.gc_tuning import spare_collector
from fireact_ray.recipe.schema import Recipe
from fireact_ray.recipe.student import StudentAgents, local_student, open_renderer, student_agent, student_name
from fireact_ray.recipe.teacher import TeacherAgents
from fireact_ray.rendering.remembered import RememberingTokenizer
from fireact_ray.rollouts.traces import Traces
from fireact_ray.serving.app import build_app
from fireact_ray.serving.door import Door
from fireact_ray.serving.hop import OwnServer
from fireact_ray.serving.settings import Access, Asking, Health, Hooks, ServingSettings
from fireact_ray.stages.actors.conversations import EnginePool
from fireact_ray.stages.actors.log_forwarding import forward_warnings
from fireact_ray.stages.actors.own_work import OwnWork, as_stats
from fireact_ray.stages.actors.search_ring import SearchRing
from fireact_ray.stages.serve_metrics import Later, ServeMetrics
from fireact_ray.stages.serve_settings import keys_of
from fireact_ray.stages.served_agent import ServedAgent

TRACES = "served"  # below the run's folder: what convert.sources names
_ANSWER_S = 5.0  # of a part that is asked whether it is there

logger = logging.getLogger(__name__)
access_log = logging.getLogger("ray.serve.fireact")  # goes to the replica's file, beside Serve's own lines


@dataclass(frozen=True)
class ServedSystem:
    """One model id. `engine`: the name of its engine deployment, None where a provider has the model."""

    model_id: str
    agents: StudentAgents | TeacherAgents
    engine: str | None


class ServedBackend:
    """To a served agent a refused search key is a search that is down: it has no run to pause, but users to answer."""

    def __init__(self, inner: SearchBackend) -> None:
        self.fingerprint = inner.fingerprint
        self._inner = inner
        self._reported: set[str] = set()

    async def search(self, query: str, k: int) -> list[Hit]:
        try:
            return await self._inner.search(query, k)
        except ToolDenied as error:
            if str(error) not in self._reported:
                self._reported.add(str(error))
                logger.warning("%s", error)
            raise ToolError(str(error)) from None

    async def close(self) -> None:
        await self._inner.close()


class AgentServer:
    """`search`: the handle of the search deployment; `engines`: those of the engine deployments, by their names.
    `longest_s`: that an answer may take.

    Proxies ask it over connections of their own (serving/hop.py): so it counts its questions itself, and ends them
    before it stops.
    """

    def __init__(
        self,
        recipe: Recipe,
        systems: Sequence[ServedSystem],
        settings: ServingSettings,
        fingerprint: str,
        search: Any,
        engines: Mapping[str, Any],
        longest_s: float,
    ) -> None:
        forward_warnings()
        self._longest_s = longest_s
        config = recipe.serve
        self._settings, self._keys = settings, keys_of(config)
        self._parts = {"search": search.where, **{name: handle.at_work for name, handle in engines.items()}}
        self._backend = ServedBackend(SearchRing(search, fingerprint))
        self._turns = asyncio.Semaphore(config.max_ongoing_requests)
        self._later = Later()
        self._metrics = ServeMetrics(self._later)
        self._traces = Traces(Folder(recipe.run_dir) / TRACES, recipe.task.name) if config.keep_traces else None
        self._engines: dict[str, EnginePool] = {}  # by model
        self._handles = engines
        self._agents = {system.model_id: self._served(system) for system in systems}
        self._is_open = threading.Event()
        self._is_open.set()
        self._requests, self._is_leaving = OwnWork(), False
        self._server: OwnServer | None = None

    def _served(self, system: ServedSystem) -> ServedAgent:
        pool = self._pool(system)
        return ServedAgent.of(_agent_of(system.agents, self._backend, pool), self._turns, pool)

    def _pool(self, system: ServedSystem) -> EnginePool | None:
        agents = system.agents
        if system.engine is None or isinstance(agents, TeacherAgents):
            return None
        if agents.model_key not in self._engines:
            handle, student = self._handles[system.engine], local_student(agents.recipe)
            self._engines[agents.model_key] = EnginePool(handle, student.max_context, agents.model_key)
        return self._engines[agents.model_key]

    def __serve_build_asgi_app__(self) -> FastAPI:
        """Asked for by Ray Serve once the replica is constructed."""
        metrics = self._metrics
        hooks = Hooks(
            ready=self._ready,
            on_start=metrics.start,
            on_step=metrics.step,
            on_end=self._ended,
            on_access=self._accessed,
        )
        app = build_app(self._agents, self._settings, self._keys, hooks=hooks, search=self._backend)
        app.add_middleware(Door, is_open=self._is_open.is_set, name=ray_serve.get_replica_context().app_name)
        self._server = OwnServer(app, lambda: self._is_leaving, self._requests.one)
        spare_collector()
        return app

    async def where(self) -> list[Any]:
        assert self._server is not None, "Serve builds the application first"
        address = await self._server.address(ray.util.get_node_ip_address())
        return [address.host, address.port, address.token, self._longest_s]

    async def record_autoscaling_stats(self) -> dict[str, float]:
        """Asked for by Serve, every few seconds."""
        return as_stats(self._metrics.at_work)

    async def close(self) -> None:
        """Take no more questions, and write what waits to be kept: the server is about to end."""
        self._is_open.clear()
        if self._traces is not None:
            await self._traces.write()

    async def at_work(self) -> int:
        """Questions that run or wait in this replica."""
        return self._metrics.at_work

    async def __del__(self) -> None:
        """Called by Ray Serve, once nothing that came by it runs here any more."""
        self._is_leaving = True
        await self._requests.ended()
        self._later.settle()
        if self._traces is not None:
            await self._traces.close()

    def _accessed(self, access: Access) -> None:
        """A line in a file takes longer than a reply takes to leave."""
        self._metrics.access(access)
        self._later(_log, access)

    def _ended(self, asking: Asking, trajectory: Trajectory | None) -> None:
        self._metrics.end(asking, trajectory)
        if self._traces is not None and trajectory is not None:
            self._traces.put(trajectory)

    async def _ready(self) -> Health:
        names = list(self._parts)
        return Health(dict(zip(names, await asyncio.gather(*(self._problem(name) for name in names)), strict=True)))

    async def _problem(self, part: str) -> str | None:
        """None where a replica of it answers."""
        try:
            async with asyncio.timeout(_ANSWER_S):
                await self._parts[part].remote()
        except TimeoutError:
            return "no replica answers"
        return None


def _log(access: Access) -> None:
    access_log.info("%s", " ".join(f"{name}={value}" for name, value in asdict(access).items() if value != ""))


def _agent_of(agents: StudentAgents | TeacherAgents, backend: SearchBackend, pool: EnginePool | None) -> Agent:
    if pool is None or isinstance(agents, TeacherAgents):
        (agent,) = agents(backend).values()
        return agent
    student = local_student(agents.recipe)
    renderer = open_renderer(agents.model_dir, student)
    quick = replace(renderer, tokenizer=RememberingTokenizer(renderer.tokenizer))
    model = LocalChat(student_name(agents.model_dir), pool, quick)
    return student_agent(agents.recipe, model, backend, few_shot=agents.few_shot, method=agents.method)
