"""A replica of the search deployment: the async actor of a run's search pool, under Ray Serve.

Serve starts, restarts and scales it. Queries do not go by Serve but over a connection per process and replica, so it
tells Serve itself how much it has to do, and `by_searches` makes replicas of that.
"""

from __future__ import annotations

import asyncio
import math
from typing import Any

from fireact_ray.agent.tools.config import SearchConfig
from fireact_ray.core.errors import InputError
from fireact_ray.stages.actors.search import SearchActor

SEARCHES = "searches"


class SearchServer(SearchActor):
    """`fingerprint`: of the backend as the builder saw it. `share`: of the allowed rate; as many as there may be
    replicas, so that all together keep to it.

    Raises InputError when this node sees another corpus.
    """

    def __init__(self, config: SearchConfig, fingerprint: str, share: float) -> None:
        self._at_work = 0
        self._is_idle = asyncio.Event()
        self._is_idle.set()
        super().__init__(config, share)
        if self._backend.fingerprint != fingerprint:
            raise InputError("The search corpus differs between the nodes of the cluster. Put the same file on each.")

    async def where(self) -> list[Any]:
        address = await self.address()
        return [address.host, address.port, address.token]

    async def record_autoscaling_stats(self) -> dict[str, float]:
        """Asked for by Serve, every few seconds."""
        return {SEARCHES: float(self._at_work)}

    async def __del__(self) -> None:
        """Called by Ray Serve before it stops the replica. Serve knows nothing of the searches that run here: they are
        waited for, for as long as it lets a replica drain."""
        await self._is_idle.wait()

    async def _answer(self, item: list[Any]) -> list[list[Any]]:
        self._at_work += 1
        self._is_idle.clear()
        try:
            return await super()._answer(item)
        finally:
            self._at_work -= 1
            if not self._at_work:
                self._is_idle.set()


def by_searches(context: Any) -> tuple[float, dict[str, Any]]:
    """Serve's autoscaling policy: so many replicas that none has more than the target at work."""
    at_work = sum((context.aggregated_metrics or {}).get(SEARCHES, {}).values())
    return math.ceil(at_work / context.config.target_ongoing_requests), {}
