"""How many questions the replicas behind a proxy take, as their refusals teach it: the next ones are refused at once.

A refusal by a replica costs both processes several milliseconds, and in a rush the last of hundreds would hear of
theirs after seconds. So a proxy remembers with how many under way it was refused, and lets in no more than that until
nobody has been refused for a while. As soon as one of them ends, the next one is let in: nothing that the replicas
could do is left undone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_REMEMBERED_S = 3.0  # then it may be that there are more replicas


class Room:
    """Of one proxy. `now`: a clock in seconds."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._running = 0
        self._most = 0
        self._until = float("-inf")

    @property
    def is_full(self) -> bool:
        return self._running >= self._most and self._now() < self._until

    @contextmanager
    def one(self) -> Iterator[None]:
        """A question is under way."""
        self._running += 1
        try:
            yield
        finally:
            self._running -= 1

    def refused(self) -> None:
        """The one that is under way here; the others are what there is room for, and be it one."""
        self._most = max(1, self._running - 1)
        self._until = self._now() + _REMEMBERED_S
