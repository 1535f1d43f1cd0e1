"""Searches as a small pool of async Ray actors, shared by generation, evaluation and serving.

Each actor opens the backend once and answers many searches at a time on its event loop. A query always goes to the
same actor, so that equal queries meet: one of them is asked for the whole cluster, the others wait for it.
Queries and hits go over a connection per process and actor (fireact_ray.core.net), not as Ray calls, which cost more
than a search of a local index. Actors hold no state worth keeping: a dead one is restarted by Ray and asked again.
"""

from __future__ import annotations

import zlib
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import ray
from ray.exceptions import ActorDiedError, RayActorError

from fireact_ray.agent.tools.config import SearchConfig
from fireact_ray.core.errors import InputError, ToolError
from fireact_ray.core.net.rpc_client import RpcClient, RpcUnavailable
from fireact_ray.core.net.rpc_server import RpcServer
from fireact_ray.core.net.rpc_wire import Address
from fireact_ray.core.secrets import redact
from fireact_ray.core.types import Hit
from fireact_ray.core.utils.gc_tuning import spare_collector
from fireact_ray.core.utils.waiting import said_while_waiting
from fireact_ray.recipe.search import open_backend
from fireact_ray.stages.actors.log_forwarding import forward_warnings
from fireact_ray.stages.actors.resources import pending


class SearchActor:
    """One backend behind an actor handle. `share`: of the rate that all actors together are allowed."""

    def __init__(self, config: SearchConfig, share: float) -> None:
        forward_warnings()
        self._backend = open_backend(config, share)
        self._server = RpcServer(self._answer)
        spare_collector()

    async def fingerprint(self) -> str:
        return self._backend.fingerprint

    async def address(self) -> Address:
        """Where to search."""
        return await self._server.address(ray.util.get_node_ip_address())

    async def _answer(self, item: list[Any]) -> list[list[Any]]:
        query, k = item
        return [[hit.title, hit.text, hit.score] for hit in await self._backend.search(query, k)]


class ActorBackend:
    """The pool as a SearchBackend. It can be pickled into any process of the cluster."""

    def __init__(self, actors: list[Any], fingerprint: str) -> None:
        self.fingerprint = fingerprint
        self._actors = actors
        self._clients = [RpcClient(_finder(actor)) for actor in actors]

    def __reduce__(self) -> tuple[Any, ...]:
        return ActorBackend, (self._actors, self.fingerprint)

    async def search(self, query: str, k: int) -> list[Hit]:
        try:
            return [Hit(*hit) for hit in await self._client_of(query).ask([query, k])]
        except RpcUnavailable as error:
            raise ToolError(f"A search actor: {error}") from None

    async def close(self) -> None:
        """The pool outlives its callers."""
        for client in self._clients:
            await client.close()

    def _client_of(self, query: str) -> RpcClient:
        return self._clients[zlib.crc32(query.encode("utf-8", "surrogatepass")) % len(self._clients)]


def _finder(actor: Any) -> Callable[[], Awaitable[Address]]:
    async def find() -> Address:
        try:
            address: Address = await actor.address.remote()
        except ActorDiedError:
            raise ToolError("A search actor has ended with its pool, or Ray cannot start it again") from None
        except RayActorError as error:
            raise ConnectionError(type(error).__name__) from None
        return address

    return find


def _fingerprints(actors: list[Any]) -> set[str]:
    try:
        with said_while_waiting("search", lambda: pending(len(actors), "search actors", {})):
            return set(ray.get([actor.fingerprint.remote() for actor in actors]))
    except RayActorError as error:  # what the driver could open, a node could not
        raise InputError(
            "A node of the cluster cannot open the search that the driver opened. Its corpus, and the file or variable "
            f"of its key, must be on every node: {redact(str(error)).strip().splitlines()[-1]}"
        ) from None


@contextmanager
def search_pool(config: SearchConfig, fingerprint: str) -> Iterator[ActorBackend]:
    """`config.actors` actors, each with the backend open; they end with the context.

    `fingerprint` is that of the backend as the driver sees it: opened there first, so that what is wrong with it is
    said before Ray starts. Raises InputError when a node sees another corpus.
    """
    options = {"num_cpus": 0, "max_restarts": -1, "max_task_retries": -1}
    actor_class = ray.remote(SearchActor).options(**options)
    actors = [actor_class.remote(config, 1 / config.actors) for _ in range(config.actors)]
    try:
        if _fingerprints(actors) != {fingerprint}:
            raise InputError("The search corpus differs between the nodes of the cluster. Put the same file on each.")
        yield ActorBackend(actors, fingerprint)
    finally:
        for actor in actors:
            ray.kill(actor)
