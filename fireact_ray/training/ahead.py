"""One item ahead: what comes next is made while this one is worked on."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, Generic, TypeVar

T = TypeVar("T")
_END: Any = object()


class Ahead(Generic[T]):
    """Items of `source` in their order, each made by one thread while the one before is in use; the first one is there
    when this is.

    What `source` raises is raised where its item would have come. `waited`: seconds that the user of the items has
    waited for them so far.
    """

    def __init__(self, source: Iterable[T]) -> None:
        self.waited = 0.0
        self._source = iter(source)
        self._thread = ThreadPoolExecutor(1, "input")
        self._coming = self._next()
        wait([self._coming])

    def __iter__(self) -> Iterator[T]:
        try:
            while (item := self._awaited()) is not _END:
                self._coming = self._next()
                yield item
        finally:
            self._thread.shutdown(cancel_futures=True)

    def _awaited(self) -> T:
        started = time.perf_counter()
        try:
            return self._coming.result()
        finally:
            self.waited += time.perf_counter() - started

    def _next(self) -> Future[T]:
        return self._thread.submit(next, self._source, _END)
