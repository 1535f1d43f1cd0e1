"""Tests of what waits, on a clock that jumps: nothing of them depends on how fast the machine is."""

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any

from benchmarks.virtual_clock import VirtualClockLoop


def in_no_time(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """The test in a loop whose sleeps and time limits are virtual. Not for tests with sockets."""

    @functools.wraps(test)
    def run(*arguments: Any, **fixtures: Any) -> None:
        with asyncio.Runner(loop_factory=VirtualClockLoop) as runner:
            runner.run(test(*arguments, **fixtures))

    return run
