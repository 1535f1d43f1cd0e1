"""A chat model of which this process makes at most so many calls at a time; rollouts go in the order they were begun.

Slots stand inside the retries: who backs off holds none. Time in the queue is the process' own doing: it is no part of
a reply's latency and does not count against a rollout's time limit.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass, replace

from fireact_ray.agent.models.base import ChatModel, Completion, Sampling
from fireact_ray.core.types import Turn
from fireact_ray.core.utils.deadline import paused

begun: ContextVar[int] = ContextVar("begun", default=0)  # the number of the rollout that is running


class Slots:
    """A semaphore that serves its waiters by the number of their rollout, not by the time of their call."""

    def __init__(self, n: int) -> None:
        self._free = n
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._tickets = itertools.count()

    async def acquire(self) -> None:
        if self._free:
            self._free -= 1
            return
        turn = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (begun.get(), next(self._tickets), turn))
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # it was given a slot in the same moment
                self.release()
            raise

    def release(self) -> None:
        while self._waiting:
            *_, turn = heapq.heappop(self._waiting)
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1


@dataclass(frozen=True)
class Slotted:
    inner: ChatModel
    slots: Slots

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


def slotted(model: ChatModel, slots: int | None) -> ChatModel:
    """With so many slots of its own; None: no bound."""
    return model if slots is None else Slotted(model, Slots(slots))
