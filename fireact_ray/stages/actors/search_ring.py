"""The search replicas as one SearchBackend: a query always goes to the same replica, so that equal ones meet there.

Which replicas there are is asked of Serve, now and then and whenever one is gone. A query's replica is chosen by
rendezvous hashing, so that one replica more or less moves only that one's share of the queries. A search has no side
effect: it is asked again where a replica dies.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from ray.exceptions import RayError
from ray.serve.exceptions import RayServeException

from fireact_ray.core.errors import ToolError
from fireact_ray.core.net.rpc_client import RpcClient, RpcUnavailable
from fireact_ray.core.net.rpc_wire import Address
from fireact_ray.core.types import Hit

_LOOK_EVERY_S = 10.0
_LOOK_S = 10.0  # for all replicas to say where they are
_PATIENCE_S = 1.0
_PAUSES_S = (0.2, 1.0, 4.0)


class SearchRing:
    """`handle`: of the search deployment. Lives in one process."""

    def __init__(self, handle: Any, fingerprint: str) -> None:
        self.fingerprint = fingerprint
        self._handle = handle
        self._clients: dict[Address, RpcClient] = {}
        self._looked_at = float("-inf")
        self._looking: asyncio.Task[None] | None = None

    async def search(self, query: str, k: int) -> list[Hit]:
        """Raises what the backend raises, and ToolError where replica after replica is gone."""
        for pause_s in (*_PAUSES_S, None):
            try:
                return await self._ask(query, k, await self._members())
            except (RpcUnavailable, RayError, RayServeException, TimeoutError, LookupError) as error:
                if pause_s is None:
                    raise ToolError(f"No search replica answers ({type(error).__name__})") from None
                await asyncio.sleep(pause_s)
        raise AssertionError("the last try returns or raises")

    async def close(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
        for client in self._clients.values():
            await client.close()

    async def _ask(self, query: str, k: int, members: Iterable[Address]) -> list[Hit]:
        address = chosen(query, members)
        client = self._clients[address]
        try:
            return [Hit(*hit) for hit in await client.ask([query, k])]
        except RpcUnavailable:  # the others go on without it, also where Serve does not know yet
            if self._clients.get(address) is client:
                del self._clients[address]
            self._looked_at = float("-inf")
            raise

    async def _members(self) -> Iterable[Address]:
        """Where the replicas are. Known ones are used while Serve is asked again, which waits for lost nodes; where
        none is known, that is waited for."""
        if self._looking is None and time.monotonic() - self._looked_at > _LOOK_EVERY_S:
            self._looking = asyncio.create_task(self._look())
            self._looking.add_done_callback(self._looked)
        if self._looking is not None and not self._clients:
            await asyncio.shield(self._looking)
        return list(self._clients)

    async def _look(self) -> None:
        answers = await self._handle.broadcast("where").results_async(timeout_s=_LOOK_S, return_exceptions=True)
        addresses = {Address(*where) for where in answers if not isinstance(where, BaseException)}
        known = {address: client for address, client in self._clients.items() if address in addresses}
        new = {address: RpcClient(_finder(address), _PATIENCE_S, calls_off=True) for address in addresses - set(known)}
        self._clients = {**known, **new}  # the others' connections end with their replicas
        self._looked_at = time.monotonic()

    def _looked(self, looking: asyncio.Task[None]) -> None:
        self._looking = None
        if not looking.cancelled():
            looking.exception()  # whoever waits for it has it, too


def chosen(query: str, among: Iterable[Address]) -> Address:
    """The one with the highest hash of both. Raises LookupError where there is none."""
    key = query.encode("utf-8", "surrogatepass")

    def rank(address: Address) -> bytes:
        return hashlib.blake2b(key, digest_size=8, key=f"{address.host}:{address.port}".encode()[:64]).digest()

    addresses = list(among)
    if not addresses:
        raise LookupError("no search replica is known")
    return max(addresses, key=rank)


def _finder(address: Address) -> Callable[[], Awaitable[Address]]:
    async def find() -> Address:
        return address

    return find
