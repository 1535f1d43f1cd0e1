"""Pauses after a provider has refused calls for their rate (429): how long, what goes out after, and when to give up.

A round is a refusal, a pause for everybody, and calls again. The provider's own word for the pause is believed. As long
as refusals go on without one reply, each round also has a least pause, which doubles, and only one call goes out after
it, the probe: a provider that refuses everything is never asked more than a few times per second, whatever it says.
"""

from __future__ import annotations

import math

_FIRST_S, _MAX_S = 1.0, 30.0  # where the provider names no time
_LEAST_S = 0.25  # in the second round in a row, where it does


class Pauses:
    """No clock: `now` is any steady clock's. `until`: when the pause ends."""

    def __init__(self) -> None:
        self.until = -math.inf
        self._n_rounds = 0  # since the last reply
        self._limited_since: float | None = None
        self._is_asked = False
        self._said = ""

    @property
    def wants_probe(self) -> bool:
        """Not one reply has come since the provider began to refuse."""
        return self._n_rounds > 0

    def refused(self, now: float, granted_at: float, asked_s: float | None, said: str) -> None:
        """A call that was granted at `granted_at` met a 429. `asked_s`: how long the provider asks to wait."""
        self._limited_since = now if self._limited_since is None else self._limited_since
        if granted_at >= self.until:  # and not one of those that were under way when the pause began
            self._n_rounds += 1
        least_s = _least_s(self._n_rounds, is_told=asked_s is not None)
        pause_s = max(asked_s or 0.0, least_s)
        if now + pause_s >= self.until:
            self.until, self._is_asked, self._said = now + pause_s, (asked_s or 0.0) > least_s, said

    def answered(self) -> None:
        """A reply came. A pause that has begun still holds."""
        self._n_rounds, self._limited_since = 0, None

    def words(self, now: float) -> str:
        """What is waited for, and why."""
        why = "as the provider asks" if self._is_asked else "since it goes on refusing"
        return f"{self._problem}; every call waits {_rounded(self.until - now)} s, {why}"

    def hopeless(self, now: float, patience_s: float) -> str | None:
        """Why waiting is given up: all of it, with the pause that has begun, would be longer than `patience_s`."""
        if self._limited_since is None:
            return None
        waited_s, left_s = now - self._limited_since, max(0.0, self.until - now)
        if waited_s + left_s <= patience_s:
            return None
        waited = (
            f"no reply came in {_rounded(waited_s)} s" if waited_s >= 1 or left_s == 0 or not self._is_asked else ""
        )
        asked = f"the provider asks to wait {_rounded(left_s)} s" if left_s and self._is_asked else ""
        found = " and ".join(part for part in (waited, asked) if part)
        return f"{self._problem}; {found}, and a run waits {patience_s:g} s at most. Run the same command again later"

    @property
    def _problem(self) -> str:
        return self._said or "rate limited"


def _least_s(n_rounds: int, *, is_told: bool) -> float:
    if not is_told:
        return float(min(_MAX_S, _FIRST_S * 2 ** min(10, n_rounds - 1)))
    return float(min(_MAX_S, _LEAST_S * 2 ** min(10, n_rounds - 2))) if n_rounds > 1 else 0.0


def _rounded(seconds: float) -> str:
    return f"{seconds:.0f}" if seconds >= 10 else f"{seconds:.2g}"
