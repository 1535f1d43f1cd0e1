"""An agent's end of its conversations with the engine deployment: each stays at one replica, which keeps what it has
read of it, and goes on at another one where that replica dies or leaves. A step has no side effect, so it is asked
again."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from fireact_ray.agent.models.base import Sampling
from fireact_ray.agent.models.engines.base import Generation
from fireact_ray.core.errors import ModelUnavailable
from fireact_ray.core.net.rpc_client import RpcClient, RpcUnavailable
from fireact_ray.stages.actors.replicas import Replicas, rpc_client

_SEAT_S = 30.0  # for there to be a replica, as while the only one is being started again
_PAUSES_S = (0.1, 0.5, 2.0)  # before a step is asked again

_NOW: ContextVar[Conversation] = ContextVar("conversation")


class EnginePool:
    """All engine replicas of one model, as one agent replica sees them: an Engine inside `conversation`.

    `handle`: of the deployment. `model`: the `model_key` that it knows it by.
    """

    def __init__(self, handle: Any, max_context: int, model: str) -> None:
        self.max_context, self.model = max_context, model
        self._replicas = Replicas(handle, rpc_client)
        self._seated: Counter[RpcClient] = Counter()

    @asynccontextmanager
    async def conversation(self) -> AsyncIterator[None]:
        """What this task generates inside belongs to one conversation, which ends with the context."""
        conversation = Conversation(self)
        _NOW.set(conversation)  # for this task, which asks one question
        try:
            yield
        finally:
            conversation.end()

    async def generate(self, prompt_ids: Sequence[int], sampling: Sampling) -> Generation:
        """Raises what the engine raises, and ModelUnavailable where replica after replica is gone."""
        return await _NOW.get().generate(prompt_ids, sampling)

    async def take_seat(self) -> Seat:
        """At the replica with the fewest conversations of this process. Raises ModelUnavailable where there is none."""
        try:
            known = await self._replicas.known(_SEAT_S)
        except TimeoutError:
            raise ModelUnavailable(f"no engine replica was there within {_SEAT_S:g} s") from None
        client = min(known.values(), key=lambda one: (self._seated[one], random.random()))
        self._seated[client] += 1
        holding = client.ask([])
        holding.add_done_callback(lambda over: self._left(client, over))
        return Seat(client, holding)

    def forget(self, client: RpcClient) -> None:
        self._replicas.forget(client)

    async def close(self) -> None:
        await self._replicas.close()

    def _left(self, client: RpcClient, holding: asyncio.Future[None]) -> None:
        self._seated[client] -= 1
        if not self._seated[client]:
            del self._seated[client]
        if not holding.cancelled() and holding.exception() is not None:  # the replica is gone, or about to leave
            self.forget(client)


@dataclass(frozen=True)
class Seat:
    """A conversation's place at one replica. `holding`: a call that lasts as long as the conversation: where it is
    cancelled, or breaks off with this process, the replica knows that the conversation is over. Where it ends by
    itself, the replica wants the conversation to go on elsewhere."""

    client: RpcClient
    holding: asyncio.Future[None]


class Conversation:
    """The steps of one question, one after the other."""

    def __init__(self, pool: EnginePool) -> None:
        self._pool = pool
        self._seat: Seat | None = None

    async def generate(self, prompt_ids: Sequence[int], sampling: Sampling) -> Generation:
        how = [sampling.temperature, sampling.max_new_tokens, list(sampling.stop), sampling.seed]
        asked = [self._pool.model, list(prompt_ids), how]
        for pause_s in (*_PAUSES_S, None):
            if self._seat is None or self._seat.holding.done():
                self._seat = await self._pool.take_seat()
            client = self._seat.client
            try:
                ids, reason = await client.ask(asked)
                return Generation(tuple(ids), reason)
            except RpcUnavailable:
                self._pool.forget(client)
                self.end()
                if pause_s is None:
                    raise ModelUnavailable("the engine is not available: replica after replica is gone") from None
                await asyncio.sleep(pause_s)
        raise AssertionError("the last try returns or raises")

    def end(self) -> None:
        if self._seat is not None:
            self._seat.holding.cancel()
            self._seat = None
