"""Chat completions over ASGI: fields that ask for nothing, that are ignored by name, that are refused; bad requests."""

import pytest
from served import CHAT, CHAT_URL, EndlessModel, by, client, posted

NOTHING = {
    "stream": None, "stream_options": None, "n": 1, "max_tokens": None, "max_completion_tokens": None,
    "temperature": None, "top_p": 1, "seed": None, "stop": [], "frequency_penalty": 0, "presence_penalty": 0.0,
    "logit_bias": {}, "logprobs": False, "top_logprobs": None, "tools": [], "tool_choice": "none", "functions": None,
    "function_call": None, "parallel_tool_calls": True, "response_format": {"type": "text"}, "user": "u",
    "reasoning_effort": None, "verbosity": "medium", "service_tier": "auto", "store": False, "metadata": {"a": "b"},
    "modalities": ["text"], "audio": None, "prediction": None, "web_search_options": None, "prompt_cache_key": "k",
    "safety_identifier": "s", "prompt_cache_retention": None, "prompt_cache_options": {"mode": "implicit"},
    "moderation": None, "fireact": None,
}  # fmt: skip


async def test_fields_that_ask_for_nothing_change_nothing():
    async with client(of=by(EndlessModel())) as http:
        plain = (await http.post(CHAT_URL, json=CHAT)).json()["fireact"]
        for name, value in NOTHING.items():
            for given in (value, None):
                reply = await http.post(CHAT_URL, json={**CHAT, name: given})
                assert reply.status_code == 200, (name, given, reply.text)
                assert {**reply.json()["fireact"], "seconds": 0} == {**plain, "seconds": 0}, name
        assert (await http.post(CHAT_URL, json={**CHAT, **NOTHING})).status_code == 200


async def test_a_field_that_is_null_asks_for_nothing_also_where_it_is_not_known():
    assert (await posted(of_a_later_schema=None)).json()["fireact"]["ignored"] == {}
    assert (await posted(of_a_later_schema={})).json()["error"]["param"] == "of_a_later_schema"


@pytest.mark.parametrize(
    "choice",
    [
        "auto", "none", {"type": "auto"}, {"type": "allowed_tools", "mode": "auto", "tools": []},
        {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [{"type": "function"}]}},
    ],
)  # fmt: skip
async def test_a_function_that_may_be_called_is_not(choice):
    tools = [{"type": "function", "function": {"name": "f"}}]
    reply = await posted(tools=tools, tool_choice=choice)
    assert (reply.status_code, list(reply.json()["fireact"]["ignored"])) == (200, ["tools"])


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
        ("tool_choice", {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": []}}),
        ("moderation", {"model": "m"}),
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
        reply = await http.post(CHAT_URL, content=content, headers={"content-type": "application/json"})
    assert reply.status_code == 400, reply.text
    assert said in reply.json()["error"]["message"]
