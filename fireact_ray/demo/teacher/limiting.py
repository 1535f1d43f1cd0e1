"""The teacher's own rate limit: what it refuses with a 429, and what it tells its callers about it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RateLimit:
    """None: no limit. `burst_s`: how many seconds' worth of requests may come at once after a silence."""

    requests_per_minute: float | None = None
    burst_s: float = 2.0


class Limiter:
    """Each admitted request takes its share of time; who would borrow more than `burst_s` of it is refused."""

    def __init__(self, limit: RateLimit) -> None:
        self._limit = limit
        self._booked_until = 0.0

    def refused_for_s(self, now: float) -> float | None:
        """None where the request is admitted, else the seconds after which it would be."""
        if self._limit.requests_per_minute is None:
            return None
        booked = max(now, self._booked_until) + 60.0 / self._limit.requests_per_minute
        over_s = booked - now - self._limit.burst_s
        if over_s > 0:
            return over_s
        self._booked_until = booked
        return None

    def headers(self, now: float) -> dict[str, str]:
        """As OpenAI names them; empty without a limit."""
        if (per_minute := self._limit.requests_per_minute) is None:
            return {}
        free_s = self._limit.burst_s - max(0.0, self._booked_until - now)
        remaining = max(0, int(free_s * per_minute / 60.0))
        return {"x-ratelimit-limit-requests": f"{per_minute:g}", "x-ratelimit-remaining-requests": str(remaining)}
