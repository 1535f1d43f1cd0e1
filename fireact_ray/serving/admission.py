"""May this key ask now? A rate and a number of questions at once per key, and a number for the whole process.

A refusal is a 429 that says when to come again; it costs neither a model call nor memory. Counts are of one process:
with several replicas a key has its allowance in each.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from fireact_ray.serving.errors import ApiError, server_busy
from fireact_ray.serving.settings import ServingSettings

_MINUTE_S = 60.0


@dataclass
class _Bucket:
    tokens: float
    at: float


class Admission:
    """`now`: a clock in seconds."""

    def __init__(self, settings: ServingSettings, now: Callable[[], float] = time.monotonic) -> None:
        self._settings, self._now = settings, now
        self._buckets: dict[str, _Bucket] = {}
        self._running: Counter[str] = Counter()

    def count(self, key: str) -> None:
        """One request of `key`. Raises ApiError when its rate is used up; a minute's worth may come at once."""
        per_minute = self._settings.requests_per_minute
        if per_minute is None:
            return
        now, capacity = self._now(), max(1.0, per_minute)
        bucket = self._buckets.setdefault(key, _Bucket(capacity, now))
        bucket.tokens = min(capacity, bucket.tokens + (now - bucket.at) * per_minute / _MINUTE_S)
        bucket.at = now
        if bucket.tokens < 1:
            wait_s = (1 - bucket.tokens) * _MINUTE_S / per_minute
            message = f"This key may send {per_minute:g} requests a minute. Come again in {wait_s:.0f} s."
            raise ApiError(429, message, code="rate_limit_exceeded", retry_after_s=wait_s)
        bucket.tokens -= 1

    @contextmanager
    def running(self, key: str) -> Iterator[None]:
        """A question of `key` from here to the end. Raises ApiError when there are as many as may be."""
        settings = self._settings
        if settings.concurrency is not None and self._running[key] >= settings.concurrency:
            message = f"This key may ask {settings.concurrency} questions at once, and that many are running."
            raise ApiError(429, message, code="too_many_at_once", retry_after_s=settings.retry_after_s)
        if settings.max_in_flight is not None and self._running.total() >= settings.max_in_flight:
            raise server_busy(settings.retry_after_s)
        self._running[key] += 1
        try:
            yield
        finally:
            self._running[key] -= 1
