"""Chat completions over ASGI: an answer whole and as a stream, within its limits, and what is told of a fault."""

import pytest
from fakes import FINISH, SEARCH, agent
from served import CHAT, CHAT_URL, MODEL, REASONING, EndlessModel, by, chunks, client, posted

from fireact_ray.agent.models.base import Completion
from fireact_ray.agent.quota.budget import Price
from fireact_ray.agent.rollout import Limits
from fireact_ray.core.errors import ModelRefused, ModelUnavailable, RateLimited, TokenLimit
from fireact_ray.core.types import Usage


async def test_content_is_the_answer_alone_and_steps_are_reasoning():
    body = (await posted(SEARCH, FINISH)).json()
    assert body["object"] == "chat.completion"
    assert body["choices"] == [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": "Ila Dun",
                "refusal": None,
                "annotations": [],
                "reasoning_content": REASONING,
            },
            "logprobs": None,
            "finish_reason": "stop",
        }
    ]
    assert body["usage"] == {
        "prompt_tokens": 20,
        "completion_tokens": 10,
        "total_tokens": 30,
        "searches": 1,
        "cost_usd": None,
    }
    assert (body["fireact"]["n_searches"], body["fireact"]["stop_reason"]) == (1, "finished")
    assert "trajectory" not in body["fireact"]


async def test_the_whole_trajectory_is_shown_on_request_and_a_known_price_is_a_cost():
    priced = by(EndlessModel(), price=Price(1.0, 2.0))
    body = (await posted(of=priced, fireact={"trajectory": True})).json()
    assert body["usage"]["cost_usd"] == pytest.approx(40e-6)
    trajectory = body["fireact"]["trajectory"]
    assert trajectory["trajectory_id"] == body["fireact"]["trajectory_id"]
    assert [step["action"]["tool"] for step in trajectory["steps"]] == ["search", "finish"]


async def test_a_stream_says_the_role_once_and_adds_up_to_the_whole_reply():
    reply = await posted(SEARCH, FINISH, stream=True, stream_options={"include_usage": True})
    assert reply.headers["content-type"].startswith("text/event-stream")
    assert reply.text.endswith("data: [DONE]\n\n")
    parts = chunks(reply.text)
    deltas = [part["choices"][0]["delta"] for part in parts if part["choices"]]
    assert [delta.get("role") for delta in deltas] == ["assistant", None, None, None, None]
    assert "".join(delta.get("reasoning_content", "") for delta in deltas) == REASONING
    assert "".join(delta.get("content", "") for delta in deltas) == "Ila Dun"
    assert [part["choices"][0]["finish_reason"] for part in parts if part["choices"]] == [None] * 4 + ["stop"]
    assert [part["usage"] is None for part in parts] == [True] * 5 + [False]
    assert (parts[-1]["choices"], parts[-1]["usage"]["total_tokens"]) == ([], 30)
    assert len({(part["id"], part["created"]) for part in parts}) == 1


async def test_a_stream_without_the_option_has_no_usage():
    parts = chunks((await posted(SEARCH, FINISH, stream=True)).text)
    assert not any("usage" in part for part in parts)
    assert all(part["choices"] for part in parts)


async def test_limits_end_a_run_as_length_and_say_which():
    reply = (await posted(SEARCH, of=agent(SEARCH, limits=Limits(max_steps=1)))).json()
    assert (reply["choices"][0]["message"]["content"], reply["choices"][0]["finish_reason"]) == ("", "length")
    assert reply["fireact"]["stop_reason"] == "max_steps"
    reply = (await posted(fireact={"max_steps": 1})).json()
    assert (reply["fireact"]["stop_reason"], reply["fireact"]["n_steps"]) == ("max_steps", 1)
    reply = (await posted(max_tokens=5)).json()
    assert (reply["fireact"]["stop_reason"], reply["fireact"]["limit"]) == ("max_tokens", "max_tokens")
    assert reply["usage"]["completion_tokens"] == 5
    priced = by(EndlessModel(), price=Price(1.0, 2.0))
    reply = (await posted(of=priced, fireact={"max_cost_usd": 1e-6})).json()
    assert (reply["fireact"]["stop_reason"], reply["fireact"]["limit"]) == ("max_tokens", "max_cost_usd")


