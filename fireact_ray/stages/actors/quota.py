"""One quota for the whole cluster: an async actor per (provider, model), named, so that every run finds the same one.

It holds a gate (agent.quota.gate) and nothing that cannot be built again: limits and accounts come with those who call,
and what a run has spent stands in its journals. When it dies, Ray starts it again and callers ask again. A reply is
settled before it is journaled, so the journals that the new actor reads hold no reply whose settlement is still to
come, and none is counted twice.

Leases and settlements go over a connection of each process (fireact_ray.core.net), not as Ray calls: one of those costs
both sides more than the rest of the work for a model call. Ray starts, finds and watches over the actor.

It ends with the last run that uses it: a driver that is killed closes nothing, so the actor looks from time to time
which drivers have died, closes their runs, and ends itself when none is left.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import reduce
from typing import Any

import ray
from ray.exceptions import RayActorError

from fireact_ray.agent.quota.budget import Account, Spent
from fireact_ray.agent.quota.gate import Gate, granted
from fireact_ray.agent.quota.ledger import Denied, Grant, Outcome, QuotaLimits, Settlement
from fireact_ray.agent.quota.rate_headers import RateNotice
from fireact_ray.core.errors import ModelDenied
from fireact_ray.core.net.rpc_client import RpcClient, RpcUnavailable
from fireact_ray.core.net.rpc_server import RpcServer
from fireact_ray.core.net.rpc_wire import Address
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.types import Usage
from fireact_ray.core.utils.waiting import said_while_waiting
from fireact_ray.rollouts.journal import paid_for
from fireact_ray.stages.actors.log_forwarding import forward_warnings
from fireact_ray.stages.actors.resources import pending

NAMESPACE = "fireact"
_LOOK_S = 30.0  # between two looks at who has died

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Closing:
    """What a run has spent in all, and how many other runs still use the quota."""

    spent: Spent
    cost_usd: float | None
    n_others: int


class QuotaActor:
    """A gate with the accounts of all runs that call the model."""

    def __init__(self, limits: QuotaLimits, look_s: float = _LOOK_S) -> None:
        forward_warnings()
        self._gate = Gate(limits)
        self._look_s = look_s
        self._jobs: dict[str, str] = {}  # by run
        self._watching: asyncio.Task[None] | None = None
        self._opening = asyncio.Lock()
        self._server = RpcServer(self._answer)

    async def open(self, account: Account, limits: QuotaLimits) -> None:
        """Begin a run, or begin it anew. The limits of the run that began last hold for all."""
        if limits != self._gate.ledger.limits:
            self._gate.ledger.limit(limits, time.monotonic())
        async with self._opening:
            await self._open(account)

    async def address(self, account: Account) -> Address:
        """Where to lease and settle. After a restart the first caller of a run brings its account back."""
        async with self._opening:
            if account.run not in self._gate.ledger.runs:
                await self._open(account)
        return await self._server.address(ray.util.get_node_ip_address())

    async def _open(self, account: Account) -> None:
        self._gate.open(account, await asyncio.to_thread(_spent, account))
        self._jobs[account.run] = account.job
        if self._watching is None:
            self._watching = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        """Until no run is left; nobody opens one between the last look and the end."""
        me = ray.get_runtime_context().current_actor
        while True:
            await asyncio.sleep(self._look_s)
            dead = await asyncio.to_thread(_dead_jobs)
            async with self._opening:
                for run in left_behind(self._jobs, dead):
                    logger.warning("%s: the driver of this run died; its account is closed", run)
                    await self.close(run)
                if not self._gate.ledger.runs:
                    await asyncio.to_thread(ray.kill, me)

    async def n_waiting(self) -> int:
        return self._gate.n_waiting

    async def close(self, run: str) -> Closing:
        self._jobs.pop(run, None)
        budget = self._gate.close(run)
        spent = Spent() if budget is None else budget.spent
        return Closing(spent, None if budget is None else budget.cost_usd(spent), len(self._gate.ledger.runs))

    async def _answer(self, item: list[Any]) -> Any:
        run, what, *rest = item
        if what == "lease":
            return _from_answer(await self._gate.lease(run, Usage(*rest)))
        self._gate.settle(run, _to_settlement(*rest))
        return None


class ActorQuota:
    """The actor as a Quota (agent.models.metered), from any process of the cluster; it outlives restarts."""

    def __init__(self, name: str, limits: QuotaLimits, account: Account) -> None:
        self._name, self._limits, self._account = name, limits, account
        self._actor: Any = None
        self._client = RpcClient(self._find)

    def __reduce__(self) -> tuple[Any, ...]:
        return ActorQuota, (self._name, self._limits, self._account)

    async def lease(self, estimate: Usage) -> str:
        asked = self._ask("lease", estimate.prompt_tokens, estimate.completion_tokens)
        try:
            return granted(_to_answer(await self._reached(asyncio.shield(asked))))
        except asyncio.CancelledError:
            asked.add_done_callback(self._give_back)
            raise

    async def settle(self, settlement: Settlement) -> None:
        await self._reached(self._ask("settle", *_from_settlement(settlement)))

    async def close(self) -> None:
        """The actor outlives its callers."""
        await self._client.close()

    def n_waiting(self) -> int:
        """Calls of all runs that wait for it; 0 while the actor is starting again."""
        try:
            n: int = ray.get(self.actor().n_waiting.remote())
        except RayActorError:
            self._actor = None
            return 0
        return n

    def actor(self) -> Any:
        """The actor's handle; starts it where there is none."""
        if self._actor is None:
            options = {"name": self._name, "namespace": NAMESPACE, "lifetime": "detached", "get_if_exists": True}
            alive = {"num_cpus": 0, "max_restarts": -1}
            self._actor = ray.remote(QuotaActor).options(**options, **alive).remote(self._limits)
        return self._actor

    def _ask(self, what: str, *arguments: Any) -> asyncio.Future[Any]:
        return self._client.ask([self._account.run, what, *arguments])

    async def _reached(self, asked: asyncio.Future[Any]) -> Any:
        try:
            return await asked
        except RpcUnavailable as error:
            raise ModelDenied(f"the quota actor {self._name}: {error}") from None

    def _give_back(self, asked: asyncio.Future[Any]) -> None:
        """Nobody will make the call that was asked for: its slot and its reservation are free again."""
        if asked.cancelled() or asked.exception() is not None:
            return
        if isinstance(answer := _to_answer(asked.result()), Grant):
            self._ask("settle", *_from_settlement(Settlement(answer.lease_id, Outcome.FAILED)))

    async def _find(self) -> Address:
        try:
            address: Address = await self.actor().address.remote(self._account)
        except RayActorError as error:  # starting again, or ended with another run: then there will be a new one
            self._actor = None
            raise ConnectionError(type(error).__name__) from None
        return address


