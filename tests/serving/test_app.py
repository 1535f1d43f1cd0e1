"""The HTTP face over ASGI, with a scripted model: no Ray, no socket."""

import json

import httpx
import pytest
from fakes import FINISH, SEARCH, agent

from fireact_ray.core.errors import ModelUnavailable
from fireact_ray.serving.app import MAX_BODY_BYTES, build_app

ASK = {"model": "fireact/x", "messages": [{"role": "user", "content": "Who wrote The Road to Zem?"}]}


def client(*replies, api_key=None) -> httpx.AsyncClient:
    app = build_app(agent(*replies), "fireact/x", api_key)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")


async def test_a_question_is_answered_in_openais_shape():
    async with client(SEARCH, FINISH) as http:
        body = (await http.post("/v1/chat/completions", json=ASK)).json()
    assert body["object"] == "chat.completion"
    assert body["choices"][0]["message"]["content"] == "Ila Dun"


async def test_models_lists_the_agent():
    async with client() as http:
        assert (await http.get("/v1/models")).json()["data"][0]["id"] == "fireact/x"


async def test_a_streamed_reply_ends_with_done():
    async with client(SEARCH, FINISH) as http:
        reply = await http.post("/v1/chat/completions", json={**ASK, "stream": True})
    assert reply.headers["content-type"].startswith("text/event-stream")
    assert reply.text.endswith("data: [DONE]\n\n")


async def test_the_step_stream_shows_each_step_then_the_trajectory():
    async with client(SEARCH, FINISH) as http:
        reply = await http.post("/v1/agent/run", json={"question": "Who wrote The Road to Zem?"})
    events = [event.split("\ndata: ") for event in reply.text.strip().split("\n\n")]
    assert [name for name, _ in events] == ["event: step", "event: step", "event: trajectory"]
    assert json.loads(events[2][1])["stop_reason"] == "finished"


BAD = {
    "unknown model": ({**ASK, "model": "gpt"}, 404, "model"),
    "no messages": ({**ASK, "messages": []}, 400, "messages"),
    "no user message": ({**ASK, "messages": [{"role": "system", "content": "x"}]}, 400, "messages"),
    "an empty question": ({**ASK, "messages": [{"role": "user", "content": "  "}]}, 400, "messages"),
    "a long question": ({**ASK, "messages": [{"role": "user", "content": "x" * 8001}]}, 400, "messages"),
    "two choices": ({**ASK, "n": 2}, 400, "n"),
    "a steering field": ({**ASK, "base_url": "http://evil"}, 400, "base_url"),
}


@pytest.mark.parametrize("case", BAD)
async def test_bad_requests_get_openais_error_shape(case):
    body, status, param = BAD[case]
    async with client() as http:
        reply = await http.post("/v1/chat/completions", json=body)
    assert reply.status_code == status
    error = reply.json()["error"]
    assert (error["type"], error["param"]) == ("invalid_request_error", param)
    assert error["message"]


async def test_what_is_no_json_is_a_400():
    async with client() as http:
        reply = await http.post("/v1/chat/completions", content=b"{", headers={"content-type": "application/json"})
    assert reply.status_code == 400
    assert "error" in reply.json()


async def test_a_body_over_the_limit_is_refused_unread():
    async with client() as http:
        reply = await http.post("/v1/agent/run", content=b"x" * (MAX_BODY_BYTES + 1))
    assert reply.status_code == 413


async def test_a_failing_model_is_a_502_and_an_event_in_a_stream():
    async with client(ModelUnavailable("m"), ModelUnavailable("m")) as http:
        assert (await http.post("/v1/chat/completions", json=ASK)).status_code == 502
        streamed = await http.post("/v1/chat/completions", json={**ASK, "stream": True})
    assert '"type": "server_error"' in streamed.text


@pytest.mark.parametrize("path", ["/v1/models", "/v1/chat/completions", "/v1/agent/run", "/openapi.json", "/nowhere"])
async def test_with_a_key_every_path_but_health_wants_it(path):
    async with client(api_key="s3cret") as http:
        for headers in ({}, {"Authorization": "Bearer wrong"}):
            assert (await http.post(path, json=ASK, headers=headers)).status_code == 401
        assert (await http.get("/health")).status_code == 200
        allowed = await http.get("/v1/models", headers={"Authorization": "Bearer s3cret"})
    assert allowed.status_code == 200
