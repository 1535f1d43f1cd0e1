"""Requests and tokens per minute: when may the next call start, so that no minute sees more than the limit?

A bucket fills evenly and holds one second's worth, so calls are paced instead of coming in bursts: in any window of a
minute at most the limit plus that one second passes. A call dearer than the whole bucket waits until it is full and
leaves a debt. Times are seconds on any steady clock, always given by the caller.
"""

from __future__ import annotations

import math

_MINUTE_S = 60.0
_BURST_S = 1.0  # enough that a pause of the event loop costs no throughput


class Bucket:
    """An allowance of `per_minute` units, at most `ceiling`; starts with one unit, so that a start is no burst."""

    def __init__(self, per_minute: float, now: float, ceiling: float | None = None) -> None:
        self.per_minute = per_minute
        self._ceiling = per_minute if ceiling is None else ceiling
        self._level = min(1.0, self.burst)
        self._at = now

    @property
    def burst(self) -> float:
        """The most units that may pass at once."""
        return max(1.0, self.per_minute / _MINUTE_S * _BURST_S)

    def wait_s(self, now: float, amount: float) -> float:
        """Seconds until `amount` units may pass; 0.0 means now."""
        self._fill(now)
        missing = min(amount, self.burst) - self._level
        # A rounding error of the clock must not make the caller wait once more for nothing.
        return missing * _MINUTE_S / self.per_minute if missing > 1e-6 else 0.0

    def take(self, now: float, amount: float) -> None:
        self._fill(now)
        self._level -= amount

    def give_back(self, amount: float) -> None:
        """What was taken too much; a negative amount is what was taken too little."""
        self._level = min(self.burst, self._level + amount)

    def learn(self, now: float, per_minute: float | None, remaining: float | None) -> None:
        """Correct by what the provider says; its word never lifts the recipe's own limit."""
        self._fill(now)
        if per_minute is not None:
            self.per_minute = min(self._ceiling, per_minute)
        self._level = min(self._level, self.burst, self._level if remaining is None else remaining)

    def _fill(self, now: float) -> None:
        self._level = min(self.burst, self._level + (now - self._at) * self.per_minute / _MINUTE_S)
        self._at = now


class Rates:
    """Both limits of a model. Each is None until the recipe or the provider names it."""

    def __init__(self, requests_per_minute: float | None, tokens_per_minute: float | None, now: float) -> None:
        self.requests = None if requests_per_minute is None else Bucket(requests_per_minute, now)
        self.tokens = None if tokens_per_minute is None else Bucket(tokens_per_minute, now)

    def wait_s(self, now: float, tokens: int) -> float:
        """Seconds until a call of about `tokens` tokens may start."""
        waits = [b.wait_s(now, n) for b, n in ((self.requests, 1), (self.tokens, tokens)) if b is not None]
        return max(waits, default=0.0)

    def take(self, now: float, tokens: int) -> None:
        if self.requests is not None:
            self.requests.take(now, 1)
        if self.tokens is not None:
            self.tokens.take(now, tokens)

    def settle(self, estimated_tokens: int, tokens: int) -> None:
        if self.tokens is not None:
            self.tokens.give_back(estimated_tokens - tokens)

    def learn_requests(self, now: float, per_minute: float | None, remaining: float | None) -> None:
        self.requests = _learnt(self.requests, now, per_minute, remaining)

    def learn_tokens(self, now: float, per_minute: float | None, remaining: float | None) -> None:
        self.tokens = _learnt(self.tokens, now, per_minute, remaining)


def _learnt(bucket: Bucket | None, now: float, per_minute: float | None, remaining: float | None) -> Bucket | None:
    if bucket is None and per_minute is not None:
        bucket = Bucket(per_minute, now, ceiling=math.inf)
    if bucket is not None:
        bucket.learn(now, per_minute, remaining)
    return bucket
