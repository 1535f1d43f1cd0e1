"""How many questions the replicas behind a proxy take, as their refusals teach it: the next ones are refused at once.

A refusal by a replica costs both processes several milliseconds, and in a rush the last of hundreds would hear of
theirs after seconds. So a proxy remembers with how many under way it was refused, and lets in no more than that; a few
more now and then, as there may be more replicas. As soon as one of them ends, the next one is let in: nothing that the
replicas could do is left undone. Where more come at once than were ever taken, they go in by small groups, so that the
first refusal comes before hundreds have gone in.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_GROUP = 16  # that may go in beyond what was ever taken
_GROUP_S = 0.05  # within which a replica that takes no more has mostly said so
_MORE_AFTER_S = 3.0  # since the last refusal
_MORE, _MORE_SHARE = 8, 0.25  # that are then tried: the larger one


class Room:
    """Of one proxy. `now`: a clock in seconds."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._running = 0
        self._n_refused = 0
        self._most = math.inf
        self._taken = _GROUP  # at once, without a refusal
        self._more_at = -math.inf
        self._n_left = _GROUP  # of the group that goes in now
        self._news = asyncio.Event()

    async def admits(self) -> bool:
        """Whether the next question may go in. It waits for its group where so many were never taken."""
        while not self._is_full():
            if self._running < self._taken:
                return True
            if self._n_left:
                if self._n_left == _GROUP:
                    asyncio.get_running_loop().call_later(_GROUP_S, self._begin_group)
                self._n_left -= 1
                return True
            await self._news.wait()
        return False

    @contextmanager
    def one(self) -> Iterator[None]:
        """A question is under way."""
        self._running += 1
        n_running, n_refused = self._running, self._n_refused
        try:
            yield
            if self._n_refused == n_refused:
                self._taken = max(self._taken, n_running)
        finally:
            self._running -= 1

    def refused(self) -> None:
        """The one that is under way here; the others are what there is room for, and be it one."""
        self._n_refused += 1
        self._most = max(1, self._running - 1)
        self._taken = min(self._taken, self._most)
        self._more_at = self._now() + _MORE_AFTER_S
        self._tell()

    def _begin_group(self) -> None:
        self._n_left = _GROUP
        self._tell()

    def _tell(self) -> None:
        """Whoever waits looks again."""
        self._news.set()
        self._news = asyncio.Event()

    def _is_full(self) -> bool:
        if self._running >= self._most and self._now() >= self._more_at:
            self._most += max(_MORE, int(self._most * _MORE_SHARE))
            self._more_at = self._now() + _MORE_AFTER_S
        return self._running >= self._most
