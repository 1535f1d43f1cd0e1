"""How many calls may be in flight: one more after each full round without a 429, a quarter fewer after one."""

from __future__ import annotations

import math

_CUT = 0.75
_FLOOR = 1.0
_FIRST = 16.0  # calls at once to a provider of which nothing is known


class Concurrency:
    """`ceiling` None: nothing is known. Then a few calls begin and each reply lets one more in, which doubles them
    every round, until a 429 shows a limit, or the provider names the rate that then paces them (`lift`)."""

    def __init__(self, ceiling: int | None) -> None:
        self._ceiling = math.inf if ceiling is None else float(ceiling)
        self._is_probing = ceiling is None
        self.limit = _FIRST if self._is_probing else self._ceiling
        self.in_flight = 0
        self._cut_at = -math.inf

    @property
    def has_room(self) -> bool:
        return self.in_flight + 1 <= self.limit

    def take(self) -> None:
        self.in_flight += 1

    def free(self) -> None:
        self.in_flight -= 1

    def succeeded(self) -> None:
        """As many successes as there may be calls in flight add one, or, while probing, as many again."""
        self.limit = min(self._ceiling, self.limit + (1.0 if self._is_probing else 1 / self.limit))

    def lift(self) -> None:
        """Probe no more: something else holds the calls back."""
        if self._is_probing:
            self._is_probing, self.limit = False, self._ceiling

    def limited(self, now: float, granted_at: float) -> None:
        """A call that was granted at `granted_at` met a 429. Calls from before the last cut say nothing new."""
        self._is_probing = False
        if granted_at >= self._cut_at:
            self.limit = max(_FLOOR, min(self.limit, self.in_flight) * _CUT)
            self._cut_at = now
