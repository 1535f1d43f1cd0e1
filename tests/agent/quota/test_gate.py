"""The queue in front of the ledger, on a real event loop."""

import asyncio
import pickle
import time

import pytest

from fireact_ray.agent.quota.budget import Account, BudgetLimits, Spent
from fireact_ray.agent.quota.gate import Gate, LocalQuota
from fireact_ray.agent.quota.ledger import Denied, Grant, Outcome, QuotaLimits, Settlement
from fireact_ray.cli.main import run_guarded
from fireact_ray.core.errors import BudgetExhausted, RateLimited
from fireact_ray.core.types import Usage

CALL = Usage(90, 10)


def gate(*runs: str, budget: BudgetLimits | None = None, **limits) -> Gate:
    made = Gate(QuotaLimits(**limits))
    for run in runs or ("run",):
        made.open(Account(run, budget or BudgetLimits(), started_at=time.time()), Spent())
    return made


async def test_callers_are_served_in_the_order_in_which_they_came():
    quota, order = LocalQuota(QuotaLimits(max_concurrency=1)), []

    async def call(n: int) -> None:
        lease_id = await quota.lease(CALL)
        order.append(n)
        await asyncio.sleep(0)
        await quota.settle(Settlement(lease_id, Outcome.DONE, CALL))

    await asyncio.gather(*(call(n) for n in range(50)))
    assert order == list(range(50))


async def test_a_caller_that_has_gone_is_passed_over():
    quota = LocalQuota(QuotaLimits(max_concurrency=1))
    held = await quota.lease(CALL)
    gone, next_one = asyncio.create_task(quota.lease(CALL)), asyncio.create_task(quota.lease(CALL))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.sleep(0)
    await quota.settle(Settlement(held, Outcome.DONE, CALL))
    assert await next_one


async def test_a_caller_that_goes_as_its_turn_comes_gives_its_grant_back():
    made = gate(max_concurrency=1)
    held = await made.lease("run", CALL)
    assert isinstance(held, Grant)
    going = asyncio.create_task(made.lease("run", CALL))
    await asyncio.sleep(0)
    made.settle("run", Settlement(held.lease_id, Outcome.DONE, CALL))  # grants `going`
    going.cancel()
    assert isinstance(await made.lease("run", CALL), Grant)


async def test_a_pause_reaches_those_who_are_waiting_already():
    quota = LocalQuota(QuotaLimits(requests_per_minute=600))
    first = await quota.lease(CALL)
    waiting = asyncio.create_task(quota.lease(CALL))
    await asyncio.sleep(0)
    limited_at = time.monotonic()
    await quota.settle(Settlement(first, Outcome.LIMITED, retry_after_s=0.4))
    await waiting
    assert time.monotonic() - limited_at >= 0.4


async def test_who_waits_for_his_own_budget_stops_no_other_run():
    made = gate("poor", budget=BudgetLimits(max_calls=1))
    made.open(Account("rich", started_at=time.time()), Spent())
    assert isinstance(await made.lease("poor", CALL), Grant)
    poor = asyncio.create_task(made.lease("poor", CALL))
    await asyncio.sleep(0)
    assert isinstance(await made.lease("rich", CALL), Grant)
    assert not poor.done()
    poor.cancel()


async def test_a_run_that_ends_or_begins_anew_leaves_nobody_waiting():
    made = gate("run", "other", max_concurrency=1)
    held = await made.lease("other", CALL)
    assert isinstance(held, Grant)
    ended = asyncio.create_task(made.lease("run", CALL))
    await asyncio.sleep(0)
    made.close("run")
    assert await ended == await made.lease("run", CALL) == Denied("the run has ended", by_budget=False)
    made.settle("other", Settlement(held.lease_id, Outcome.DONE, CALL))
    assert isinstance(await made.lease("other", CALL), Grant)


async def test_minutes_end_a_run_for_everybody():
    account = Account("run", BudgetLimits(max_minutes=1.0), started_at=time.time() - 61)
    with pytest.raises(BudgetExhausted, match=r"max_minutes = 1: 1\.\d minutes have passed"):
        await LocalQuota(account=account).lease(CALL)


def test_a_spent_budget_ends_the_command_with_exit_code_3(capsys):
    def action() -> None:
        raise BudgetExhausted("Stopped by budget: raise it.")

    with pytest.raises(SystemExit) as ended:
        run_guarded(action)
    assert ended.value.code == 3
    assert capsys.readouterr().err == "Stopped by budget: raise it.\n"


def test_a_rate_limit_keeps_its_time_on_the_way_between_processes():
    assert pickle.loads(pickle.dumps(RateLimited("m", 2.5))).retry_after_s == 2.5  # noqa: S301 (our own bytes)
