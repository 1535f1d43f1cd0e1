"""Virtual time jumps to the next timer, and stands still while a thread works."""

import asyncio
import time
from collections.abc import Coroutine
from typing import Any

import pytest

from benchmarks.virtual_clock import VirtualClockLoop


def run(main: Coroutine[Any, Any, Any]) -> Any:
    with asyncio.Runner(loop_factory=VirtualClockLoop) as runner:
        return runner.run(main)


def now_s() -> float:
    return asyncio.get_running_loop().time()


def test_a_year_of_sleep_takes_no_time() -> None:
    async def main() -> float:
        await asyncio.sleep(365 * 86400)
        return now_s()

    started = time.monotonic()
    assert run(main()) == pytest.approx(365 * 86400)
    assert time.monotonic() - started < 10


def test_timers_fire_in_their_order() -> None:
    fired: list[tuple[str, float]] = []

    async def fire(name: str, after_s: float) -> None:
        await asyncio.sleep(after_s)
        fired.append((name, now_s()))

    async def main() -> None:
        await asyncio.gather(fire("late", 3), fire("early", 1), fire("middle", 2))

    run(main())
    assert fired == [("early", 1.0), ("middle", 2.0), ("late", 3.0)]


def test_a_thread_ends_before_time_goes_on() -> None:
    async def main() -> tuple[float, bool]:
        timer = asyncio.create_task(asyncio.sleep(0.001))
        await asyncio.to_thread(time.sleep, 0.05)
        return now_s(), timer.done()

    assert run(main()) == (0.0, False)


def test_time_limits_are_virtual() -> None:
    async def main() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(600):
                await asyncio.Event().wait()
        return now_s()

    assert run(main()) == 600.0


def test_a_deadlock_is_an_error() -> None:
    async def main() -> None:
        await asyncio.Event().wait()

    loop = VirtualClockLoop()
    task = loop.create_task(main())
    with pytest.raises(RuntimeError, match="Every task waits"):
        loop.run_until_complete(task)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(task)
    loop.close()
