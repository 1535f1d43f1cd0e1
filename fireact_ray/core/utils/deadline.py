"""The time limit of a rollout, and how to stop its clock while it waits for its turn at a shared quota."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_running: ContextVar[asyncio.Timeout | None] = ContextVar("deadline", default=None)


@contextmanager
def bounding(timeout: asyncio.Timeout) -> Iterator[None]:
    """What is done in here is bounded by `timeout`, so `paused` knows which clock to stop."""
    token = _running.set(timeout)
    try:
        yield
    finally:
        _running.reset(token)


@contextmanager
def paused() -> Iterator[None]:
    """Time spent in here does not count: a queue for a quota says nothing about the row that stands in it."""
    timeout = _running.get()
    if timeout is None or (ends := timeout.when()) is None:
        yield
        return
    loop = asyncio.get_running_loop()
    entered = loop.time()
    timeout.reschedule(None)
    try:
        yield
    finally:
        timeout.reschedule(ends + loop.time() - entered)
