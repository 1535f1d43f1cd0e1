"""A replica of the engine deployment: a model, in whose batches the conversations of all agents meet, or several of one
base.

A conversation is one streaming call of Serve that lasts as long as the conversation: it is what Serve counts, routes,
scales by, and waits for before it stops a replica. The steps of the conversation go over a connection of their own
(fireact_ray.core.net): a call of Serve costs more than the rest of a step.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import ray

from fireact_ray.agent.models.base import Sampling
from fireact_ray.agent.models.engines.base import Engine
from fireact_ray.core.net.rpc_server import RpcServer
from fireact_ray.recipe.student import StudentAgents, local_student, open_attached, open_student
from fireact_ray.stages.actors.log_forwarding import forward_warnings

_HELD_WITHIN_S = 1.0  # by an agent that lives; where it is later, its conversation is only not counted


@dataclass(frozen=True, eq=False)
class _Conversation:
    held: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)


class EngineServer:
    """`models`: that this engine answers with, each once. `longest_s`: after which a conversation counts as over,
    though nobody said so."""

    def __init__(self, models: tuple[StudentAgents, ...], longest_s: float) -> None:
        forward_warnings()
        self._engines = self._opened(models)
        self._longest_s = longest_s
        self._server = RpcServer(self._answer)
        self._open: dict[int, _Conversation] = {}
        self._n_opened = 0

    def _opened(self, models: tuple[StudentAgents, ...]) -> Mapping[str, Engine]:
        """By `model_key`."""
        if len(models) > 1:
            return open_attached(models)
        (one,) = models
        return {one.model_key: open_student(one.model_dir, local_student(one.recipe), on_gpu=one.on_gpu).engine}

    async def converse(self) -> AsyncIterator[list[Any]]:
        """Yields where this replica listens, and the conversation's number; lasts until that is no longer held."""
        address = await self._server.address(ray.util.get_node_ip_address())
        self._n_opened += 1
        number = self._n_opened
        self._open[number] = conversation = _Conversation()
        try:
            yield [address.host, address.port, address.token, number]
            async with asyncio.timeout(_HELD_WITHIN_S):
                await conversation.held.wait()
            async with asyncio.timeout(self._longest_s):
                await conversation.over.wait()
        except TimeoutError:
            pass  # its agent died before it held it, or does not let go
        finally:
            conversation.over.set()
            del self._open[number]

    async def at_work(self) -> int:
        return len(self._open)

    async def _answer(self, item: list[Any]) -> list[Any] | None:
        """[model, prompt ids, sampling] -> [ids, finish reason]. A number alone holds its conversation open: it is over
        when that call is called off, or its connection breaks."""
        if len(item) == 1:
            await self._hold(item[0])
            return None
        model, prompt_ids, (temperature, max_new_tokens, stop, seed) = item
        sampling = Sampling(temperature, max_new_tokens, tuple(stop), seed)
        generation = await self._engines[model].generate(prompt_ids, sampling)
        return [generation.ids, generation.finish_reason]

    async def _hold(self, number: int) -> None:
        if (conversation := self._open.get(number)) is not None:
            conversation.held.set()
            try:
                await conversation.over.wait()
            finally:
                conversation.over.set()
