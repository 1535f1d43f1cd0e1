"""The Responses protocol over ASGI: items, events, faults."""

import asyncio

import pytest
from fakes import FINISH, SEARCH, agent, question
from served import EndlessModel, by, chunks, client, respond

from fireact_ray.agent.quota.budget import Price
from fireact_ray.agent.rollout import Limits
from fireact_ray.agent.tools.search import SearchTool
from fireact_ray.core.errors import ModelUnavailable, TokenLimit
from fireact_ray.serving import runs
from fireact_ray.serving.wishes import Allowance

DOWN = "Thought: t\nAction: search[down]"


# What Open Responses (2026-04-24) requires of a response object.
REQUIRED = {
    "id", "object", "created_at", "completed_at", "status", "incomplete_details", "model", "previous_response_id",
    "instructions", "output", "error", "tools", "tool_choice", "truncation", "parallel_tool_calls", "text", "top_p",
    "presence_penalty", "frequency_penalty", "top_logprobs", "temperature", "reasoning", "user", "usage",
    "max_output_tokens", "max_tool_calls", "store", "background", "service_tier", "metadata", "safety_identifier",
    "prompt_cache_key",
}  # fmt: skip


async def test_an_item_per_thought_and_search_then_the_message():
    body = (await respond(SEARCH, FINISH, metadata={"a": "b"}, user="u")).json()
    assert set(body) >= REQUIRED
    assert (body["object"], body["status"], body["error"], body["user"]) == ("response", "completed", None, "u")
    assert [item["type"] for item in body["output"]] == ["reasoning", "file_search_call", "reasoning", "message"]
    thought, search, last, message = body["output"]
    assert thought["summary"] == [{"type": "summary_text", "text": "I need the author."}]
    assert search["queries"] == ["The Road to Zem author"]
    assert search["results"] == [
        {
            "file_id": "",
            "filename": "",
            "score": 1.0,  # a number: the AI SDK refuses the whole reply for a null
            "attributes": {},
            "vector_store_id": None,
            "text": "The Road to Zem is a novel by Ila Dun.",
        }
    ]
    assert search["fireact"] == {
        "step": 0,
        "action": {"tool": "search", "argument": "The Road to Zem author"},
        "observation": {"text": "The Road to Zem is a novel by Ila Dun.", "status": "ok"},
        "model_seconds": pytest.approx(0, abs=1),
        "tool_seconds": pytest.approx(0, abs=1),
        "usage": {"prompt_tokens": 10, "completion_tokens": 5},
        "cost_usd": None,
    }
    assert (last["fireact"]["step"], last["fireact"]["action"]["tool"]) == (1, "finish")
    assert message["content"] == [{"type": "output_text", "text": "Ila Dun", "annotations": [], "logprobs": []}]
    assert {item["status"] for item in body["output"]} == {"completed"}
    assert body["usage"] == {
        "input_tokens": 20,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": 10,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 30,
        "searches": 1,
        "cost_usd": None,
    }


EVENTS = [
    "response.created",
    "response.in_progress",
    *(THOUGHT := [
        "response.output_item.added",
        "response.reasoning_summary_part.added",
        "response.reasoning_summary_text.delta",
        "response.reasoning_summary_text.done",
        "response.reasoning_summary_part.done",
        "response.output_item.done",
    ]),
    "response.output_item.added",
    "response.file_search_call.in_progress",
    "response.file_search_call.searching",
    "response.file_search_call.completed",
    "response.output_item.done",
    *THOUGHT,
    "response.output_item.added",
    "response.content_part.added",
    "response.output_text.delta",
    "response.output_text.done",
    "response.content_part.done",
    "response.output_item.done",
    "response.completed",
]  # fmt: skip


async def test_a_stream_is_typed_events_in_order_that_add_up_to_the_response():
    reply = await respond(SEARCH, FINISH, stream=True)
    assert reply.headers["content-type"].startswith("text/event-stream")
    events = chunks(reply.text)
    assert [event["type"] for event in events] == EVENTS
    names = [line.removeprefix("event: ") for line in reply.text.split("\n") if line.startswith("event: ")]
    assert names == EVENTS
    assert [event["sequence_number"] for event in events] == list(range(len(EVENTS)))
    done = [event for event in events if event["type"] == "response.output_item.done"]
    assert [event["output_index"] for event in done] == [0, 1, 2, 3]
    final = events[-1]["response"]
    assert final["output"] == [event["item"] for event in done]
    assert len({event["response"]["id"] for event in events if "response" in event}) == 1
    assert (events[0]["response"]["output"], events[0]["response"]["status"]) == ([], "in_progress")
    assert reply.text.endswith("data: [DONE]\n\n")


