"""POST /retrieve, with the request of Search-R1's own client; and read again by our own."""

import pytest
from fakes import DictBackend
from served import client

from fireact_ray.agent.tools.web.retrieve import Retrieve
from fireact_ray.core.errors import ToolError
from fireact_ray.core.types import Hit


class TitledBackend(DictBackend):
    async def search(self, query, k):
        if query == "down":
            raise ToolError("secret")
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
        ({"queries": ["a"] * 257}, "queries"),
        ({"queries": ["x" * 2001]}, "queries.0"),
        ({"queries": [1]}, "queries.0"),
        ({"queries": ["a"], "topk": 0}, "topk"),
        ({"queries": ["a"], "topk": 101}, "topk"),
        ({"queries": ["a"], "url": "x"}, "url"),
    ],
)
async def test_bad_requests_are_named(body, param):
    reply = await posted(**body)
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, param)


async def test_without_a_search_there_is_no_such_route():
    async with client() as http:
        assert (await http.post("/retrieve", json={"queries": ["a"]})).status_code == 404
