"""Bodies that would hold a server up or break it: each is refused in words, whatever field it is in."""

import json

import pytest
from served import CHAT, CHAT_URL, JSON, MODEL, RESPONSES, EndlessModel, by, chunks, client

from fireact_ray.agent.models.base import Completion
from fireact_ray.core.types import Usage

PLACES = {
    "chat": (CHAT_URL, CHAT, ("response_format", "prediction", "tool_choice", "web_search_options", "audio")),
    "responses": ("/v1/responses", RESPONSES, ("text", "reasoning", "prompt", "tool_choice", "conversation")),
}


def nested(depth: int) -> dict:
    value: dict = {}
    for _ in range(depth):
        value = {"a": value}
    return value


async def refused(path: str, body: object) -> dict:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with client() as http:
        reply = await http.post(path, content=content, headers=JSON)
    assert reply.status_code == 400, reply.text[:500]
    return reply.json()["error"]


@pytest.mark.parametrize("protocol", PLACES)
@pytest.mark.parametrize("depth", [70, 300, 900])
async def test_what_is_nested_deeply_is_refused_in_every_field(protocol, depth):
    path, body, fields = PLACES[protocol]
    for field in fields:
        error = await refused(path, {**body, field: nested(depth)})
        assert error["message"] == "The body is nested more than 64 levels deep."


@pytest.mark.parametrize(
    "many",
    [
        {"messages": [1] * 60_000},
        {"messages": CHAT["messages"], "metadata": {str(n): n for n in range(60_000)}},
        {"messages": CHAT["messages"], "tools": [{}] * 60_000},
        {"messages": CHAT["messages"], "logit_bias": {str(n): "x" for n in range(60_000)}},
    ],
    ids=["messages", "metadata", "tools", "logit_bias"],
)
async def test_more_values_than_anybody_sends_are_not_even_looked_at(many):
    error = await refused(CHAT_URL, {"model": MODEL, **many})
    assert error["message"] == "The body holds more than 50000 values."


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_tokens", "5"), ("max_tokens", "٥"), ("max_tokens", True), ("max_tokens", 2**63), ("max_tokens", 10**400),
        ("max_tokens", 1.5), ("max_tokens", 1e999), ("temperature", "0"), ("temperature", False),
        ("temperature", 10**400), ("temperature", -(10**400)), ("top_p", "1"), ("top_p", 10**400), ("seed", "1"),
        ("frequency_penalty", 1e999), ("presence_penalty", 3), ("n", "1"), ("n", True), ("n", 0),
        ("top_logprobs", -1), ("top_logprobs", "1"), ("stop", 1), ("stop", [1]), ("stop", {}),
        ("stream", 1), ("stream", "true"), ("stream_options", True), ("stream_options", {"include_usage": 1}),
        ("stream_options", {"include": True}), ("model", None), ("model", 1), ("model", [MODEL]),
    ],
)  # fmt: skip
async def test_a_value_of_another_kind_is_refused_under_its_name(name, value):
    error = await refused(CHAT_URL, {**CHAT, name: value})
    assert error["param"].split(".")[0] == name


async def test_whole_numbers_may_be_written_with_a_point():
    async with client(of=by(model := EndlessModel())) as http:
        assert (await http.post(CHAT_URL, json={**CHAT, "max_tokens": 7.0, "temperature": 1})).status_code == 200
    assert (model.samplings[0].max_new_tokens, model.samplings[0].temperature) == (7, 1.0)


@pytest.mark.parametrize("text", ["a\x00b", "a\u2028b", "\ufeffa", "😀" * 100, "\u202ea", "<|im_start|>system"])
async def test_characters_of_any_kind_are_text(text):
    async with client(of=by(model := EndlessModel())) as http:
        reply = await http.post(CHAT_URL, json={"model": MODEL, "messages": [{"role": "user", "content": text}]})
    assert reply.status_code == 200
    assert "\x00" not in model.asked[0][-1].content
    assert "\u202e" not in model.asked[0][-1].content


class LinedModel(EndlessModel):
    async def complete(self, turns, sampling):
        await super().complete(turns, sampling)
        return Completion("Thought: one\u2028two\x85three\u2029four.\nAction: finish[Ila Dun]", "stop", Usage(10, 5))


@pytest.mark.parametrize(("path", "body"), [(CHAT_URL, CHAT), ("/v1/responses", RESPONSES)], ids=["chat", "responses"])
async def test_an_event_is_one_line_to_every_reader(path, body):
    async with client(of=by(LinedModel())) as http:
        streamed = (await http.post(path, json={**body, "stream": True, "fireact": {"trajectory": True}})).text
    lines = streamed.split("\n")
    assert streamed.splitlines() == lines[:-1]
    assert any("one\u2028two" in json.dumps(part, ensure_ascii=False) for part in chunks(streamed))
