"""Places where a test may end the process: `FIREACT_FAILPOINT=part-landed:3` kills it the third time it gets there."""

from __future__ import annotations

import os
import signal
from collections import Counter

_armed = os.environ.get("FIREACT_FAILPOINT", "")
_reached: Counter[str] = Counter()


def reach(name: str) -> None:
    """Kill this process with SIGKILL where the environment says so; otherwise nothing."""
    if not _armed:
        return
    at, _, nth = _armed.partition(":")
    if at == name:
        _reached[name] += 1
        if _reached[name] == int(nth or 1):
            os.kill(os.getpid(), signal.SIGKILL)
