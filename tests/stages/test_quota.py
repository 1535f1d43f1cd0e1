"""Many workers under one quota, against a teacher that has limits and faults of its own."""

import asyncio
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import ray
from gate import Gate
from ray.exceptions import RayActorError

from fireact_ray.agent.quota.budget import Account, BudgetLimits
from fireact_ray.agent.quota.ledger import Outcome, QuotaLimits, Settlement
from fireact_ray.core.errors import BudgetExhausted, InputError
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.trajectories import read_trajectories
from fireact_ray.core.types import Usage
from fireact_ray.demo.teacher.brain import BrainConfig
from fireact_ray.demo.teacher.faults import Latency
from fireact_ray.demo.teacher.limiting import RateLimit
from fireact_ray.demo.teacher.server import ScriptedTeacher
from fireact_ray.recipe.teacher import TeacherAgents
from fireact_ray.stages.actors.quota import NAMESPACE, QuotaActor, left_behind, open_quota
from fireact_ray.stages.generate import generate
from fireact_ray.stages.shared_quota import shared_quota

from . import conftest

pytestmark = pytest.mark.ray

CALL = Usage(90, 10)
PRICES = 'as_of: 2026-11-01\nhosts: {"*": {scripted-teacher: {prompt: 1.0, completion: 4.0}}}\n'


def small_recipe(output_dir, teacher, *overrides):
    """24 questions by three methods, unless an override says otherwise."""
    return conftest.small_recipe(output_dir, teacher, "teacher.methods=[cot, react, reflexion]", *overrides)


def bill(teacher) -> float:
    """What the teacher's provider would ask for, by PRICES."""
    stats = teacher.stats()
    return (stats["prompt_tokens"] * 1.0 + stats["completion_tokens"] * 4.0) / 1e6


def n_replies(recipe) -> int:
    return sum(len(t.steps) for t in read_trajectories(Folder(recipe.run_dir) / "trajectories"))


# The teacher takes 20 requests a second, and 40 at once. A second's 20 the workers may lease at once, and of those that
# they leased before another 20 can be under way (16 slots, and 2 more leases a worker): however long a busy machine
# holds either of them up, no more than 40 come at once.
RATE = 1200
LIMITED = {"latency": Latency(median_s=0.1, sigma=0.5), "rate_limit": RateLimit(RATE, burst_s=2.0)}
TWO_WORKERS = ("generate.n_questions=30", "generate.concurrency=16", "generate.workers=2", "teacher.methods=[react]")


def test_two_workers_together_keep_to_the_rate_and_meet_no_429(tmp_path, local_ray):
    with ScriptedTeacher(BrainConfig(seed=0), **LIMITED) as teacher:
        recipe = small_recipe(tmp_path, teacher, *TWO_WORKERS, f"teacher.quota.requests_per_minute={RATE}")
        generate(recipe)
    assert n_replies(recipe) > 80
    assert teacher.stats()["calls"] == {"200": n_replies(recipe)}


def test_a_spent_budget_stops_the_run_and_a_higher_one_goes_on_without_paying_twice(tmp_path, local_ray):
    (tmp_path / "prices.yaml").write_text(PRICES)
    priced = f"teacher.quota.prices={tmp_path / 'prices.yaml'}"
    with ScriptedTeacher(BrainConfig(seed=0)) as teacher:
        cap = 0.03
        with pytest.raises(BudgetExhausted, match=r"generate\.budget\.max_cost_usd = 0\.03: \$0\.0"):
            generate(small_recipe(tmp_path, teacher, priced, f"generate.budget.max_cost_usd={cap}"))
        assert 0.8 * cap < bill(teacher) <= cap

        with pytest.raises(BudgetExhausted):  # a cheaper call may still fit, but the cap holds over both sessions
            generate(small_recipe(tmp_path, teacher, priced, f"generate.budget.max_cost_usd={cap}"))
        assert bill(teacher) <= cap

        recipe = small_recipe(tmp_path, teacher, priced, "generate.budget.max_cost_usd=10")
        rows = read_trajectories(generate(recipe))
    assert len(rows) == 72
    assert teacher.stats()["calls"] == {"200": sum(len(t.steps) for t in rows)}
    assert sum(t.cost_usd for t in rows) == pytest.approx(bill(teacher))


def test_a_budget_in_dollars_for_a_model_without_a_price_is_refused_before_anything_is_written(tmp_path, teacher):
    recipe = small_recipe(tmp_path, teacher, "generate.budget.max_cost_usd=1")
    with pytest.raises(InputError, match="needs a price"):
        generate(recipe)
    assert not (tmp_path / recipe.name).exists()


