"""The replicas of a deployment as one process sees them that asks them over connections of its own (core/net): a call
of Serve costs more than most of what is asked.

Which there are is asked of Serve, now and then, whenever one is gone, and again and again where none is known.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any, Generic, Protocol, TypeVar

from ray.exceptions import RayError
from ray.serve.exceptions import RayServeException

from fireact_ray.core.net.rpc_client import RpcClient
from fireact_ray.core.net.rpc_wire import Address

AGENT, ENGINE, SEARCH = "agent", "engine", "search"  # deployments, in every application of ours

_LOOK_EVERY_S = 5.0
_LOOK_S = 10.0  # for all replicas to say where they are
_PATIENCE_S = 0.3  # with a replica that hangs up: its process has died, or it is back at once
_PAUSE_S = 0.25  # before the next look, where none was found


class Client(Protocol):
    """How one replica is asked."""

    async def close(self) -> None: ...


Each = TypeVar("Each", bound=Client)


class Replicas(Generic[Each]):
    """`handle`: of the deployment, whose replicas say `where` they listen, and perhaps more. `made`: of that."""

    def __init__(self, handle: Any, made: Callable[..., Each]) -> None:
        self._handle, self._made = handle, made
        self._clients: dict[Address, Each] = {}
        self._looked_at = float("-inf")
        self._looking: asyncio.Task[None] | None = None

    def now(self) -> Mapping[Address, Each]:
        """Those that are known, while Serve is asked again, which waits for lost nodes."""
        self._look_now_and_then()
        return self._clients

    async def known(self, within_s: float) -> Mapping[Address, Each]:
        """One or more. Raises TimeoutError where there is none for so long, as while the only one is started again."""
        if not self.now():
            async with asyncio.timeout(within_s):
                await self._first()
        return self._clients

    def forget(self, client: Each) -> None:
        """It is gone, or about to go: nobody here begins with it any more, also where Serve does not know yet."""
        self._clients = {address: one for address, one in self._clients.items() if one is not client}
        self._looked_at = float("-inf")

    async def close(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
        for client in self._clients.values():
            await client.close()

    async def _first(self) -> None:
        while not self._clients:
            if self._looking is not None:
                await asyncio.wait({self._looking})
            if not self._clients:
                await asyncio.sleep(_PAUSE_S)
                self._looked_at = float("-inf")
                self._look_now_and_then()

    def _look_now_and_then(self) -> None:
        if self._looking is None and time.monotonic() - self._looked_at > _LOOK_EVERY_S:
            self._looking = asyncio.create_task(self._look())
            self._looking.add_done_callback(self._looked)

    async def _look(self) -> None:
        answers = await self._handle.broadcast("where").results_async(timeout_s=_LOOK_S, return_exceptions=True)
        told = {Address(*where[:3]): where[3:] for where in answers if not isinstance(where, BaseException)}
        # the others' connections end with their replicas
        self._clients = {at: self._clients.get(at) or self._made(at, *more) for at, more in told.items()}
        self._looked_at = time.monotonic()

    def _looked(self, looking: asyncio.Task[None]) -> None:
        self._looking = None
        if looking.cancelled():
            return
        error = looking.exception()
        if error is not None and not isinstance(error, RayError | RayServeException | TimeoutError):
            raise error  # a bug; those others say that Serve has no replica, or waits for a lost one


def rpc_client(address: Address) -> RpcClient:
    async def find() -> Address:
        return address

    return RpcClient(find, _PATIENCE_S, calls_off=True)
