"""Bodies: their length, time and kind; those that would hold a server up or break it are refused in words."""

import asyncio
import gzip
import json

import pytest
from served import CHAT, CHAT_URL, JSON, MODEL, RESPONSES, EndlessModel, by, called, chunks, client, settings

from fireact_ray.agent.models.base import Completion
from fireact_ray.core.types import Usage
from fireact_ray.serving.app import build_app

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


async def streamed_body(n):
    for _ in range(n):
        yield b" " * 1000


async def test_bodies_have_a_length_a_bound_and_a_kind():
    async with client(limits={"max_body_bytes": 10_000}) as http:

        async def status(**sent):
            reply = await http.post("/v1/chat/completions", **sent)
            assert reply.json()["error"]["message"]
            return reply.status_code

        assert await status(content=b"x" * 10_001, headers=JSON) == 413
        assert await status(content=streamed_body(20), headers=JSON) == 413
        assert await status(content=streamed_body(5), headers=JSON) == 400  # read, and no JSON
        assert await status(headers={**JSON, "content-length": "99999999999999999999999"}) == 413
        assert await status(headers={**JSON, "content-length": "-1"}) == 413
        assert await status(content=b"{}", headers={"content-type": "text/plain"}) == 415
        assert await status(content=b"{}") == 415
        assert await status(data={"model": "x"}) == 415
        packed = gzip.compress(json.dumps(CHAT).encode())
        assert await status(content=packed, headers={**JSON, "content-encoding": "gzip"}) == 415
        plain = {**JSON, "content-encoding": "identity"}
        assert (await http.post("/v1/chat/completions", json=CHAT, headers=plain)).status_code == 200
        for kind in ("application/json; charset=utf-8", "Application/JSON", "application/vnd.x+json"):
            reply = await http.post("/v1/chat/completions", content=json.dumps(CHAT), headers={"content-type": kind})
            assert reply.status_code == 200, kind
        reply = await http.request("PUT", "/v1/chat/completions", content=b"x" * 20_000)
        assert (reply.status_code, reply.headers["allow"]) == (405, "POST")
        assert reply.json()["error"]["message"] == "/v1/chat/completions takes POST, not PUT."
        reply = await http.post("/nowhere", content=b"x" * 20_000)
        assert (reply.status_code, "at /nowhere." in reply.json()["error"]["message"]) == (404, True)


async def sent_by(receive, headers, **limits):
    """What an application sends to a bare POST."""
    sent = []

    async def send(message):
        sent.append(message)

    app = build_app({MODEL: by(EndlessModel())}, settings(**limits))
    await asyncio.wait_for(called(app, "/v1/chat/completions", headers, receive, send), 20)
    return sent


async def test_a_body_without_a_length_is_a_411_and_one_that_never_comes_a_408():
    async def never():
        await asyncio.Event().wait()

    assert (await sent_by(never, JSON))[0]["status"] == 411
    sent = await sent_by(never, {**JSON, "content-length": "10"}, body_timeout_s=0.05)
    assert sent[0]["status"] == 408
    assert (b"connection", b"close") in sent[0]["headers"]


async def test_a_client_that_leaves_while_it_sends_is_told_nothing():
    async def gone():
        return {"type": "http.disconnect"}

    assert await sent_by(gone, {**JSON, "content-length": "10"}) == []


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
