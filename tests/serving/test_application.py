"""The whole server, as `serve run` starts it from a config file: one agent replica, two of engine and search, the nano.

Replicas are killed, updated and made fewer, clients go away and too many come; what is asked is answered or refused in
words.
"""

import asyncio
import json
import os
import re
import signal
import sys
from asyncio.subprocess import PIPE
from contextlib import asynccontextmanager

import httpx
import pytest
from commands import Command, started_here, until
from documents import blocks, commands

from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.trajectories import read_trajectories
from fireact_ray.recipe.loader import load_recipe
from fireact_ray.serving.held_port import held_port, url_of
from fireact_ray.stages.convert import convert
from fireact_ray.stages.serve_config import check_serve_config, to_serve_yaml
from fireact_ray.stages.serve_progress import ready

pytestmark = [pytest.mark.ray, pytest.mark.torch]

QUESTIONS = [f"When was {name} born?" for name in ("Welrel Brambram", "Fulwom Thesfer", "Stouthfes Poulshail")]
BASE, AGAIN = "fireact/demo-base", "fireact/demo-again"
LATE = "HTTP proxies not available after 60s"  # where the machine is busy; Serve goes on, and is joined
SYSTEMS = "[base, {kind: model, name: again, path: nano, few_shot: false}]"


@pytest.fixture(scope="module")
def server(tmp_path_factory, local_ray):
    """The folder of its recipe's runs, its URL, and the command that serves."""
    folder = tmp_path_factory.mktemp("served")
    with held_port("127.0.0.1", 0) as port:
        overrides = [
            *(f"output_dir={folder}", f"serve.systems={SYSTEMS}", f"serve.port={port}", "search.actors=2"),
            *("serve.max_ongoing_requests=4", "serve.max_queued_requests=4", "serve.engine={min_replicas: 2}"),
            "serve.keep_traces=true",
        ]
        file = folder / "serve.yaml"
        file.write_text(to_serve_yaml(load_recipe("demo", overrides), "demo", overrides))
        assert check_serve_config(file) == "fireact at /"
        url, command = url_of("127.0.0.1", port), [sys.executable, "-m", "ray.serve.scripts", "run", str(file)]
        serving = Command(command, folder, {})
        try:
            if until(lambda: LATE in serving.said or over(serving, url), 300) and LATE in serving.said:
                serving.wait(60)
                serving = Command(command, folder, {})
                until(lambda: over(serving, url), 240)
            assert is_ready(url), serving.said
            yield folder, url, serving
        finally:
            if not serving.ended:
                serving.interrupt()
                serving.wait(300)
                assert until(lambda: not replicas(""), 300), "Serve goes on in the Ray that other tests use, too"


def over(serving: Command, url: str) -> bool:
    return serving.ended or "failed with exception" in serving.said or is_ready(url)


def is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz").status_code == 200
    except httpx.TransportError:
        return False


@asynccontextmanager
async def client(server):
    async with httpx.AsyncClient(base_url=server[1], timeout=180, limits=httpx.Limits(max_connections=200)) as opened:
        yield opened


def asking(question: str, model: str = BASE, **fields) -> dict:
    return {"model": model, "messages": [{"role": "user", "content": question}], **fields}


async def answers(server, questions: list[str], **fields) -> list[httpx.Response]:
    async with client(server) as http:
        return await asyncio.gather(
            *(http.post("/v1/chat/completions", json=asking(question, **fields)) for question in questions)
        )


def replicas(part: str) -> list[int]:
    """Processes of a deployment's replicas, in the Ray that this process started."""
    return [process.pid for process in started_here() if process.title.startswith(f"ray::ServeReplica:fireact:{part}")]


async def at_work(part: str) -> int:
    from ray import serve

    found = await serve.get_deployment_handle(part, "fireact").broadcast("at_work").results_async(timeout_s=30)
    return sum(found)


async def until_at_work(part: str, least: int, most: int = 1000) -> None:
    for _ in range(1200):
        if least <= await at_work(part) <= most:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"{part}: {await at_work(part)} at work")


async def test_each_system_is_a_model_id_and_systems_of_one_model_share_its_engine(server):
    async with client(server) as http:
        listed = (await http.get("/v1/models")).json()["data"]
        health = (await http.get("/healthz")).json()
        assert (await http.get("/-/routes")).json()["error"]["message"] == "There is nothing at /-/routes."
        assert (await http.get("/-/healthz")).text == "success"
    assert sorted(model["id"] for model in listed) == [AGAIN, BASE]
    assert health == {"status": "ok", "search": "ok", "engine": "ok"}
    assert [len(replicas(part)) for part in ("agent", "engine", "search")] == [1, 2, 2]
    for model in (BASE, AGAIN):
        (reply,) = await answers(server, QUESTIONS[:1], model=model)
        assert (reply.status_code, reply.json()["model"]) == (200, model), reply.text


