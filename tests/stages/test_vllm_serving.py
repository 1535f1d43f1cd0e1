"""A server whose engine is vLLM: a base and two adapters of it are three agents over one engine replica.

`make test-vllm` has the environment. With FIREACT_VLLM_PYTHON set to its interpreter, these tests run in ours, too, and
only the engine replica runs there.
"""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

pytest.importorskip(
    "ray" if "FIREACT_VLLM_PYTHON" in os.environ else "vllm",
    reason="vLLM has an environment of its own: make test-vllm",
)

import httpx
from commands import started_here, until
from nano_adapters import write_adapter

from fireact_ray.core.types import Question
from fireact_ray.recipe.loader import load_recipe
from fireact_ray.recipe.search import open_backend
from fireact_ray.recipe.student import StudentAgents
from fireact_ray.stages.application import served_systems
from fireact_ray.stages.serve import serving

pytestmark = pytest.mark.vllm

QUESTION = "When was Welrel Brambram born?"
N_STEPS = 3


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    adapters = [write_adapter(folder / name, seed) for seed, name in enumerate("ab")]
    systems = ", ".join(f"{{kind: model, name: {one.name}, path: {one}, few_shot: true}}" for one in adapters)
    python = os.environ.get("FIREACT_VLLM_PYTHON")
    engine = f"{{kind: vllm, vllm: {{python: {python}}}}}" if python else "vllm"
    settings = [f"output_dir={folder}", "serve.port=0", f"serve.systems=[base, {systems}]", f"serve.engine={engine}"]
    limits = [f"student.limits.max_steps={N_STEPS}", "serve.request_timeout_s=240"]
    return load_recipe("demo", [*settings, *limits])


@pytest.fixture(scope="module")
def url(recipe, local_ray):
    with serving(recipe) as url:
        yield url


async def asked(url: str, *models: str) -> list[dict]:
    async with httpx.AsyncClient(base_url=url, timeout=300) as http:
        bodies = [{"model": model, "messages": [{"role": "user", "content": QUESTION}]} for model in models]
        replies = await asyncio.gather(*(http.post("/v1/chat/completions", json=body) for body in bodies))
    assert [reply.status_code for reply in replies] == [200] * len(models), [reply.text for reply in replies]
    return [reply.json() for reply in replies]


def titled(title: str) -> list[int]:
    return [process.pid for process in started_here() if process.title.startswith(title)]


def said(reply: dict) -> tuple:
    message = reply["choices"][0]["message"]
    return message["content"], message.get("reasoning_content"), reply["usage"]["completion_tokens"]


async def test_base_and_adapters_answer_over_one_engine_what_each_answers_by_the_torch_engine(recipe, url):
    systems = served_systems(recipe)
    assert [system.engine for system in systems] == ["engine"] * 3
    replies = await asked(url, *(system.model_id for system in systems))
    assert len(titled("ray::ServeReplica:fireact:engine")) == len(titled("VLLM::EngineCore")) == 1
    for system, reply in zip(systems, replies, strict=True):
        assert isinstance(system.agents, StudentAgents)
        backend = open_backend(recipe.search)
        (agent,) = system.agents(backend).values()
        expected = await agent.run(Question("q", QUESTION, QUESTION, ()))
        await agent.close()
        assert said(reply)[2] == expected.usage.completion_tokens
        assert [step.thought in (said(reply)[1] or "") for step in expected.steps] == [True] * len(expected.steps)
    assert len({said(reply)[1] for reply in replies}) > 1  # adapters change what is said


@pytest.mark.parametrize("victim", ["VLLM::EngineCore", "ray::ServeReplica:fireact:engine"])
async def test_a_killed_core_or_replica_is_replaced_leaves_nothing_behind_and_changes_no_answer(recipe, url, victim):
    models = [system.model_id for system in served_systems(recipe)]
    before = [said(reply) for reply in await asked(url, *models)]
    cores = titled("VLLM::EngineCore")
    os.kill(titled(victim)[0], signal.SIGKILL)
    assert until(lambda: not set(cores) & set(titled("VLLM::EngineCore")), 60), "its core lives on without it"
    assert until(lambda: len(titled("VLLM::EngineCore")) == 1, 240, every_s=0.5), "no new core"
    assert await again(url, models) == before


async def again(url: str, models: list[str]) -> list[tuple]:
    """Once a replica is ready: a conversation waits for one half a minute, which this machine may need longer for."""
    for _ in range(10):
        async with httpx.AsyncClient(base_url=url, timeout=60) as http:
            if (await http.get("/healthz")).status_code == 200:
                break
        await asyncio.sleep(1)
    return [said(reply) for reply in await asked(url, *models)]
