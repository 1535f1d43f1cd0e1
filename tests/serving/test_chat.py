"""Chat completions over ASGI: what clients send, and what they get."""

import pytest
from fakes import FINISH, SEARCH, agent
from served import ASKED, CHAT, MODEL, REASONING, EndlessModel, by, chunks, client

from fireact_ray.agent.models.base import Completion
from fireact_ray.agent.quota.budget import Price
from fireact_ray.agent.rollout import Limits
from fireact_ray.core.errors import ModelRefused, ModelUnavailable, RateLimited, TokenLimit
from fireact_ray.core.types import Usage

URL = "/v1/chat/completions"
USER = {"role": "user", "content": ASKED}


async def posted(*replies, of=None, limits=None, **body):
    async with client(*replies, of=of, limits=limits) as http:
        return await http.post(URL, json={**CHAT, **body})


async def shown(messages, **limits):
    """The question that the model was given for these messages, and what the reply says of it."""
    model = EndlessModel()
    reply = await posted(of=by(model), limits=limits, messages=messages)
    assert reply.status_code == 200, reply.text
    return model.asked[0][-1].content, reply.json()["fireact"]["ignored"]


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


HISTORIES = {
    "our own reply as it came": [
        {"role": "assistant", "content": "1875", "reasoning_content": "Thought: t", "refusal": None, "annotations": []}
    ],
    "as an SDK dumps it": [
        {"role": "assistant", "content": "1875", "function_call": None, "tool_calls": None, "audio": None}
    ],
    "as other servers reason": [{"role": "assistant", "content": "1875", "reasoning": "r", "reasoning_details": []}],
    "a list of parts": [{"role": "assistant", "content": [{"type": "text", "text": "1875"}]}],
    "parts of the other protocol": [{"role": "assistant", "content": [{"type": "output_text", "text": "1875"}]}],
    "a name, a prefix, a cache mark": [
        {"role": "assistant", "content": "1875", "name": "a", "prefix": False, "cache_control": {"type": "ephemeral"}}
    ],
}


@pytest.mark.parametrize("case", HISTORIES)
async def test_an_earlier_reply_of_any_shape_is_history(case):
    messages = [{"role": "user", "content": "When was Fulwom born?"}, *HISTORIES[case], USER]
    assert await shown(messages) == (f"User: When was Fulwom born?\nAssistant: 1875\nQuestion: {ASKED}", {})


CALLS = [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
SILENT = {
    "null": [{"role": "assistant", "content": None}],
    "empty": [{"role": "assistant", "content": ""}],
    "no content at all": [{"role": "assistant"}],
    "no parts": [{"role": "assistant", "content": []}],
    "a call alone": [{"role": "assistant", "content": None, "tool_calls": CALLS}],
    "an empty system message": [{"role": "system", "content": ""}],
}


@pytest.mark.parametrize("case", SILENT)
async def test_a_turn_that_says_nothing_is_no_turn(case):
    assert await shown([*SILENT[case], USER]) == (ASKED, {})


async def test_what_a_clients_function_returned_is_told():
    messages = [
        {"role": "assistant", "content": None, "tool_calls": CALLS},
        {"role": "tool", "tool_call_id": "1", "content": "It is 7 o'clock."},
        {"role": "function", "name": "f", "content": [{"type": "text", "text": "It rains."}]},
        USER,
    ]
    assert await shown(messages) == (f"Tool: It is 7 o'clock.\nTool: It rains.\nQuestion: {ASKED}", {})


async def test_instructions_and_turns_behind_the_question_are_told_before_it():
    messages = [
        {"role": "system", "content": "Answer in French."},
        {"role": "developer", "content": "Be brief."},
        USER,
        {"role": "assistant", "content": "Somebody"},
    ]
    expected = f"Instructions: Answer in French.\nInstructions: Be brief.\nAssistant: Somebody\nQuestion: {ASKED}"
    assert await shown(messages) == (expected, {})


async def test_a_question_alone_is_given_as_it_was_in_training():
    assert await shown([{"role": "user", "content": [{"type": "text", "text": ASKED}]}]) == (ASKED, {})
    assert await shown([{"role": "user", "content": "Which is a fruit?\nA. Iron\nB. Apple"}]) == (
        "Which is a fruit?\nA. Iron\nB. Apple",
        {},
    )


async def test_a_server_that_takes_no_history_says_so():
    told, ignored = await shown([{"role": "system", "content": "x"}, USER], history=False)
    assert told == ASKED
    assert ignored == {"messages": "1 earlier turn: this agent is asked one question at a time"}


NOTHING = {
    "stream": None, "stream_options": None, "n": 1, "max_tokens": None, "max_completion_tokens": None,
    "temperature": None, "top_p": 1, "seed": None, "stop": [], "frequency_penalty": 0, "presence_penalty": 0.0,
    "logit_bias": {}, "logprobs": False, "top_logprobs": None, "tools": [], "tool_choice": "none", "functions": None,
    "function_call": None, "parallel_tool_calls": True, "response_format": {"type": "text"}, "user": "u",
    "reasoning_effort": None, "verbosity": "medium", "service_tier": "auto", "store": False, "metadata": {"a": "b"},
    "modalities": ["text"], "audio": None, "prediction": None, "web_search_options": None, "prompt_cache_key": "k",
    "safety_identifier": "s", "prompt_cache_retention": None, "fireact": None,
}  # fmt: skip


async def test_fields_that_ask_for_nothing_change_nothing():
    async with client(of=by(EndlessModel())) as http:
        plain = (await http.post(URL, json=CHAT)).json()["fireact"]
        for name, value in NOTHING.items():
            for given in (value, None):
                reply = await http.post(URL, json={**CHAT, name: given})
                assert reply.status_code == 200, (name, given, reply.text)
                assert {**reply.json()["fireact"], "seconds": 0} == {**plain, "seconds": 0}, name
        assert (await http.post(URL, json={**CHAT, **NOTHING})).status_code == 200


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("stop", ["\nObservation"]), ("top_p", 0.5), ("frequency_penalty", 1), ("presence_penalty", -0.5),
        ("reasoning_effort", "low"), ("verbosity", "high"), ("service_tier", "flex"), ("store", True),
        ("tools", [{"type": "function", "function": {"name": "f"}}]), ("functions", [{"name": "f"}]),
        ("web_search_options", {"search_context_size": "low"}), ("prediction", {"type": "content", "content": "x"}),
    ],
)  # fmt: skip
async def test_a_wish_that_only_shapes_the_wording_is_ignored_by_name(name, value):
    reply = await posted(**{name: value})
    assert reply.status_code == 200
    assert list(reply.json()["fireact"]["ignored"]) == [name]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n", 2), ("logprobs", True), ("top_logprobs", 3), ("logit_bias", {"1": 5}), ("modalities", ["audio"]),
        ("audio", {"voice": "x"}), ("response_format", {"type": "json_object"}), ("tool_choice", "required"),
        ("response_format", {"type": "json_schema", "json_schema": {"name": "a", "schema": {}}}),
        ("tool_choice", {"type": "function", "function": {"name": "f"}}), ("function_call", {"name": "f"}),
    ],
)  # fmt: skip
async def test_a_wish_whose_result_a_client_would_read_is_refused_by_name(name, value):
    reply = await posted(**{name: value})
    assert reply.status_code == 400
    error = reply.json()["error"]
    assert (error["type"], error["param"], error["code"]) == ("invalid_request_error", name, "unsupported_parameter")


