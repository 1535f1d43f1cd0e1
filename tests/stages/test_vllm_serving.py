"""A server whose engine is vLLM: a base and two adapters of it are three agents over one engine, in two replicas of it.

`make test-vllm` has the environment. With FIREACT_VLLM_PYTHON set to its interpreter, these tests run in ours, too, and
only the engine replicas run there.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal

import pytest

pytest.importorskip(
    "ray" if "FIREACT_VLLM_PYTHON" in os.environ else "vllm",
    reason="vLLM has an environment of its own: make test-vllm",
)

import httpx
import psutil
from commands import started_here, until
from nano_adapters import write_adapter

from fireact_ray.core.errors import InputError
from fireact_ray.core.types import Question
from fireact_ray.recipe.loader import load_recipe
from fireact_ray.recipe.search import open_backend
from fireact_ray.recipe.student import StudentAgents
from fireact_ray.stages.application import served_systems
from fireact_ray.stages.serve import serving
from fireact_ray.stages.serve_progress import ready

pytestmark = pytest.mark.vllm

QUESTION = "When was Welrel Brambram born?"
APART = "Who is older, Welrel Brambram or Fulwom Thesfer?"  # base and adapters each say something of their own
N_STEPS = 3
ALL_READY = "agent 1 of 1, engine 2 of 2, search 1 of 1"
START_S = 300.0  # of an engine, beside others
CORE = re.compile(r"^VLLM::EngineCore|multiprocessing\.spawn import spawn_main")


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    adapters = [write_adapter(folder / name, seed) for seed, name in enumerate("ab")]
    systems = ", ".join(f"{{kind: model, name: {one.name}, path: {one}, few_shot: true}}" for one in adapters)
    python = os.environ.get("FIREACT_VLLM_PYTHON")
    vllm = f"{{kv_cache_gib: 0.25, python: {python or 'null'}}}"
    engine = f"{{kind: vllm, min_replicas: 2, vllm: {vllm}}}"
    settings = [f"output_dir={folder}", "serve.port=0", f"serve.systems=[base, {systems}]", f"serve.engine={engine}"]
    limits = [f"student.limits.max_steps={N_STEPS}", "student.precision=fp32", "serve.request_timeout_s=240"]
    return load_recipe("demo", [*settings, *limits])


@pytest.fixture(scope="module")
def url(recipe, local_ray):
    with serving(recipe) as url:
        yield url


async def tried(url: str, *models: str, question: str = QUESTION) -> list[httpx.Response]:
    """It is asked of each of these, at once."""
    async with httpx.AsyncClient(base_url=url, timeout=300) as http:
        bodies = [{"model": model, "messages": [{"role": "user", "content": question}]} for model in models]
        return await asyncio.gather(*(http.post("/v1/chat/completions", json=body) for body in bodies))


async def asked(url: str, *models: str, question: str = QUESTION) -> list[dict]:
    replies = await tried(url, *models, question=question)
    assert [reply.status_code for reply in replies] == [200] * len(models), [reply.text for reply in replies]
    return [reply.json() for reply in replies]


def replicas() -> list[int]:
    return [one.pid for one in started_here() if one.title.startswith("ray::ServeReplica:fireact:engine")]


def cores(of: list[int]) -> list[int]:
    """Of these replicas: what they spawned, whose title vLLM mostly, but not always sets."""
    return [one.pid for one in started_here() if one.parent in of and CORE.search(one.title)]


def lives(pid: int) -> bool:
    """Whoever its parent is now."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def said(reply: dict) -> tuple:
    message = reply["choices"][0]["message"]
    return message["content"], message.get("reasoning_content"), reply["usage"]["completion_tokens"]


async def until_at_work(least: int) -> None:
    from ray import serve

    engines = serve.get_deployment_handle("engine", "fireact")
    for _ in range(1200):
        if sum(await engines.broadcast("at_work").results_async(timeout_s=30)) >= least:
            return
        await asyncio.sleep(0.02)
    raise AssertionError("no conversation has begun")


def test_what_vllm_says_where_it_cannot_start_is_all_that_is_told(recipe, local_ray):
    longer = recipe.student.model_copy(update={"max_context": 4096})
    one = recipe.serve.engine.model_copy(update={"min_replicas": 1})
    serve = recipe.serve.model_copy(update={"engine": one})
    with pytest.raises(InputError) as raised, serving(recipe.model_copy(update={"student": longer, "serve": serve})):
        raise AssertionError("it starts")
    told = r"vLLM cannot start with \S+: User-specified max_model_len \(4096\) is greater than the derived .*"
    assert re.fullmatch(told, str(raised.value)), str(raised.value)


async def test_base_and_adapters_answer_over_one_engine_what_each_answers_by_the_torch_engine(recipe, url):
    systems = served_systems(recipe)
    assert [system.engine for system in systems] == ["engine"] * 3
    replies = await asked(url, *(system.model_id for system in systems), question=APART)
    assert (len(replicas()), len(cores(replicas()))) == (2, 2)
    for system, reply in zip(systems, replies, strict=True):
        assert isinstance(system.agents, StudentAgents)
        backend = open_backend(recipe.search)
        (agent,) = system.agents(backend).values()
        expected = await agent.run(Question("q", APART, APART, ()))
        await agent.close()
        assert said(reply)[2] == expected.usage.completion_tokens
        assert [step.thought in (said(reply)[1] or "") for step in expected.steps] == [True] * len(expected.steps)
    assert len({said(reply)[1] for reply in replies}) == 3  # adapters change what is said


async def test_a_replica_killed_among_questions_fails_none_changes_no_answer_and_takes_its_core_along(recipe, url):
    models = [system.model_id for system in served_systems(recipe)]
    before = [said(reply) for reply in await asked(url, *models)]
    running = asyncio.create_task(asked(url, *models, *models))
    await until_at_work(len(models))
    victim, _ = replicas()
    (core,) = cores([victim])
    os.kill(victim, signal.SIGKILL)
    assert [said(reply) for reply in await running] == before * 2
    assert [said(reply) for reply in await asked(url, models[0])] == before[:1]  # by the one that is left
    assert until(lambda: not lives(core), 30), "its core lives on without it"
    assert until(lambda: ready() == ALL_READY, START_S, every_s=0.5), ready()


async def test_where_all_cores_are_killed_no_question_hangs_and_the_next_is_answered_as_ever(recipe, url):
    models = [system.model_id for system in served_systems(recipe)]
    before = [said(reply) for reply in await asked(url, *models)]
    running = asyncio.create_task(tried(url, *models))
    await until_at_work(len(models))
    victims = replicas()
    for core in cores(victims):
        os.kill(core, signal.SIGKILL)
    for told in await running:
        assert (told.status_code, "retry-after" in told.headers) in ((200, False), (503, True)), told.text
    assert until(lambda: not any(map(lives, victims)), 60), "a replica goes on without its core"
    assert await in_the_end(url, models) == before


async def in_the_end(url: str, models: list[str]) -> list[tuple]:
    """As a client that comes again when it is told to."""
    for _ in range(100):
        (first,) = await tried(url, models[0])
        if first.status_code != 503:
            break
        await asyncio.sleep(int(first.headers["retry-after"]))
    return [said(reply) for reply in await asked(url, *models)]
