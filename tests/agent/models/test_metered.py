"""A model under a quota, against the scripted teacher over HTTP and against scripted replies."""

import asyncio
import time

import pytest
from clocks import in_no_time
from fakes import FINISH, SEARCH, ScriptedModel, agent, question

from fireact_ray.agent.models.base import Sampling
from fireact_ray.agent.models.metered import MeteredChat, estimate_usage
from fireact_ray.agent.models.openai import OpenAIChat
from fireact_ray.agent.quota.budget import Account, BudgetLimits, Price, Spent
from fireact_ray.agent.quota.gate import LocalQuota
from fireact_ray.agent.quota.ledger import Outcome, QuotaLimits, Settlement
from fireact_ray.agent.rollout import Limits
from fireact_ray.core.errors import BudgetExhausted, MalformedReply, ModelRefused, ModelUnavailable, RateLimited
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.types import StopReason, Turn, Usage
from fireact_ray.core.utils.deadline import bounding, paused
from fireact_ray.demo.teacher.faults import FaultRates
from fireact_ray.demo.teacher.server import ScriptedTeacher
from fireact_ray.rollouts.journal import Journal, paid_for, read_journal
from fireact_ray.rollouts.replay import journaled

pytestmark = pytest.mark.slow

TURNS = (Turn("user", "3+4="),)


class RecordingQuota:
    """Grants everything and keeps what it is told."""

    def __init__(self) -> None:
        self.settled: list[Settlement] = []

    async def lease(self, estimate: Usage) -> str:
        return "l"

    async def settle(self, settlement: Settlement) -> None:
        self.settled.append(settlement)


class Hanging(ScriptedModel):
    async def complete(self, turns, sampling):
        await asyncio.Event().wait()


def budgeted(**limits) -> LocalQuota:
    return LocalQuota(account=Account("run", BudgetLimits(**limits), Price(1.0, 1.0), started_at=time.time()))


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (ModelUnavailable("m"), Outcome.FAILED),
        (ModelRefused("m"), Outcome.FAILED),
        (MalformedReply("m"), Outcome.LOST),
    ],
)
async def test_a_failed_call_is_settled_once_and_its_error_goes_on(error, outcome):
    quota = RecordingQuota()
    with pytest.raises(type(error)):
        await MeteredChat(ScriptedModel(error), quota).complete(TURNS, Sampling())
    assert quota.settled == [Settlement("l", outcome)]


async def test_a_429_is_settled_and_the_call_made_again():
    quota = RecordingQuota()
    model = ScriptedModel(RateLimited("m", 0.1), RateLimited("m"), "hello")
    assert (await MeteredChat(model, quota).complete(TURNS, Sampling())).text == "hello"
    assert quota.settled == [
        Settlement("l", Outcome.LIMITED, retry_after_s=0.1, said="m"),
        Settlement("l", Outcome.LIMITED, said="m"),
        Settlement("l", Outcome.DONE, Usage(10, 5)),
    ]


async def test_a_call_that_nobody_waits_for_any_more_is_settled_as_lost():
    quota = RecordingQuota()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await MeteredChat(Hanging(), quota).complete(TURNS, Sampling())
    assert quota.settled == [Settlement("l", Outcome.LOST)]


@in_no_time
async def test_waiting_for_the_quota_does_not_use_up_the_rollouts_time():
    model = ScriptedModel(RateLimited("m", 0.4), SEARCH, FINISH)
    tight = agent(limits=Limits(timeout_s=0.3))
    trajectory = await replace_model(tight, MeteredChat(model, LocalQuota())).run(question())
    assert trajectory.stop_reason is StopReason.FINISHED
    assert trajectory.steps[0].model_latency_s < 0.3


@in_no_time
async def test_a_paused_time_limit_still_holds_for_what_is_not_waiting():
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2) as timeout:
            with bounding(timeout):
                with paused():
                    await asyncio.sleep(0.3)
                await asyncio.sleep(1.0)


async def test_every_429_of_the_scripted_teacher_is_waited_for_and_every_call_gets_its_reply():
    with ScriptedTeacher(faults=FaultRates(rate_limited=0.3, retry_after_s=0.02)) as teacher:
        chat = OpenAIChat(teacher.model_name, base_url=teacher.base_url, api_key="k")
        model = MeteredChat(chat, LocalQuota(QuotaLimits(max_concurrency=8)))
        calls = [model.complete((Turn("user", f"{n}+1="),), Sampling()) for n in range(60)]
        replies = await asyncio.gather(*calls)
        await model.close()
        assert len(replies) == teacher.stats()["calls"]["200"] == 60
        assert teacher.stats()["calls"]["429"] > 5
        assert teacher.stats()["peak_in_flight"] <= 8


async def test_a_budget_stops_the_next_call_and_says_what_to_raise():
    model = MeteredChat(ScriptedModel("a", "b", "c"), budgeted(max_calls=2))
    await model.complete(TURNS, Sampling())
    await model.complete(TURNS, Sampling())
    with pytest.raises(BudgetExhausted, match=r"generate\.budget\.max_calls = 2: 2 calls are paid") as caught:
        await model.complete(TURNS, Sampling())
    assert caught.value.exit_code == 3
    assert len(model.inner.asked) == 2


async def test_callers_in_one_queue_are_all_served_though_the_budget_lets_few_fly_at_a_time():
    room_for_two = 2 * 1005 + 300
    model = MeteredChat(ScriptedModel(*["x"] * 20), budgeted(max_tokens=room_for_two))
    replies = await asyncio.gather(*(model.complete(TURNS, Sampling(max_new_tokens=1000)) for _ in range(20)))
    assert len(replies) == 20


async def test_a_journaled_reply_is_spent_once_and_never_leased_again(tmp_path):
    def metered(quota) -> tuple:
        runner = agent()
        return replace_model(runner, MeteredChat(ScriptedModel(SEARCH, FINISH), quota))

    home = Folder(str(tmp_path))
    journal = Journal(home, "w1")
    with pytest.raises(BudgetExhausted):
        await journaled(metered(budgeted(max_calls=1)), journal, "k", {}, offline=False).run(question())
    journal.close()
    assert paid_for(home) == Spent(1, Usage(10, 5))

    quota = LocalQuota(account=Account("run", BudgetLimits(max_calls=2)), spent=paid_for(home))
    second = metered(quota)
    second.model.inner.replies.pop(0)  # the first reply is paid: only FINISH is left to be bought
    paid = {entry.call: entry for entry in read_journal(home)}
    journal = Journal(home, "w2")
    trajectory = await journaled(second, journal, "k", paid, offline=False).run(question())
    journal.close()
    assert trajectory.answer == "Ila Dun"
    assert len(second.model.inner.asked) == 1
    assert paid_for(home) == Spent(2, Usage(20, 10))


async def test_a_trajectory_costs_what_its_replies_cost_and_none_where_that_is_unknown():
    priced = replace_model(agent(), ScriptedModel(SEARCH, FINISH), price=Price(2.0, 8.0))
    assert (await priced.run(question())).cost_usd == pytest.approx((20 * 2 + 10 * 8) / 1e6)
    assert (await agent(SEARCH, FINISH).run(question())).cost_usd is None


def test_an_estimate_is_the_most_a_call_is_likely_to_take():
    assert estimate_usage((Turn("user", "x" * 300), Turn("user", "y" * 30)), Sampling(max_new_tokens=50)) == Usage(
        118, 50
    )


def replace_model(runner, model, **changes):
    from dataclasses import replace

    return replace(runner, model=model, **changes)
