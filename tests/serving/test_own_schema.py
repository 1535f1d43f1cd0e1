"""The API by its own schema: whatever is sent, no reply is a fault of ours, and a refusal is as it is told."""

import asyncio
import json

import pytest
from fakes import TEXTS, DictBackend
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from schemas import values_of
from served import ASKED, MODEL, EndlessModel, by, called, client, sending, settings

from fireact_ray.serving.app import build_app
from fireact_ray.serving.keys import Keys

LIMITS = {"faults": True, "max_seconds": 20.0}


async def told():
    async with client(search=DictBackend(TEXTS)) as http:
        return (await http.get("/openapi.json")).json()


SCHEMA = asyncio.run(told())
POSTS = {path: one["post"] for path, one in SCHEMA["paths"].items() if "post" in one}
BODIES = {
    path: values_of(one["requestBody"]["content"]["application/json"]["schema"], SCHEMA) for path, one in POSTS.items()
}
PLAIN = {
    "/v1/chat/completions": {"model": MODEL, "messages": [{"role": "user", "content": ASKED}]},
    "/v1/responses": {"model": MODEL, "input": ASKED},
    "/retrieve": {"queries": ["x"]},
}

pytestmark = pytest.mark.slow


async def answered(path, body):
    """The reply to it, whole."""
    content = json.dumps(body).encode()
    headers = {"content-type": "application/json"}
    async with client(of=by(EndlessModel()), limits=LIMITS, search=DictBackend(TEXTS)) as http:
        return await http.post(path, content=content, headers=headers)


def test_every_post_of_the_schema_is_tried_and_takes_what_is_plain():
    assert set(POSTS) == set(PLAIN)
    for path, body in PLAIN.items():
        assert asyncio.run(answered(path, body)).status_code == 200


@given(st.sampled_from(sorted(POSTS)).flatmap(lambda path: st.tuples(st.just(path), BODIES[path], st.booleans())))
def test_no_body_is_answered_by_a_fault(drawn):
    path, body, is_known = drawn
    if is_known and isinstance(body, dict):
        body = {**body, **PLAIN[path]}  # else most requests end at the first look
    reply = asyncio.run(answered(path, body))
    assert reply.status_code < 500, (path, body, reply.text)
    if reply.status_code >= 400:
        said = reply.json()
        assert set(said["error"]) == {"message", "type", "param", "code"}
        refusal = SCHEMA["components"]["schemas"]["ErrorReply"]
        Draft202012Validator({**refusal, "components": SCHEMA["components"]}).validate(said)


@given(st.lists(st.sampled_from([*list('{}[]:,"\\u0d8e1.-+ntf\x00é'), "null", "true", "NaN", "1e999"]), max_size=30))
def test_no_text_is_answered_by_a_fault(parts):
    async def status():
        async with client() as http:
            headers = {"content-type": "application/json"}
            return (await http.post("/v1/responses", content="".join(parts).encode(), headers=headers)).status_code

    assert asyncio.run(status()) in (400, 404)


HEADERS = (
    "host",
    "origin",
    "authorization",
    "content-type",
    "content-length",
    "traceparent",
    "if-none-match",
    "accept",
)
VALUES = st.text(st.characters(codec="latin-1", exclude_characters="\r\n"), max_size=40) | st.sampled_from(
    [
        "http://[",
        "http://[::1",
        "null",
        "Bearer",
        "Bearer \xff",
        "+5",
        "0x5",
        "²",
        "1e3",
        "-1",
        "9" * 5000,
        "*/*",
        "[",
        "::",
    ]
)


@given(
    st.dictionaries(st.sampled_from(HEADERS), VALUES),
    st.sampled_from(["/", "/healthz", "/v1/models", "/v1/chat/completions"]),
    st.booleans(),
)
def test_no_header_is_answered_by_a_fault(headers, path, has_keys):
    async def status():
        keys = Keys.of({"a": "fr-0123456789"}) if has_keys else None
        app = build_app({MODEL: by(EndlessModel())}, settings(body_timeout_s=0.01), keys)
        sent = []

        async def send(message):
            sent.append(message)

        await called(app, path, headers, sending({}, asyncio.Event()), send)
        return sent[0]["status"]

    assert asyncio.run(status()) < 500