@contextmanager
def open_quota(name: str, limits: QuotaLimits, account: Account) -> Iterator[ActorQuota]:
    """The model's quota with this run's account in it; the actor ends when no run is left."""
    quota = ActorQuota(name, limits, account)
    with said_while_waiting("quota", lambda: pending(1, "quota actor", {})):
        try:
            ray.get(quota.actor().open.remote(account, limits))
        except RayActorError:  # it ended with another run while we asked
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


def left_behind(jobs: Mapping[str, str], dead: Container[str]) -> list[str]:
    """The runs whose drivers have died. `jobs`: of the runs' drivers, by run."""
    return [run for run, job in jobs.items() if job in dead]


def _dead_jobs() -> frozenset[str]:
    return frozenset(job["JobID"] for job in ray._private.state.jobs() if job["IsDead"])


def _spent(account: Account) -> Spent:
    return reduce(Spent.__add__, (paid_for(Folder(folder)) for folder in account.journals), Spent())


# What goes over a connection is plain JSON.


def _from_answer(answer: Grant | Denied) -> list[Any]:
    return [answer.lease_id] if isinstance(answer, Grant) else [answer.reason, answer.by_budget]


def _to_answer(fields: list[Any]) -> Grant | Denied:
    return Grant(*fields) if len(fields) == 1 else Denied(*fields)


def _from_settlement(settlement: Settlement) -> list[Any]:
    usage, notice = settlement.usage, settlement.notice
    heard = notice and [getattr(notice, name) for name in RateNotice.__slots__]
    return [
        settlement.lease_id,
        settlement.outcome,
        [usage.prompt_tokens, usage.completion_tokens],
        settlement.retry_after_s,
        heard,
        settlement.said,
    ]


def _to_settlement(
    lease_id: str,
    outcome: str,
    usage: list[int],
    retry_after_s: float | None,
    heard: list[float | None] | None,
    said: str,
) -> Settlement:
    notice = None if heard is None else RateNotice(*heard)
    return Settlement(lease_id, Outcome(outcome), Usage(*usage), retry_after_s, notice, said)
