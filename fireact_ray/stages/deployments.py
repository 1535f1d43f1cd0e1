"""The two deployments: an engine that turns token ids into token ids, and the agent with its HTTP face."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from ray.exceptions import RayActorError
from ray.serve.exceptions import BackPressureError

from fireact_ray.agent.agent import Agent
from fireact_ray.agent.models.base import Sampling
from fireact_ray.agent.models.engines.base import Generation
from fireact_ray.agent.models.local import LocalChat
from fireact_ray.agent.tools.base import SearchBackend
from fireact_ray.core.errors import ModelUnavailable, ToolDenied, ToolError
from fireact_ray.core.secrets import read_api_key
from fireact_ray.core.types import Hit
from fireact_ray.recipe.schema import Recipe
from fireact_ray.recipe.student import local_student, open_renderer, open_student, student_agent
from fireact_ray.recipe.teacher import TeacherAgents
from fireact_ray.serving.app import build_app
from fireact_ray.stages.actors.log_forwarding import forward_warnings

logger = logging.getLogger(__name__)


class EngineServer:
    """One model replica. Requests of all agents meet here and are decoded as batches."""

    def __init__(self, recipe: Recipe, model_dir: str) -> None:
        forward_warnings()
        self._engine = open_student(model_dir, local_student(recipe), on_gpu=recipe.serve.use_gpu).engine

    async def generate(self, prompt_ids: list[int], sampling: Sampling) -> Generation:
        return await self._engine.generate(prompt_ids, sampling)


class HandleEngine:
    """The Engine protocol over the engine deployment's handle."""

    def __init__(self, handle: Any, max_context: int) -> None:
        self._handle = handle
        self.max_context = max_context

    async def generate(self, prompt_ids: Sequence[int], sampling: Sampling) -> Generation:
        try:
            generation: Generation = await self._handle.generate.remote(list(prompt_ids), sampling)
        except (RayActorError, BackPressureError) as error:
            raise ModelUnavailable(f"the engine is not available: {type(error).__name__}") from None
        return generation

    async def close(self) -> None:
        """The deployment outlives its callers."""


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
    """Holds the Agent that was evaluated; its model is the engine deployment, its searches go to the actor pool."""

    def __init__(self, recipe: Recipe, model_dir: str, model_name: str, backend: SearchBackend, engine: Any) -> None:
        forward_warnings()
        student = local_student(recipe)
        model = LocalChat(model_name, HandleEngine(engine, student.max_context), open_renderer(model_dir, student))
        self._answer_by(student_agent(recipe, model, ServedBackend(backend)), recipe, model_name)

    def _answer_by(self, agent: Agent, recipe: Recipe, model_name: str) -> None:
        self._agent, self._model_name = agent, model_name
        key_env = recipe.serve.api_key_env
        self._api_key = read_api_key(key_env, None, "Serving") if key_env else None

    def __serve_build_asgi_app__(self) -> FastAPI:
        """Asked for by Ray Serve once the replica is constructed."""
        return build_app(self._agent, self._model_name, self._api_key)


class HostedAgentServer(AgentServer):
    """The same over a provider's model: there is no engine here. Each replica has a quota of its own."""

    def __init__(self, recipe: Recipe, agents: TeacherAgents, model_name: str, backend: SearchBackend) -> None:
        forward_warnings()
        self._answer_by(agents(ServedBackend(backend))["react"], recipe, model_name)
