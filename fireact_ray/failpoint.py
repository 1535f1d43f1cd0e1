"""Fail-points: named places where a test lets a process die, as if the machine had gone down just there.

FIREACT_FAILPOINT=<name>:<nth>:<file> kills (SIGKILL) one process that comes to the point `name` for the nth time,
from 1. It makes `file` just before, and a file that exists disarms the point: the process that is started in its place
lives, and whoever set it can see that it struck. Where the variable is not set, a point costs one comparison.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from pathlib import Path

_name, _, _where = os.environ.get("FIREACT_FAILPOINT", "").partition(":")
_reached: Counter[str] = Counter()


def reach(name: str) -> None:
    """Die here, where this point is the one that was ordered."""
    if name != _name:
        return
    _reached[name] += 1
    nth, _, file = _where.partition(":")
    if _reached[name] < int(nth):
        return
    try:
        Path(file).touch(exist_ok=False)
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)
