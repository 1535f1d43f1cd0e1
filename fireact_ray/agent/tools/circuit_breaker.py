"""A circuit breaker around a search backend: while a provider is down, searches fail at once instead of one by one."""

from __future__ import annotations

import time
from collections.abc import Callable

from fireact_ray.agent.tools.base import SearchBackend
from fireact_ray.core.errors import ToolError
from fireact_ray.core.types import Hit


class BreakerBackend:
    """Opens after `failures` ToolErrors in a row. After `pause_s` one search probes; its success closes it again."""

    def __init__(
        self,
        inner: SearchBackend,
        failures: int,
        pause_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.fingerprint = inner.fingerprint
        self._inner = inner
        self._failures, self._pause_s, self._clock = failures, pause_s, clock
        self._in_a_row = 0
        self._opened_at: float | None = None  # None: closed
        self._probing = False

    async def search(self, query: str, k: int) -> list[Hit]:
        probe = self._opened_at is not None
        if self._opened_at is not None:
            rest_s = self._opened_at + self._pause_s - self._clock()
            if rest_s > 0 or self._probing:
                raise ToolError(f"The search failed {self._in_a_row} times in a row and is left alone for a while.")
            self._probing = True
        try:
            hits = await self._inner.search(query, k)
        except ToolError:
            self._in_a_row += 1
            # What was under way when it opened may fail later: only a probe makes the pause begin anew.
            if probe or (self._opened_at is None and self._in_a_row >= self._failures):
                self._opened_at = self._clock()
            raise
        finally:
            if probe:
                self._probing = False  # also when the probe was cancelled: the next search is one
        self._in_a_row, self._opened_at = 0, None
        return hits

    async def close(self) -> None:
        await self._inner.close()
