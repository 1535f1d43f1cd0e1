"""The agent's deployment: its replicas hold the agents that were evaluated and their HTTP face, and neither a model nor
a corpus. Models are the engine deployments' (actors/engine_server.py), searches the search deployment's
(actors/search_server.py)."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI

from fireact_ray.agent.agent import Agent
from fireact_ray.agent.models.local import LocalChat
from fireact_ray.agent.placeholders import UnopenedEngine
from fireact_ray.agent.tools.base import SearchBackend
from fireact_ray.core.errors import ToolDenied, ToolError
from fireact_ray.core.secrets import read_api_key
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.types import Hit
from fireact_ray.recipe.schema import Recipe
from fireact_ray.recipe.student import StudentAgents, local_student, open_renderer, student_agent, student_name
from fireact_ray.recipe.teacher import TeacherAgents
from fireact_ray.rollouts.traces import Traces
from fireact_ray.serving.app import build_app
from fireact_ray.serving.edge import Door
from fireact_ray.stages.actors.conversations import EnginePool
from fireact_ray.stages.actors.log_forwarding import forward_warnings
from fireact_ray.stages.actors.search_ring import SearchRing
from fireact_ray.stages.serve_metrics import ServeMetrics
from fireact_ray.stages.served_agent import ServedAgent, Watch

TRACES = "served"  # below the run's folder: what convert.sources names

logger = logging.getLogger(__name__)


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
    """`search`: the handle of the search deployment; `engines`: those of the engine deployments, by their names."""

    def __init__(
        self,
        recipe: Recipe,
        systems: Sequence[ServedSystem],
        fingerprint: str,
        search: Any,
        engines: Mapping[str, Any],
    ) -> None:
        forward_warnings()
        config = recipe.serve
        self._config = config
        self._is_open = threading.Event()
        self._is_open.set()
        self._api_key = read_api_key(config.api_key_env, None, "Serving") if config.api_key_env else None
        self._backend = ServedBackend(SearchRing(search, fingerprint))
        self._metrics = ServeMetrics()
        self._traces = Traces(Folder(recipe.run_dir) / TRACES, recipe.task.name) if config.keep_traces else None
        self._engines = {
            system.engine: EnginePool(engines[system.engine], local_student(system.agents.recipe).max_context)
            for system in systems
            if system.engine is not None and isinstance(system.agents, StudentAgents)
        }
        self._agents = {system.model_id: self._served(system) for system in systems}

    def _served(self, system: ServedSystem) -> ServedAgent:
        watch = Watch(system.model_id, self._metrics, self._traces)
        pool = None if system.engine is None else self._engines[system.engine]
        return ServedAgent.of(_agent_of(system.agents, self._backend), watch, pool, self._config.request_timeout_s)

    def __serve_build_asgi_app__(self) -> FastAPI:
        """Asked for by Ray Serve once the replica is constructed."""
        ((model_id, agent),) = self._agents.items()
        app = build_app(agent, model_id, self._api_key)
        app.add_middleware(Door, is_open=self._is_open.is_set)
        return app

    async def close(self) -> None:
        """Take no more questions: the server is about to end."""
        self._is_open.clear()

    async def at_work(self) -> int:
        """Questions that run in this replica."""
        return self._metrics.at_work

    async def __del__(self) -> None:
        """Called by Ray Serve, once nothing runs here any more."""
        if self._traces is not None:
            await self._traces.close()


def _agent_of(agents: StudentAgents | TeacherAgents, backend: SearchBackend) -> Agent:
    if isinstance(agents, TeacherAgents):
        (agent,) = agents(backend).values()
        return agent
    student = local_student(agents.recipe)
    engine = UnopenedEngine(student.max_context)  # each question brings a conversation
    model = LocalChat(student_name(agents.model_dir), engine, open_renderer(agents.model_dir, student))
    return student_agent(agents.recipe, model, backend, few_shot=agents.few_shot, method=agents.method)
