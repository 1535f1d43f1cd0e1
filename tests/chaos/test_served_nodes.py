"""A node of the cluster goes away in the middle of questions to served agents; two replicas of each part stand on
distinct nodes."""

import asyncio
import re
import sys

import httpx
import pytest
from commands import Command, until

from fireact_ray.stages.starting import EDGE_PATH, EDGE_VARIABLE

from .conftest import FULL
from .nodes import ENV, cluster

pytestmark = [
    pytest.mark.chaos,
    pytest.mark.ray,
    pytest.mark.torch,
    pytest.mark.skipif(not FULL, reason="takes minutes: every engine replica imports torch"),
]

MODEL = "fireact/demo-base"
QUESTIONS = [f"When was {name} born?" for name in ("Welrel Brambram", "Fulwom Thesfer", "Stouthfes Poulshail")]
N_TIMES = 2
PARTS = [f"serve.{part}={{min_replicas: 2, max_replicas_per_node: 1}}" for part in ("agent", "engine", "search")]


def test_a_lost_node_fails_no_question_and_changes_no_answer(chaos, tmp_path, monkeypatch):
    monkeypatch.setenv(EDGE_VARIABLE, EDGE_PATH)  # of the nodes
    # Serve has a proxy on each, and these have one address: clients are to meet the head's only, which stays.
    monkeypatch.setenv("RAY_SERVE_WORKER_PROXY_HTTP_PORT", "18218")
    with cluster(3) as (address, change):
        settings = [f"output_dir={tmp_path}", f"ray={{address: '{address}'}}", "serve.systems=[base]", *PARTS]
        given = [word for setting in settings for word in ("--set", setting)]
        command = Command([sys.executable, "-m", "fireact_ray.cli", "serve", "demo", *given], tmp_path, ENV)
        try:
            assert until(lambda: command.ended or "Ctrl-C stops" in command.said, 300), command.said
            (url,) = re.findall(r"(http://[\d.:]+)/v1", command.said)
            n_asked = asyncio.run(nodes_lost(url, change))
        finally:
            command.interrupt()
            command.wait(180)
    chaos.note(f"{N_TIMES} nodes with replicas of served agents lost, {n_asked} questions, all answered")


async def nodes_lost(url, change) -> int:
    is_over, answers = asyncio.Event(), {question: set() for question in QUESTIONS}
    n_asked = 0

    async def asks(http, question):
        nonlocal n_asked
        body = {"model": MODEL, "messages": [{"role": "user", "content": question}]}
        while not is_over.is_set():
            reply = await http.post(f"{url}/v1/chat/completions", json=body)
            assert reply.status_code == 200, reply.text
            answers[question].add(reply.json()["choices"][0]["message"]["content"])
            n_asked += 1

    async with httpx.AsyncClient(timeout=180) as http, asyncio.TaskGroup() as asking:
        for question in QUESTIONS:
            asking.create_task(asks(http, question))
        for _ in range(N_TIMES):
            await asyncio.sleep(5)  # in the middle of questions
            assert await asyncio.to_thread(change, "replace") > 0
            await asyncio.sleep(30)  # the replicas come back on the other nodes
        is_over.set()
    assert {len(found) for found in answers.values()} == {1}, answers
    return n_asked
