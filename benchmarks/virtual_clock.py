"""An asyncio event loop without waiting: where a real one would sleep until its next timer, time jumps there.

    with asyncio.Runner(loop_factory=VirtualClockLoop) as runner:
        runner.run(main())

Code that waits by the loop (asyncio.sleep, timeouts, call_later) runs as on a real clock, only at once. What runs in
an executor (asyncio.to_thread) is real work: until it has ended, time stands still. Not for sockets: the loop cannot
know for whom a peer is waiting. `time.monotonic()` and `time.time()` stay real.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable
from typing import Any


class VirtualClockLoop(asyncio.SelectorEventLoop):
    """`time()` begins at 0 and is virtual seconds. Raises RuntimeError where nothing could ever happen again."""

    def __init__(self) -> None:
        self._now_s = 0.0
        self._n_jobs = 0
        super().__init__(_JumpingSelector(self))
        self._clock_resolution = 1e-6  # asyncio's own is a nanosecond, which is lost in a float of many seconds

    def time(self) -> float:
        return self._now_s

    def advance(self, seconds: float) -> None:
        self._now_s += seconds

    @property
    def has_jobs(self) -> bool:
        """Threads are at work whose results this loop waits for."""
        return self._n_jobs > 0

    def run_in_executor(self, executor: Any, function: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        future = super().run_in_executor(executor, function, *args)
        self._n_jobs += 1
        future.add_done_callback(self._job_ended)
        return future

    async def shutdown_default_executor(self, *args: Any, **options: Any) -> None:
        self._n_jobs += 1
        try:
            await super().shutdown_default_executor(*args, **options)
        finally:
            self._n_jobs -= 1

    def _job_ended(self, _: asyncio.Future[Any]) -> None:
        self._n_jobs -= 1


class _JumpingSelector(selectors.DefaultSelector):  # type: ignore[misc, valid-type]
    """Waits for threads only; waiting for time moves the loop's clock instead."""

    def __init__(self, loop: VirtualClockLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if self._loop.has_jobs:
            return super().select(None)
        if timeout is None:
            raise RuntimeError("Every task waits for something that nobody is going to do.")
        self._loop.advance(timeout)
        return []
