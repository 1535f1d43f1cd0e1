"""A chat model of which this process makes at most so many calls at a time, first come, first served.

It stands inside the retries: who backs off holds no slot. Time in the queue is the process' own doing: it is no part
of a reply's latency and does not count against a rollout's time limit.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from fireact_ray.deadline import paused
from fireact_ray.models.base import ChatModel, Completion, Sampling
from fireact_ray.types import Turn


@dataclass(frozen=True)
class Slotted:
    inner: ChatModel
    slots: asyncio.Semaphore

    @property
    def name(self) -> str:
        return self.inner.name

    async def complete(self, turns: Sequence[Turn], sampling: Sampling) -> Completion:
        with paused():
            await self.slots.acquire()
        started = time.monotonic()
        try:
            completion = await self.inner.complete(turns, sampling)
        finally:
            self.slots.release()
        latency_s = time.monotonic() - started
        return replace(completion, latency_s=latency_s) if completion.latency_s is None else completion

    async def close(self) -> None:
        await self.inner.close()
