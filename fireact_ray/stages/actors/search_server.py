"""A replica of the search deployment: the async actor of a run's search pool, under Ray Serve.

Serve starts, restarts and scales it. Queries do not go by Serve but over a connection per process and replica, so it
tells Serve itself how much it has to do.
"""

from __future__ import annotations

from typing import Any

from fireact_ray.agent.tools.config import SearchConfig
from fireact_ray.core.errors import InputError
from fireact_ray.stages.actors.own_work import OwnWork
from fireact_ray.stages.actors.search import SearchActor


class SearchServer(SearchActor):
    """`fingerprint`: of the backend as the builder saw it. `share`: of the allowed rate; as many as there may be
    replicas, so that all together keep to it.

    Raises InputError when this node sees another corpus.
    """

    def __init__(self, config: SearchConfig, fingerprint: str, share: float) -> None:
        self._searches = OwnWork()
        super().__init__(config, share)
        if self._backend.fingerprint != fingerprint:
            raise InputError("The search corpus differs between the nodes of the cluster. Put the same file on each.")

    async def where(self) -> list[Any]:
        address = await self.address()
        return [address.host, address.port, address.token]

    async def seconds(self) -> float:
        """That all its searches took so far."""
        return self._searches.seconds

    async def record_autoscaling_stats(self) -> dict[str, float]:
        """Asked for by Serve, every few seconds."""
        return self._searches.stats()

    async def __del__(self) -> None:
        """Called by Ray Serve before it stops the replica, which lasts for as long as it lets a replica drain."""
        await self._searches.ended()

    async def _answer(self, item: list[Any]) -> list[list[Any]]:
        with self._searches.one():
            return await super()._answer(item)