async def test_too_many_questions_are_refused_in_words_and_say_when_to_come_again(server):
    replies = await answers(server, QUESTIONS * 8)
    refused = [reply for reply in replies if reply.status_code != 200]
    assert 8 <= len(replies) - len(refused) < len(replies)
    assert {reply.status_code for reply in refused} == {429}
    assert {reply.json()["error"]["code"] for reply in refused} == {"server_busy"}
    assert all(int(reply.headers["retry-after"]) > 0 for reply in refused)
    await until_at_work("agent", 0, 0)
    await until_at_work("engine", 0, 0)


async def test_what_a_client_asked_ends_when_it_goes_away(server):
    asked = asyncio.create_task(answers(server, QUESTIONS))
    await until_at_work("engine", 3)
    asked.cancel()
    await asyncio.wait([asked])
    await until_at_work("agent", 0, 0)
    await until_at_work("engine", 0, 0)


async def test_killed_replicas_cost_no_question_change_no_answer_and_are_replaced(server):
    before = [reply.json()["choices"] for reply in await answers(server, QUESTIONS)]
    asked = asyncio.create_task(answers(server, QUESTIONS * 2))
    await until_at_work("engine", 4)
    for part in ("engine", "search"):
        os.kill(replicas(part)[0], signal.SIGKILL)
    after = await asked
    assert [reply.status_code for reply in after] == [200] * 6, [reply.text for reply in after]
    assert [reply.json()["choices"] for reply in after] == before * 2

    asked = asyncio.create_task(answers(server, QUESTIONS))
    streamed = asyncio.create_task(answers(server, QUESTIONS, stream=True))
    await until_at_work("agent", 6)
    os.kill(replicas("agent")[0], signal.SIGKILL)
    ends = [reply.text.rstrip().rsplit("data: ", 1)[1] for reply in await streamed]
    assert {json.loads(end)["error"]["code"] for end in ends if end != "[DONE]"} <= {"replica_lost"}
    assert [reply.json()["choices"] for reply in await asked] == before
    assert until(lambda: ready() == "agent 1 of 1, engine 2 of 2, search 2 of 2", 300), ready()
    await until_at_work("engine", 0, 0)


def as_here(text: str, url: str) -> str:
    """What a document shows, for the server of this test."""
    assert "http://127.0.0.1:8000" in text
    return text.replace("http://127.0.0.1:8000", url)


async def test_each_request_of_the_document_is_answered_as_it_is_written(server):
    for command in commands("serving.md", "curl"):
        asked = await asyncio.create_subprocess_shell(as_here(command, server[1]), stdout=PIPE, stderr=PIPE)
        said, _ = await asyncio.wait_for(asked.communicate(), 120)
        assert asked.returncode == 0, command
        assert said, command
        assert b'"error":{' not in said, (command, said)


@pytest.mark.parametrize("program", blocks("serving.md", "python"))
async def test_each_program_of_the_document_runs_as_it_is_written(server, capsys, program):
    pytest.importorskip(re.match(r"(?:import|from) (\w+)", program)[1])
    await asyncio.to_thread(exec, as_here(program, server[1]), {})
    assert capsys.readouterr().out.strip()


CHANGED = """
  deployments:
  - {name: agent, ray_actor_options: {num_cpus: 0.2}}
  - {name: engine, num_replicas: 1}
  - {name: search, num_replicas: 1}
"""


async def test_an_update_and_fewer_replicas_under_constant_load_fail_no_question(server):
    folder = server[0]
    (folder / "changed.yaml").write_text(f"{(folder / 'serve.yaml').read_text()}{CHANGED}")
    assert check_serve_config(folder / "changed.yaml") == "fireact at /"
    old, replies, is_over = replicas("agent"), [], asyncio.Event()

    async def asks(question):
        while not is_over.is_set():
            replies.extend(await answers(server, [question]))

    asking = [asyncio.create_task(asks(question)) for question in QUESTIONS]
    command = [sys.executable, "-m", "ray.serve.scripts", "run", "--non-blocking", str(folder / "changed.yaml")]
    update = Command(command, folder, {})
    assert await asyncio.to_thread(update.wait, 180) == 0, update.said
    is_changed = "agent 1 of 1, engine 1 of 1, search 1 of 1"
    assert await asyncio.to_thread(until, lambda: ready() == is_changed and not set(old) & set(replicas("agent")), 180)
    is_over.set()
    await asyncio.gather(*asking)
    assert {reply.status_code for reply in replies} == {200}, [reply.text for reply in replies]


async def test_a_server_about_to_end_takes_no_question_and_has_kept_what_it_was_asked_for_the_next_round(server):
    folder = server[0]
    await answers(server, QUESTIONS)
    from ray import serve

    await serve.get_deployment_handle("agent", "fireact").broadcast("close").results_async(timeout_s=60)
    (refused,) = await answers(server, QUESTIONS[:1])
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "2")
    kept = read_trajectories(Folder(str(folder)) / "demo" / "served" / "trajectories")
    assert {row.question.text for row in kept} == set(QUESTIONS)
    assert {row.question.task for row in kept} == {"almanac"}
    settings = ["convert.keep_unscored=true", "convert.drop=[]", "convert.kinds=null"]
    sources = f"convert.sources=['{folder}/demo/served']"
    dataset = convert(load_recipe("demo", [f"output_dir={folder}", sources, *settings]))
    assert dataset.read_json("manifest.json")["rows"] > 0
