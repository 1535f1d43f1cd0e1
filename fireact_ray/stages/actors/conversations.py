"""An agent's end of its conversations with the engine deployment: each stays at one replica, which keeps what it has
read of it, and goes on at another one where that replica dies. A step has no side effect, so it is asked again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from ray.exceptions import RayActorError, RayError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError

from fireact_ray.agent.models.base import Sampling
from fireact_ray.agent.models.engines.base import Generation
from fireact_ray.core.errors import ModelUnavailable
from fireact_ray.core.net.rpc_client import RpcClient, RpcUnavailable
from fireact_ray.core.net.rpc_wire import Address

_PATIENCE_S = 1.0  # with a replica that hangs up: its process has died, or it is back at once
_SEAT_S = 30.0  # for a replica to take the conversation, as while the only one is being started again
_PAUSES_S = (0.1, 0.5, 2.0)  # before a step is asked again

_GONE = (RpcUnavailable, RayActorError, DeploymentUnavailableError)


_NOW: ContextVar[Conversation] = ContextVar("conversation")


class EnginePool:
    """All engine replicas of one model, as one agent replica sees them: an Engine inside `conversation`.

    `handle`: of the deployment. `model`: the `model_key` that it knows it by.
    """

    def __init__(self, handle: Any, max_context: int, model: str) -> None:
        self.max_context, self.model = max_context, model
        self._handle = handle.options(method_name="converse", stream=True)
        self._clients: dict[Address, RpcClient] = {}
        self._lasting: set[asyncio.Task[None]] = set()  # Serve's calls, until the replica ends them

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
        """At the replica that Serve chooses: one with few conversations. Raises one of _GONE, or ModelUnavailable."""
        call = self._handle.remote()
        try:
            async with asyncio.timeout(_SEAT_S):
                host, port, token, number = await anext(call)
        except TimeoutError:
            call.cancel()
            raise ModelUnavailable(f"no engine replica was free within {_SEAT_S:g} s") from None
        except BackPressureError:
            raise ModelUnavailable("more conversations wait for the engine than it takes") from None
        except asyncio.CancelledError:
            call.cancel()
            raise
        lasting = asyncio.create_task(_last(call))
        self._lasting.add(lasting)
        lasting.add_done_callback(self._lasting.discard)
        address = Address(host, port, token)
        if address not in self._clients:
            self._clients[address] = RpcClient(_finder(address), _PATIENCE_S, calls_off=True)
        client = self._clients[address]
        holding = client.ask([number])
        holding.add_done_callback(_heard)
        return Seat(client, holding)

    def forget(self, seat: Seat) -> None:
        """Its replica is gone: nobody else is to ask it."""
        self._clients = {address: client for address, client in self._clients.items() if client is not seat.client}

    async def close(self) -> None:
        for client in self._clients.values():
            await client.close()


@dataclass(frozen=True)
class Seat:
    """A conversation's place at one replica. `holding`: a call that lasts as long as the conversation: where it is
    cancelled, or breaks off with this process, the replica knows that the conversation is over."""

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
            try:
                if self._seat is None:
                    self._seat = await self._pool.take_seat()
                ids, reason = await self._seat.client.ask(asked)
                return Generation(tuple(ids), reason)
            except _GONE as error:
                if self._seat is not None:
                    self._pool.forget(self._seat)
                    self._seat = None
                if pause_s is None:
                    raise ModelUnavailable(f"the engine is not available: {type(error).__name__}") from None
                await asyncio.sleep(pause_s)
        raise AssertionError("the last try returns or raises")

    def end(self) -> None:
        if self._seat is not None:
            self._seat.holding.cancel()
            self._seat = None


async def _last(call: Any) -> None:
    """Until the replica has ended the call: it then counts as one less there."""
    with suppress(RayError):
        async for _ in call:
            pass


def _finder(address: Address) -> Callable[[], Awaitable[Address]]:
    async def find() -> Address:
        return address

    return find


def _heard(closing: asyncio.Future[Any]) -> None:
    if not closing.cancelled():
        closing.exception()