class SlowBackend:
    """Finds nothing, once it is let."""

    fingerprint = "slow"

    def __init__(self):
        self.found = asyncio.Event()

    async def search(self, query, k):
        await self.found.wait()
        return []

    async def close(self): ...


async def test_thought_and_search_are_told_before_the_search_has_answered():
    backend = SlowBackend()
    events = runs.events(
        by(agent(SEARCH, FINISH).model, tools={"search": SearchTool(backend)}), question(), Allowance()
    )
    first = await anext(events)
    assert (first.thought, first.action.argument) == ("I need the author.", "The Road to Zem author")
    backend.found.set()
    assert [type(event).__name__ async for event in events] == ["Step", "Replied", "Step", "Ended"]


async def test_a_step_without_a_usable_action_is_a_thought_with_what_came_of_it():
    body = (await respond("I am lost", "Thought: hm\nAction: dance[x]", FINISH)).json()
    assert [item["type"] for item in body["output"]] == ["reasoning", "reasoning", "reasoning", "message"]
    lost, unknown, _, _ = body["output"]
    assert (lost["fireact"]["action"], lost["fireact"]["observation"]["status"]) == (None, "error")
    assert unknown["fireact"]["action"] == {"tool": "dance", "argument": "x"}


async def test_a_search_that_fails_or_finds_nothing_says_so():
    body = (await respond(DOWN, "Thought: t\nAction: search[nothing]", FINISH)).json()
    searches = [item for item in body["output"] if item["type"] == "file_search_call"]
    assert [(item["status"], item["results"]) for item in searches] == [("failed", []), ("completed", [])]
    assert [item["fireact"]["observation"]["status"] for item in searches] == ["error", "empty"]


async def test_each_step_has_its_cost_and_their_sum_is_the_responses():
    body = (await respond(of=by(EndlessModel(), price=Price(1.0, 2.0)))).json()
    costs = [item["fireact"]["cost_usd"] for item in body["output"] if "fireact" in item]
    assert costs == pytest.approx([20e-6, 20e-6])
    assert body["usage"]["cost_usd"] == pytest.approx(40e-6)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_limit_is_an_incomplete_response(stream):
    reply = await respond(of=agent(SEARCH, limits=Limits(max_steps=1)), stream=stream)
    body = chunks(reply.text)[-1]["response"] if stream else reply.json()
    assert (body["status"], body["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
    assert body["fireact"]["stop_reason"] == "max_steps"  # which limit it was
    assert [item["type"] for item in body["output"]] == ["reasoning", "file_search_call"]
    reply = await respond(max_output_tokens=5, stream=stream)
    body = chunks(reply.text)[-1]["response"] if stream else reply.json()
    assert body["incomplete_details"] == {"reason": "max_output_tokens"}
    assert (body["max_output_tokens"], body["usage"]["output_tokens"]) == (5, 5)


@pytest.mark.parametrize(
    ("replies", "status", "code"),
    [
        ((SEARCH, ModelUnavailable("m")), 503, "model_unavailable"),
        ((DOWN, DOWN, DOWN), 503, "search_unavailable"),
        ((TokenLimit("m"),), 400, "context_length_exceeded"),
    ],
)
async def test_a_fault_is_an_error_and_in_a_stream_the_last_event(replies, status, code):
    reply = await respond(*replies)
    assert (reply.status_code, reply.json()["error"]["code"]) == (status, code)
    events = chunks((await respond(*replies, stream=True)).text)
    assert [event["type"] for event in events][:2] == ["response.created", "response.in_progress"]
    last = events[-1]
    assert (last["type"], last["response"]["status"]) == ("response.failed", "failed")
    assert last["response"]["error"] == {"code": code, "message": reply.json()["error"]["message"]}
    assert last["response"]["usage"]["searches"] == len(last["response"]["output"]) // 2


async def test_ordered_faults_strike_the_searches_where_the_server_allows_it():
    faults = {"faults": {"kind": "none", "probability": 1.0}}
    body = (await respond(SEARCH, FINISH, limits={"faults": True}, fireact=faults)).json()
    assert body["output"][1]["fireact"]["observation"] == {"text": "No results found.", "status": "empty"}
    async with client(limits={"faults": True}) as http:
        assert (await http.get("/v1/models")).json()["data"][0]["fireact"]["takes_faults"] is True