async def test_the_servers_limits_hold_for_clients_that_want_more_or_say_nothing():
    limits = {"max_steps": 1, "max_tokens": 300, "max_temperature": 0.5}
    for wish in ({}, {"fireact": {"max_steps": 9}, "max_tokens": 9999}):
        model = EndlessModel()
        reply = (await posted(of=by(model), limits=limits, **wish)).json()
        assert reply["fireact"]["stop_reason"] == "max_steps"
        assert model.samplings[0].max_new_tokens == 300
    model = EndlessModel()
    reply = (await posted(of=by(model), limits=limits, temperature=1.5, seed=3)).json()
    assert (model.samplings[0].temperature, model.samplings[0].seed) == (0.5, 3)
    assert reply["fireact"]["ignored"] == {"temperature": "lowered to 0.5, the most that this server allows"}


async def test_wishes_are_part_of_the_trajectorys_id_and_their_absence_leaves_it():
    ids = {
        name: (await posted(**wish)).json()["fireact"]["trajectory_id"]
        for name, wish in {
            "plain": {},
            "enough tokens": {"max_tokens": 9999},
            "few tokens": {"max_tokens": 5},
            "fewer tokens": {"max_tokens": 4},
            "warm": {"temperature": 0.5},
        }.items()
    }
    assert ids["plain"] == ids["enough tokens"]
    assert len(set(ids.values())) == 4


class CutModel(EndlessModel):
    async def complete(self, turns, sampling):
        return Completion("Thought: I go on and on", "length", Usage(10, 512))


async def test_the_tokens_of_a_reply_that_was_cut_are_counted():
    reply = (await posted(of=by(CutModel()))).json()
    assert (reply["usage"]["prompt_tokens"], reply["usage"]["completion_tokens"]) == (10, 512)
    assert (reply["fireact"]["stop_reason"], reply["fireact"]["n_steps"]) == ("max_tokens", 0)


DOWN = "Thought: t\nAction: search[down]"
FAULTS = {
    "a model that is away": ((ModelUnavailable("m"),), 503, "server_error", "model_unavailable", "5"),
    "a provider's rate": ((RateLimited("m"),), 503, "server_error", "model_unavailable", "5"),
    "a model that refuses": ((ModelRefused("secret words"),), 502, "server_error", "model_failed", None),
    "a search that is down": ((DOWN, DOWN, DOWN), 503, "server_error", "search_unavailable", "5"),
    "a question that does not fit": (
        (TokenLimit("m"),),
        400,
        "invalid_request_error",
        "context_length_exceeded",
        None,
    ),
}


@pytest.mark.parametrize("case", FAULTS)
async def test_a_fault_is_an_error_with_its_status_and_an_event_in_a_stream(case):
    replies, status, kind, code, retry_after = FAULTS[case]
    reply = await posted(*replies)
    assert (reply.status_code, reply.headers.get("retry-after")) == (status, retry_after)
    assert reply.headers.get("x-should-retry") == ("false" if status == 502 else None)
    error = reply.json()["error"]
    assert (error["type"], error["code"]) == (kind, code)
    assert "secret" not in reply.text
    assert reply.json()["fireact"]["n_steps"] == len(replies) - 1 + (code == "search_unavailable")
    streamed = await posted(*replies, stream=True)
    assert streamed.status_code == 200
    last = chunks(streamed.text)[-1]
    assert last["error"] == error
    assert streamed.text.endswith("data: [DONE]\n\n")


async def test_a_context_that_fills_up_on_the_way_is_a_limit_with_what_was_found():
    reply = await posted(SEARCH, TokenLimit("m"))
    assert (reply.status_code, reply.json()["choices"][0]["finish_reason"]) == (200, "length")
    assert reply.json()["fireact"]["n_searches"] == 1


async def test_a_programming_error_shows_nothing_of_itself(caplog):
    class Broken(EndlessModel):
        async def complete(self, turns, sampling):
            raise KeyError("inner secret")

    async with client(of=by(Broken())) as http:
        reply = await http.post(CHAT_URL, json=CHAT)
        streamed = await http.post(CHAT_URL, json={**CHAT, "stream": True})
    assert (reply.status_code, reply.json()["error"]["code"]) == (500, "internal_error")
    assert reply.headers["x-request-id"] in reply.json()["error"]["message"]
    assert chunks(streamed.text)[-1]["error"]["code"] == "internal_error"
    assert "secret" not in reply.text + streamed.text
    assert reply.headers["x-request-id"] in caplog.text


async def test_models_have_a_fixed_date_and_can_be_looked_up():
    async with client(limits={"created": {MODEL: 1700000000}}) as http:
        listed = (await http.get("/v1/models")).json()["data"]
        assert [(card["id"], card["object"], card["created"]) for card in listed] == [(MODEL, "model", 1700000000)]
        for path in ("fireact/x", "fireact%2Fx"):
            assert (await http.get(f"/v1/models/{path}")).json() == listed[0]
        missing = await http.get("/v1/models/gpt")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "model_not_found")
