"""POST /retrieve, with the request of Search-R1's own client; and read again by our own."""

import asyncio
import json

import pytest
from fakes import DictBackend
from served import MODEL, EndlessModel, by, called, client, sending, settings

from fireact_ray.agent.tools.web.retrieve import Retrieve
from fireact_ray.core.errors import ToolDenied, ToolError
from fireact_ray.core.types import Hit
from fireact_ray.serving.app import build_app


class TitledBackend(DictBackend):
    async def search(self, query, k):
        if query == "down":
            raise ToolError("secret")
        if query == "denied":
            raise ToolDenied("secret")
        if query == "long":
            return [Hit("T", "x" * (9 << 20))]
        self.queries.append(query)
        return [Hit(f"T{i}", f"{query} {i}", 1.0 - i / 10) for i in range(10)]


async def posted(**body):
    async with client(search=TitledBackend({})) as http:
        return await http.post("/retrieve", json=body)


async def test_one_list_per_query_in_their_order():
    reply = await posted(queries=["a", "b"], topk=2, return_scores=True)
    assert reply.json() == {
        "result": [
            [
                {"document": {"contents": '"T0"\na 0'}, "score": 1.0},
                {"document": {"contents": '"T1"\na 1'}, "score": 0.9},
            ],
            [
                {"document": {"contents": '"T0"\nb 0'}, "score": 1.0},
                {"document": {"contents": '"T1"\nb 1'}, "score": 0.9},
            ],
        ]
    }


async def test_without_scores_a_hit_is_its_document_and_three_are_enough():
    reply = await posted(queries=["a"])
    assert reply.json()["result"][0] == [{"contents": f'"T{i}"\na {i}'} for i in range(3)]


async def test_our_own_client_reads_it_back():
    reply = await posted(queries=["a"], topk=1, return_scores=True)
    assert Retrieve("http://x").hits(reply.json()) == [Hit("T0", "a 0", 1.0)]


async def test_a_query_is_one_line_and_an_empty_one_finds_nothing():
    reply = await posted(queries=[" a\n\x00b ", "\u200b"], topk=1)
    assert reply.json() == {"result": [[{"contents": '"T0"\na b 0'}], []]}


async def test_a_search_that_is_down_is_a_503_without_its_words():
    reply = await posted(queries=["a", "down"])
    assert (reply.status_code, reply.json()["error"]["code"]) == (503, "search_unavailable")
    assert (reply.headers["retry-after"], "secret" in reply.text) == ("5", False)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "queries"),
        ({"queries": []}, "queries"),
        ({"queries": "a"}, "queries"),
        ({"queries": ["a"] * 1025}, "queries"),
        ({"queries": ["x" * 2001]}, "queries.0"),
        ({"queries": [1]}, "queries.0"),
        ({"queries": ["a"], "topk": 0}, "topk"),
        ({"queries": ["a"], "topk": 101}, "topk"),
        ({"queries": ["a"], "topk": "3"}, "topk"),
        ({"queries": ["a"] * 51, "topk": 100}, "topk"),
        ({"queries": ["a"], "url": "x"}, "url"),
    ],
)
async def test_bad_requests_are_named(body, param):
    reply = await posted(**body)
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, param)


async def test_without_a_search_there_is_no_such_route():
    async with client() as http:
        assert (await http.post("/retrieve", json={"queries": ["a"]})).status_code == 404


async def test_a_provider_that_refuses_its_key_is_not_to_be_asked_again_at_once():
    reply = await posted(queries=["denied"])
    assert (reply.status_code, reply.json()["error"]["code"]) == (503, "provider_denied")
    assert (reply.headers["x-should-retry"], "secret" in reply.text) == ("false", False)


async def test_what_is_found_has_a_bound():
    reply = await posted(queries=["long"])
    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "reply_too_large")


class StuckBackend(DictBackend):
    """Counts the searches under way, of which none ends unless one fails."""

    def __init__(self):
        super().__init__({})
        self.n_running, self.most = 0, 0
        self.begun = asyncio.Event()

    async def search(self, query, k):
        self.n_running += 1
        self.most = max(self.most, self.n_running)
        self.begun.set()
        try:
            if query == "down":
                raise ToolError("secret")
            await asyncio.Event().wait()
        finally:
            self.n_running -= 1
        raise AssertionError("nothing sets it")


def serving(backend, **limits):
    return build_app({MODEL: by(EndlessModel())}, settings(**limits), search=backend)


async def asked(app, body, left):
    sent = []

    async def send(message):
        sent.append(message)

    headers = {"content-type": "application/json", "content-length": "100"}
    await asyncio.wait_for(called(app, "/retrieve", headers, sending(body, left), send), 20)
    return sent


async def test_searches_of_one_request_run_a_few_at_once_and_end_with_the_one_that_fails():
    backend = StuckBackend()
    queries = [*(f"q{n}" for n in range(20)), "down", *(f"r{n}" for n in range(100))]
    sent = await asked(serving(backend), {"queries": queries}, asyncio.Event())
    assert (sent[0]["status"], backend.n_running) == (503, 0)
    assert backend.most <= 32


async def test_searches_end_with_their_time_and_with_their_caller():
    backend = StuckBackend()
    sent = await asked(serving(backend, max_seconds=0.05), {"queries": ["a"]}, asyncio.Event())
    assert (sent[0]["status"], json.loads(sent[1]["body"])["error"]["code"]) == (504, "timeout")
    assert backend.n_running == 0
    assert await asked(serving(backend), {"queries": ["a"]}, backend.begun) == []
    assert backend.n_running == 0


async def test_a_request_counts_as_one_question_of_its_key():
    backend, left = StuckBackend(), asyncio.Event()
    app = serving(backend, concurrency=1)
    first = asyncio.create_task(asked(app, {"queries": ["a"]}, left))
    await backend.begun.wait()
    sent = await asked(app, {"queries": ["b"]}, asyncio.Event())
    assert (sent[0]["status"], json.loads(sent[1]["body"])["error"]["code"]) == (429, "too_many_at_once")
    left.set()
    assert await first == []
