"""How many workers a run has use for, from what waits and from whether its quota lets more calls through."""

from __future__ import annotations

import math
from dataclasses import dataclass

_IDLE_S = 10.0  # how long fewer are enough, before some leave: an autoscaler takes minutes to bring them back
_HELD_UP_S = 30.0  # how long no more are asked for, after calls waited for the quota


@dataclass(frozen=True, slots=True)
class Load:
    """`n_open`: rows that wait or run; `n_joined`: workers that have come and not left; `n_held_up`: calls that wait
    for the quota."""

    n_open: int
    n_joined: int
    n_held_up: int = 0


class Sizing:
    """`wanted` is asked every half second. `slots`: model calls at a time in one worker."""

    def __init__(self, least: int, most: int, slots: int) -> None:
        self._least, self._most, self._slots = least, most, slots
        self._now = least
        self._held_up_until = self._fewer_since = -math.inf

    @property
    def is_fixed(self) -> bool:
        return self._least == self._most

    def wanted(self, load: Load, now: float) -> int:
        """As many as have a row for each slot, from `least` to `most`. More are wanted at once, so that an autoscaler
        sees the whole demand; fewer after a while. `now`: seconds of any clock."""
        useful = -(-load.n_open // self._slots)
        if load.n_held_up:
            self._held_up_until = now + _HELD_UP_S
        if now < self._held_up_until:  # more workers would only wait with the others
            useful = min(useful, load.n_joined)
        target = min(max(useful, self._least), self._most)
        is_due = now - self._fewer_since >= _IDLE_S
        if target >= self._now or is_due:
            self._now, self._fewer_since = target, now
        return self._now
