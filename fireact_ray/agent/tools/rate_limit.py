"""A rate limit around a search backend: so many searches per second, first come, first served."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from fireact_ray.agent.tools.base import SearchBackend
from fireact_ray.core.types import Hit


class RateLimitedBackend:
    """`per_second` in the long run; after a rest, `burst` at once.

    Each search takes the next free moment when it arrives and sleeps until then. So there is no queue to be unfair, and
    no clock but the monotonic one. A search cancelled in its sleep leaves its moment unused.
    """

    def __init__(
        self,
        inner: SearchBackend,
        per_second: float,
        burst: int = 1,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.fingerprint = inner.fingerprint
        self._inner, self._clock = inner, clock
        self._interval_s = 1 / per_second
        self._ahead_s = (burst - 1) * self._interval_s
        self._due = float("-inf")  # when the next search is due at an even pace

    async def search(self, query: str, k: int) -> list[Hit]:
        if (wait_s := self._take()) > 0:
            await asyncio.sleep(wait_s)
        return await self._inner.search(query, k)

    async def close(self) -> None:
        await self._inner.close()

    def _take(self) -> float:
        now = self._clock()
        due = max(self._due, now)
        self._due = due + self._interval_s
        return due - self._ahead_s - now
