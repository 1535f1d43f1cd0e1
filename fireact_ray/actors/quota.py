"""One quota for the whole cluster: an async actor per (provider, model), named, so that every run finds the same one.

It holds a gate (quota.gate) and nothing that cannot be built again: limits and accounts come with each call, and what
a run has spent stands in its journals. When it dies, Ray starts it again and callers call again; replies are settled
before they are journaled, so none is counted twice.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import reduce
from typing import Any

import ray
from ray.exceptions import RayActorError

from fireact_ray.errors import ModelDenied
from fireact_ray.journal import paid_for
from fireact_ray.quota.budget import Account, Spent
from fireact_ray.quota.gate import Gate, granted
from fireact_ray.quota.ledger import Denied, Grant, QuotaLimits, Settlement
from fireact_ray.store import Folder
from fireact_ray.types import Usage

NAMESPACE = "fireact"
_MAX_CONCURRENCY = 100_000  # callers that wait in the actor: an idle coroutine each
_MAX_TRIES, _TRY_EVERY_S = 600, 0.2

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Closing:
    """What a run has spent in all, and how many other runs still use the quota."""

    spent: Spent
    cost_usd: float | None
    n_others: int


class QuotaActor:
    """A gate with the accounts of all runs that call the model."""

    def __init__(self, limits: QuotaLimits) -> None:
        self._gate = Gate(limits)
        self._opening = asyncio.Lock()

    async def open(self, account: Account, limits: QuotaLimits) -> None:
        """Begin a run, or begin it anew. The limits of the run that began last hold for all."""
        if limits != self._gate.ledger.limits:
            self._gate.ledger.limit(limits, time.monotonic())
        async with self._opening:
            self._gate.open(account, await asyncio.to_thread(_spent, account))

    async def lease(self, account: Account, estimate: Usage) -> Grant | Denied:
        await self._reopen(account)
        return await self._gate.lease(account.run, estimate)

    async def settle(self, account: Account, settlement: Settlement) -> None:
        await self._reopen(account)
        self._gate.settle(account.run, settlement)

    async def close(self, run: str) -> Closing:
        budget = self._gate.close(run)
        spent = Spent() if budget is None else budget.spent
        return Closing(spent, None if budget is None else budget.cost_usd(spent), len(self._gate.ledger.runs))

    async def _reopen(self, account: Account) -> None:
        """After a restart the first caller of a run brings its account back."""
        if account.run in self._gate.ledger.runs:
            return
        async with self._opening:
            if account.run not in self._gate.ledger.runs:
                self._gate.open(account, await asyncio.to_thread(_spent, account))


class ActorQuota:
    """The actor as a Quota (models.metered), from any process of the cluster; lives through the actor's restarts."""

    def __init__(self, name: str, limits: QuotaLimits, account: Account) -> None:
        self._name, self._limits, self._account = name, limits, account
        self._actor: Any = None

    def __reduce__(self) -> tuple[Any, ...]:
        return ActorQuota, (self._name, self._limits, self._account)

    async def lease(self, estimate: Usage) -> str:
        answer: Grant | Denied = await self._call("lease", estimate)
        return granted(answer)

    async def settle(self, settlement: Settlement) -> None:
        await self._call("settle", settlement)

    def actor(self) -> Any:
        """The actor's handle; starts it where there is none."""
        if self._actor is None:
            options = {"name": self._name, "namespace": NAMESPACE, "lifetime": "detached", "get_if_exists": True}
            alive = {"num_cpus": 0, "max_restarts": -1, "max_concurrency": _MAX_CONCURRENCY}
            self._actor = ray.remote(QuotaActor).options(**options, **alive).remote(self._limits)
        return self._actor

    async def _call(self, method: str, argument: Usage | Settlement) -> Any:
        """Call again while the actor is away: what a call did in an actor that died died with it."""
        for _ in range(_MAX_TRIES):
            try:
                return await getattr(self.actor(), method).remote(self._account, argument)
            except RayActorError:  # starting again, or ended together with another run: then there will be a new one
                self._actor = None
            await asyncio.sleep(_TRY_EVERY_S)
        raise ModelDenied(f"the quota actor {self._name} has been away for {_MAX_TRIES * _TRY_EVERY_S:g} s")


@contextmanager
def open_quota(name: str, limits: QuotaLimits, account: Account) -> Iterator[ActorQuota]:
    """The model's quota with this run's account in it; the actor ends when no run is left."""
    quota = ActorQuota(name, limits, account)
    ray.get(quota.actor().open.remote(account, limits))
    try:
        yield quota
    finally:
        _close(quota, account)


def _close(quota: ActorQuota, account: Account) -> None:
    try:
        closing: Closing = ray.get(quota.actor().close.remote(account.run))
    except RayActorError:  # it is starting again; a rerun finds its account as it is in the journals
        return
    cost = "price unknown" if closing.cost_usd is None else f"${closing.cost_usd:.4f}"
    logger.info("%s: %d calls, %d tokens, %s so far", account.run, closing.spent.calls, closing.spent.tokens, cost)
    if closing.n_others == 0:
        ray.kill(quota.actor())


def _spent(account: Account) -> Spent:
    return reduce(Spent.__add__, (paid_for(Folder(folder)) for folder in account.journals), Spent())