def test_the_quota_actor_may_die_and_the_run_goes_on_within_its_budget(tmp_path, local_ray):
    gate = Gate(Latency(median_s=0.1), [40])
    with ScriptedTeacher(BrainConfig(seed=0), latency=gate) as teacher:
        recipe = small_recipe(
            tmp_path, teacher, "teacher.quota.max_concurrency=8", "generate.budget.max_calls=100", "generate.workers=2"
        )
        killed = threading.Event()

        def kill_quota() -> None:
            with gate.held(killed.is_set):
                name = f"quota:127.0.0.1:{teacher.port}/v1:{teacher.model_name}"
                ray.kill(ray.get_actor(name, namespace=NAMESPACE), no_restart=False)
                killed.set()

        threading.Thread(target=kill_quota, daemon=True).start()
        with pytest.raises(BudgetExhausted, match="max_calls = 100"):
            generate(recipe)
        assert killed.is_set()
        assert 100 <= teacher.stats()["calls"]["200"] <= 100 + 8

        higher = small_recipe(tmp_path, teacher, "generate.budget.max_calls=1000")
        rows = read_trajectories(generate(higher))
        assert len(rows) == 72
        assert teacher.stats()["calls"]["200"] <= sum(len(t.steps) for t in rows) + 8


async def test_a_caller_that_goes_while_it_waits_takes_no_slot_with_it(local_ray):
    limits, account = QuotaLimits(max_concurrency=1), Account("run", started_at=time.time())
    with open_quota("quota:going", limits, account) as quota:
        held = await quota.lease(CALL)
        going = asyncio.create_task(quota.lease(CALL))
        next_one = asyncio.create_task(quota.lease(CALL))
        await asyncio.sleep(0.1)
        going.cancel()
        await quota.settle(Settlement(held, Outcome.DONE, CALL))
        await next_one
        await quota.close()


def kill(actor) -> None:
    """A process does not die at once, and until then it answers."""
    pid = ray.get(actor.__ray_call__.remote(lambda _: os.getpid()))
    ray.kill(actor, no_restart=False)
    while Path(f"/proc/{pid}").exists():
        time.sleep(0.02)


async def test_a_reply_is_paid_once_if_the_actor_dies_before_it_is_settled(local_ray):
    limits, account = QuotaLimits(), Account("run", BudgetLimits(max_calls=2), started_at=time.time())
    with open_quota("quota:dying", limits, account) as quota:
        first = await quota.lease(CALL)
        kill(quota.actor())
        for _ in range(2):  # once more, as after an answer that was lost on its way
            await quota.settle(Settlement(first, Outcome.DONE, CALL))
        second = await quota.lease(CALL)
        await quota.settle(Settlement(second, Outcome.DONE, CALL))
        with pytest.raises(BudgetExhausted, match="max_calls = 2: 2 calls are paid"):
            await quota.lease(CALL)
        await quota.close()


def test_two_workers_learn_the_rate_of_a_provider_together(tmp_path, local_ray):
    with ScriptedTeacher(BrainConfig(seed=0), **LIMITED) as teacher:
        recipe = small_recipe(tmp_path, teacher, *TWO_WORKERS)
        generate(recipe)
    assert n_replies(recipe) > 80
    assert teacher.stats()["calls"] == {"200": n_replies(recipe)}


async def test_a_run_folder_may_be_remote(teacher, local_ray):
    recipe = conftest.small_recipe("mock:///runs", teacher)  # pyarrow's file system for tests, empty in every process
    with shared_quota(TeacherAgents(recipe)) as builder:
        await builder.quota.lease(CALL)
        await builder.quota.close()


def test_runs_whose_drivers_died_are_left_behind_and_no_others():
    jobs = {"a": "01", "b": "02", "c": "02", "unwatched": ""}
    assert left_behind(jobs, {"02", "03"}) == ["b", "c"]
    assert left_behind(jobs, set()) == []


def test_a_quota_ends_with_the_last_run_that_uses_it_also_where_its_driver_is_killed(local_ray):
    """Two drivers share it: one that is killed, and this one."""
    name, limits = "quota:killed", QuotaLimits()
    options = {"name": name, "namespace": NAMESPACE, "lifetime": "detached", "num_cpus": 0}
    ray.remote(QuotaActor).options(**options).remote(limits, 0.2)
    driver = (
        "import ray, time; from fireact_ray.stages.actors.quota import open_quota\n"
        "from fireact_ray.agent.quota.budget import Account; from fireact_ray.agent.quota.ledger import QuotaLimits\n"
        f"ray.init({ray.get_runtime_context().gcs_address!r}, log_to_driver=False)\n"
        "account = Account('killed', job=ray.get_runtime_context().get_job_id())\n"
        f"with open_quota({name!r}, QuotaLimits(), account): print('open', flush=True); time.sleep(600)"
    )
    process = subprocess.Popen([sys.executable, "-c", driver], stdout=subprocess.PIPE, text=True)
    try:
        assert any(line == "open\n" for line in process.stdout)
        actor = ray.get_actor(name, NAMESPACE)
        account = Account("mine", job=ray.get_runtime_context().get_job_id())
        ray.get(actor.open.remote(account, limits))
        process.kill()
        process.wait()
        while ray.get(actor.close.remote("nobody")).n_others > 1:
            time.sleep(0.1)
        assert ray.get(actor.close.remote("nobody")).n_others == 1, "the living driver's run stays"
        ray.get(actor.close.remote("mine"))
        with pytest.raises(RayActorError):
            while True:
                ray.get(actor.close.remote("nobody"))
                time.sleep(0.1)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