@pytest.mark.parametrize("field", ["base_url", "api_base", "chat_template", "extra_headers", "top_k", "guided_json"])
async def test_a_client_cannot_steer_the_server(field):
    reply = await posted(**{field: "x"})
    assert reply.status_code == 400
    assert (reply.json()["error"]["param"], reply.json()["error"]["code"]) == (field, "unknown_parameter")
    reply = await posted(fireact={field: "x"})
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, f"fireact.{field}")


BAD = {
    "an unknown model": ({"model": "gpt"}, 404, "model"),
    "no messages": ({"messages": []}, 400, "messages"),
    "messages that are text": ({"messages": "hi"}, 400, "messages"),
    "no user message": ({"messages": [{"role": "system", "content": "x"}]}, 400, "messages"),
    "an empty question": ({"messages": [{"role": "user", "content": " \n\t"}]}, 400, "messages"),
    "a question of hidden characters": ({"messages": [{"role": "user", "content": "\u200b\x00"}]}, 400, "messages"),
    "a question that is null": ({"messages": [{"role": "user", "content": None}]}, 400, "messages"),
    "a long question": ({"messages": [{"role": "user", "content": "x" * 8001}]}, 400, "messages"),
    "a very long question": ({"messages": [{"role": "user", "content": "x" * 100_000}]}, 400, "messages"),
    "an unknown role": ({"messages": [{"role": "root", "content": "x"}]}, 400, "messages.0.role"),
    "an image": (
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://x"}}]}]},
        400,
        "messages.0.content.0",
    ),
    "a part without a type": ({"messages": [{"role": "user", "content": [7]}]}, 400, "messages.0.content.0"),
    "no tokens": ({"max_tokens": 0}, 400, "max_tokens"),
    "a hot temperature": ({"temperature": 99}, 400, "temperature"),
    "a temperature in words": ({"temperature": "x"}, 400, "temperature"),
    "a stream in words": ({"stream": "true"}, 400, "stream"),
    "faults where there are none": ({"fireact": {"faults": {"kind": "none"}}}, 400, "fireact.faults"),
}


@pytest.mark.parametrize("case", BAD)
async def test_bad_requests_are_named_and_cost_no_call(case):
    body, status, param = BAD[case]
    model = EndlessModel()
    reply = await posted(of=by(model), **body)
    assert reply.status_code == status, reply.text
    error = reply.json()["error"]
    assert (error["type"], error["param"]) == ("invalid_request_error", param)
    assert error["message"]
    assert model.asked == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "not JSON"),
        (b"", "field required"),
        (b"[]", "dictionary"),
        (b'{"model": "fireact/x", "messages": [{"role": "user", "content": "a \\ud800 b"}]}', "half a character"),
        (b'{"model": "fireact/x", "messages": [{"role": "user", "content": "a \xff b"}]}', "not UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"model": "fireact/x", "temperature": NaN, "messages": [{"role": "user", "content": "Who?"}]}', "finite"),
        (b'{"model": "fireact/x", "seed": 1' + b"0" * 5000 + b', "messages": []}', "too many digits"),
    ],
)
async def test_what_is_no_usable_json_is_a_400(content, said):
    async with client() as http:
        reply = await http.post(URL, content=content, headers={"content-type": "application/json"})
    assert reply.status_code == 400, reply.text
    assert said in reply.json()["error"]["message"]


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
        reply = await http.post(URL, json=CHAT)
        streamed = await http.post(URL, json={**CHAT, "stream": True})
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
