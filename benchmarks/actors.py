"""What a call to the cluster's quota and search actors costs the process that makes it, beside a direct Ray call.

    python benchmarks/actors.py [--seconds 2] [--pause-s 0.5]

So many callers at a time, in one process: each leases and settles (or searches the almanac), rests for `--pause-s`
(0 by default: as often as possible) and begins again. The baseline is the same gate and the same index behind an actor
method per call. CPU is that of the calling process with all its threads, less what resting costs.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import statistics
import subprocess
import time
from collections.abc import Awaitable, Callable
from datetime import date
from typing import Any

import ray

from fireact_ray.agent.quota.budget import Account, Spent
from fireact_ray.agent.quota.gate import Gate, granted
from fireact_ray.agent.quota.ledger import Outcome, QuotaLimits, Settlement
from fireact_ray.agent.tools.config import SearchConfig
from fireact_ray.core.types import Hit, Usage
from fireact_ray.recipe.schema import RayConfig
from fireact_ray.recipe.search import open_backend
from fireact_ray.stages.actors.quota import open_quota
from fireact_ray.stages.actors.search import search_pool
from fireact_ray.stages.ray_session import ray_session
from fireact_ray.tasks.almanac import corpus

_CALL, _REPLY = Usage(900, 100), Usage(700, 60)
_IN_FLIGHT = (1, 10, 100, 1000)

Call = Callable[[], Awaitable[Any]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, help="for each number")
    parser.add_argument("--pause-s", type=float, default=0.0)
    args = parser.parse_args()
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False).stdout
    print(f"{date.today()}, {os.cpu_count()} CPUs, commit {commit.strip()}, pause {args.pause_s:g} s\n")
    with ray_session(RayConfig(num_cpus=2)):
        asyncio.run(_compare(args.seconds, args.pause_s))


async def _compare(seconds: float, pause_s: float) -> None:
    config = SearchConfig.model_validate({"actors": 1})
    account = Account("benchmark", started_at=time.time())
    limits = QuotaLimits(max_concurrency=1000)
    direct = ray.remote(DirectActor).options(num_cpus=0, max_concurrency=2000).remote(config, account, limits)
    queries = itertools.cycle(passage.title for passage in corpus())
    fingerprint = open_backend(config).fingerprint
    with open_quota("benchmark", limits, account) as quota, search_pool(config, fingerprint) as pool:

        async def lease_and_settle() -> None:
            await quota.settle(Settlement(await quota.lease(_CALL), Outcome.DONE, _REPLY))

        async def lease_and_settle_direct() -> None:
            await direct.settle.remote(Settlement(await direct.lease.remote(_CALL), Outcome.DONE, _REPLY))

        print("| call              | in flight | direct, CPU ms | CPU ms | ratio | direct, latency ms | latency ms |")
        print("|-------------------|----------:|---------------:|-------:|------:|-------------------:|-----------:|")
        for name, baseline, call in (
            ("lease and settle", lease_and_settle_direct, lease_and_settle),
            ("search", lambda: direct.search.remote(next(queries), 1), lambda: pool.search(next(queries), 1)),
        ):
            for width in _IN_FLIGHT:
                before_ms, before_latency_ms = await _measure(baseline, width, seconds, pause_s)
                ms, latency_ms = await _measure(call, width, seconds, pause_s)
                print(
                    f"| {name:17s} | {width:9d} | {before_ms:14.3f} | {ms:6.3f} | {before_ms / ms:5.1f} "
                    f"| {before_latency_ms:18.1f} | {latency_ms:10.1f} |"
                )
        await quota.close()
        await pool.close()


class DirectActor:
    """The same work, one Ray call each."""

    def __init__(self, config: SearchConfig, account: Account, limits: QuotaLimits) -> None:
        self._run = account.run
        self._backend = open_backend(config)
        self._gate = Gate(limits)
        self._gate.open(account, Spent())

    async def lease(self, estimate: Usage) -> str:
        return granted(await self._gate.lease(self._run, estimate))

    async def settle(self, settlement: Settlement) -> None:
        self._gate.settle(self._run, settlement)

    async def search(self, query: str, k: int) -> list[Hit]:
        return await self._backend.search(query, k)


async def _measure(call: Call, width: int, seconds: float, pause_s: float) -> tuple[float, float]:
    """CPU ms of this process per call, and the median latency in ms."""
    await call()  # connected
    latencies: list[float] = []
    cpu_began, ends_at = time.process_time(), time.monotonic() + seconds

    async def caller(number: int) -> None:
        await asyncio.sleep(pause_s * number / width)  # not all at the same moment
        while (began := time.monotonic()) < ends_at:
            await call()
            latencies.append(time.monotonic() - began)
            await asyncio.sleep(pause_s)

    await asyncio.gather(*(caller(number) for number in range(width)))
    cpu_s = time.process_time() - cpu_began
    resting_s = await _cost_of_resting(len(latencies), width, seconds, pause_s)
    return 1e3 * (cpu_s - resting_s) / len(latencies), 1e3 * statistics.median(latencies)


async def _cost_of_resting(n_calls: int, width: int, seconds: float, pause_s: float) -> float:
    """CPU seconds of this process with as many pauses and no calls."""
    if pause_s == 0:
        return 0.0
    began, every_s = time.process_time(), seconds / max(1, n_calls // width)

    async def rest(number: int) -> None:
        await asyncio.sleep(every_s * number / width)
        for _ in range(max(1, n_calls // width)):
            await asyncio.sleep(every_s)

    await asyncio.gather(*(rest(number) for number in range(width)))
    return time.process_time() - began


if __name__ == "__main__":
    main()
