"""What may be wished of a training between two steps. Without torch: a driver knows it, too."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum


class Wish(IntEnum):
    NOTHING = 0
    SAVE = 1  # a checkpoint, and go on
    STOP = 2  # a checkpoint, and end


Wished = Callable[[], Wish]
