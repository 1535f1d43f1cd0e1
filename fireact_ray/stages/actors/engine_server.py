"""A replica of the engine deployment: a model, in whose batches the conversations of all agents meet, or several of one
base.

Neither conversations nor their steps are calls of Serve, which cost more than the rest of a step. They come over a
connection per agent replica (fireact_ray.core.net). A conversation is a call there that lasts as long as it: it ends
with its agent, and is what this replica tells Serve to scale by, and ends before it stops.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import ray

from fireact_ray.agent.models.base import Sampling
from fireact_ray.agent.models.engines.base import Engine
from fireact_ray.core.errors import ModelUnavailable
from fireact_ray.core.net.rpc_server import RpcServer
from fireact_ray.core.utils.gc_tuning import spare_collector
from fireact_ray.recipe.student import StudentAgents, local_student, open_attached, open_student, share_cores
from fireact_ray.stages.actors.log_forwarding import forward_warnings
from fireact_ray.stages.actors.own_work import OwnWork


class EngineServer:
    """`models`: that this engine answers with, each once. `longest_s`: after which a conversation counts as over,
    though nobody said so. `n_beside`: engine replicas that may be on this node, this one among them."""

    def __init__(self, models: tuple[StudentAgents, ...], longest_s: float, n_beside: int = 1) -> None:
        forward_warnings()
        self._n_beside = n_beside
        self._engines = self._opened(models)
        self._longest_s = longest_s
        self._server = RpcServer(self._answer)
        self._conversations, self._steps = OwnWork(), OwnWork()
        self._is_leaving = False
        spare_collector()

    def _opened(self, models: tuple[StudentAgents, ...]) -> Mapping[str, Engine]:
        """By `model_key`."""
        share_cores(self._n_beside)
        if len(models) > 1:
            return open_attached(models)
        (one,) = models
        return {one.model_key: open_student(one.model_dir, local_student(one.recipe), on_gpu=one.on_gpu).engine}

    async def where(self) -> list[Any]:
        address = await self._server.address(ray.util.get_node_ip_address())
        return [address.host, address.port, address.token]

    async def at_work(self) -> int:
        """Conversations."""
        return self._conversations.n

    async def seconds(self) -> float:
        """That the model took for all its steps so far."""
        return self._steps.seconds

    async def record_autoscaling_stats(self) -> dict[str, float]:
        """Asked for by Serve, every few seconds."""
        return self._conversations.stats()

    async def __del__(self) -> None:
        """Called by Ray Serve before it stops the replica, which lasts for as long as it lets a replica drain: no
        conversation begins here any more, and those that have begun end."""
        self._is_leaving = True
        await self._conversations.ended()
        await self._steps.ended()

    async def _answer(self, item: list[Any]) -> list[Any] | None:
        """[model, prompt ids, sampling] -> [ids, finish reason]. [] is a conversation: over when that call is called
        off, or its connection breaks. Raises ModelUnavailable for one that would begin while this replica leaves."""
        if not item:
            await self._converse()
            return None
        model, prompt_ids, (temperature, max_new_tokens, stop, seed) = item
        sampling = Sampling(temperature, max_new_tokens, tuple(stop), seed)
        with self._steps.one():
            generation = await self._engines[model].generate(prompt_ids, sampling)
        return [generation.ids, generation.finish_reason]

    async def _converse(self) -> None:
        if self._is_leaving:
            raise ModelUnavailable("this replica of the engine is about to stop")
        with self._conversations.one(), suppress(TimeoutError):
            async with asyncio.timeout(self._longest_s):
                await asyncio.get_running_loop().create_future()
