"""A teacher that holds its replies at chosen moments: what a test does then, it does in the middle of a run."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from commands import until

from fireact_ray.demo.teacher.faults import Latency


class Gate:
    """In the place of a teacher's latency. From each of the `moments` on, numbers of requests since its start, nobody
    is replied to until the test has done its work: a run cannot end, however long a busy machine takes for that. Calls
    that are held need a time limit that is longer than the work."""

    def __init__(self, latency: Latency, moments: Iterable[int]) -> None:
        self._latency = latency
        self._moments = deque(sorted(moments))
        self._n_requests = 0
        self._is_held, self._goes_on = threading.Event(), threading.Event()

    def draw_s(self, request_hash: str) -> float:
        """In the teacher's event loop, which waits here as a whole."""
        self._n_requests += 1
        if self._moments and self._n_requests >= self._moments[0]:
            self._moments.popleft()
            self._goes_on.clear()
            self._is_held.set()
            self._goes_on.wait()
        return self._latency.draw_s(request_hash)

    @property
    def is_held(self) -> bool:
        return self._is_held.is_set()

    def go_on(self) -> None:
        self._is_held.clear()
        self._goes_on.set()

    @contextmanager
    def held(self, ended: Callable[[], bool]) -> Iterator[None]:
        """At the next moment, until the end of the block. Raises AssertionError where the run has `ended` before."""
        try:
            until(lambda: self.is_held or ended(), 600)
            assert self.is_held, "the run did not come to its next moment"
            yield
        except BaseException:
            self._moments.clear()  # a teacher that is held cannot be closed
            raise
        finally:
            self.go_on()
