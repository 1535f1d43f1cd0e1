"""When Python's garbage collector looks for cycles: seldom, in processes that make small objects by the million."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_YOUNG_OBJECTS = 20_000  # Python's own 700 is passed several times within one rollout


def spare_collector() -> None:
    """Call once what the process needs is loaded: that is never looked through again, and the rest less often.

    A rollout leaves thousands of short-lived objects and few cycles. With Python's settings a fifth of its CPU goes
    into looking through modules, prompts and open rollouts again and again.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, *gc.get_threshold()[1:])


@contextmanager
def uncollected() -> Iterator[None]:
    """For work on rows, which makes objects by the million and no cycle: looking for some would take a fifth of it."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
