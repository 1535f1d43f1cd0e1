"""A replica of the engine deployment with vLLM: a base model, and adapters of it that share its batches."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import Any

from fireact_ray.agent.models.engines.base import Engine
from fireact_ray.agent.models.engines.vllm_engine import CoreDied, VllmCore
from fireact_ray.recipe.student import StudentAgents
from fireact_ray.recipe.vllm_student import open_vllm
from fireact_ray.stages.actors.engine_server import EngineServer

logger = logging.getLogger(__name__)


class VllmServer(EngineServer):
    _core: VllmCore

    def _opened(self, models: tuple[StudentAgents, ...]) -> Mapping[str, Engine]:
        self._core = open_vllm(models, models[0].recipe.serve.engine.vllm)
        return self._core.engines

    async def check_health(self) -> None:
        """Asked by Ray Serve before the replica counts as ready, and from then on: where it raises, the replica is
        replaced."""
        await self._core.check()

    async def _answer(self, item: list[Any]) -> list[Any] | None:
        try:
            return await super()._answer(item)
        except CoreDied as error:
            # It answers nothing any more. Its conversations go on elsewhere once it hangs up, and Serve starts another.
            logger.error("%s", error)
            os._exit(1)

    async def __del__(self) -> None:
        """Called by Ray Serve before it stops the replica."""
        await super().__del__()
        await self._core.close()
