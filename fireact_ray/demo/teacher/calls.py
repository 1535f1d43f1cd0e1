"""What the teacher saw of its callers: one JSON line per call, written when the call ends.

From these lines a benchmark works out how many calls were in flight at any time, and which request took how long,
without asking the server anything while it is busy.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from fireact_ray.core.json_text import parse


@dataclass(slots=True)
class SeenCall:
    """`request` is the hash of its content, empty where it was never read; `drawn_s` the latency that was ordered.

    Times are of `time.monotonic()`, which all processes of a machine share. `outcome` is named as in /stats, and
    `cancelled` where the caller hung up.
    """

    came_at_s: float
    left_at_s: float = 0.0
    request: str = ""
    drawn_s: float = 0.0
    outcome: str = "cancelled"


class CallLog:
    """Appends to `path`; without one, nothing is kept."""

    def __init__(self, path: Path | None) -> None:
        self._file = path.open("a", encoding="utf-8", buffering=1) if path else None

    def write(self, call: SeenCall) -> None:
        if self._file is not None:
            self._file.write(json.dumps(asdict(call)) + "\n")

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def read_calls(path: Path) -> list[SeenCall]:
    """In the order in which they ended."""
    with path.open(encoding="utf-8") as lines:
        return [SeenCall(**parse(line)) for line in lines]
