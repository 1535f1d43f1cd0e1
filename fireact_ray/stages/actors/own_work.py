"""What a replica does that does not come by Serve: it counts that itself, tells Serve, and ends it before it stops."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_AT_WORK = "at_work"


class OwnWork:
    """`n`: at work now. `seconds`: of all that has ended, each for itself. `now`: a clock in seconds."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self.n = 0
        self.seconds = 0.0
        self._now = now
        self._is_idle = asyncio.Event()
        self._is_idle.set()

    @contextmanager
    def one(self) -> Iterator[None]:
        began = self._now()
        self.n += 1
        self._is_idle.clear()
        try:
            yield
        finally:
            self.n -= 1
            self.seconds += self._now() - began
            if not self.n:
                self._is_idle.set()

    async def ended(self) -> None:
        """Returns once nothing is at work."""
        await self._is_idle.wait()

    def stats(self) -> dict[str, float]:
        return as_stats(self.n)


def as_stats(at_work: int) -> dict[str, float]:
    """As Serve takes them from `record_autoscaling_stats`, for `by_own_work`."""
    return {_AT_WORK: float(at_work)}


def by_own_work(context: Any) -> tuple[float, dict[str, Any]]:
    """Serve's autoscaling policy: so many replicas that none has more than the target at work."""
    at_work = sum((context.aggregated_metrics or {}).get(_AT_WORK, {}).values())
    return math.ceil(at_work / context.config.target_ongoing_requests), {}
