"""The search replicas as one SearchBackend: a query always goes to the same replica, so that equal ones meet there.

A query's replica is chosen by rendezvous hashing, so that one replica more or less moves only that one's share of the
queries. A search has no side effect: it is asked again where a replica dies.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

from fireact_ray.core.errors import ToolError
from fireact_ray.core.net.rpc_client import RpcUnavailable
from fireact_ray.core.net.rpc_wire import Address
from fireact_ray.core.types import Hit
from fireact_ray.stages.actors.replicas import Replicas, rpc_client

_TRIES = 4
_NONE_S = 10.0  # for there to be a replica, as while the only one is started again


class SearchRing:
    """`handle`: of the search deployment. Lives in one process."""

    def __init__(self, handle: Any, fingerprint: str) -> None:
        self.fingerprint = fingerprint
        self._replicas = Replicas(handle, rpc_client)

    async def search(self, query: str, k: int) -> list[Hit]:
        """Raises what the backend raises, and ToolError where replica after replica is gone, or there is none."""
        for _ in range(_TRIES):
            try:
                known = await self._replicas.known(_NONE_S)
            except TimeoutError:
                raise ToolError(f"No search replica answers (none is there after {_NONE_S:g} s)") from None
            client = known[chosen(query, known)]
            try:
                return [Hit(*hit) for hit in await client.ask([query, k])]
            except RpcUnavailable:  # the others go on without it, also where Serve does not know yet
                self._replicas.forget(client)
        raise ToolError(f"No search replica answers ({_TRIES} were gone)")

    async def close(self) -> None:
        await self._replicas.close()


def chosen(query: str, among: Iterable[Address]) -> Address:
    """The one with the highest hash of both; of one or more."""
    key = query.encode("utf-8", "surrogatepass")

    def rank(address: Address) -> bytes:
        return hashlib.blake2b(key, digest_size=8, key=f"{address.host}:{address.port}".encode()[:64]).digest()

    return max(among, key=rank)
