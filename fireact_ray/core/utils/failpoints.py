"""Fail-points: named places where a test lets a process die, as if the machine had gone down just there.

FIREACT_FAILPOINT=<name>:<nth>:<file>[,...] kills (SIGKILL) one process that comes to the point `name` for the nth time,
from 1. It makes `file` just before, and a file that exists disarms the point: the process that is started in its place
lives, and whoever set it can see that it struck. Where the variable is not set, a point costs one dict lookup.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from pathlib import Path


def _orders(text: str) -> dict[str, tuple[int, Path]]:
    """name -> (nth, file)"""
    parts = [order.split(":", 2) for order in text.split(",") if order]
    return {name: (int(nth), Path(file)) for name, nth, file in parts}


_ORDERS = _orders(os.environ.get("FIREACT_FAILPOINT", ""))
_reached: Counter[str] = Counter()


def reach(name: str) -> None:
    """Die here, where that was ordered."""
    if (order := _ORDERS.get(name)) is None:
        return
    nth, file = order
    _reached[name] += 1
    if _reached[name] < nth:
        return
    try:
        file.touch(exist_ok=False)
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)
