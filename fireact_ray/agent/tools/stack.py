"""What stands around a search backend, from the outside in: faults, cache, breaker, pace.

Faults are outermost, so that they strike cached results too and never get into the cache. What is cached asks nobody.
An open breaker fails before a search waits for its turn.
"""

from __future__ import annotations

from pathlib import Path

from fireact_ray.agent.tools.base import SearchBackend
from fireact_ray.agent.tools.circuit_breaker import BreakerBackend
from fireact_ray.agent.tools.config import SearchConfig
from fireact_ray.agent.tools.faults import FaultyBackend
from fireact_ray.agent.tools.rate_limit import RateLimitedBackend


def wrapped(backend: SearchBackend, config: SearchConfig, cache_dir: Path, share: float = 1.0) -> SearchBackend:
    """`backend` with what the recipe puts around it. `share`: of the allowed rate, where several processes search."""
    if config.rate.per_second is not None:
        backend = RateLimitedBackend(backend, config.rate.per_second * share, config.rate.burst)
    if config.breaker.failures is not None:
        backend = BreakerBackend(backend, config.breaker.failures, config.breaker.pause_s)
    if config.is_cached:
        from fireact_ray.agent.tools.cache import CachingBackend

        folder = Path(config.cache.dir).expanduser() if config.cache.dir else cache_dir
        backend = CachingBackend(backend, folder / "search.sqlite3")
    if (plan := config.faults.plan()) is not None:
        backend = FaultyBackend(backend, plan)
    return backend
