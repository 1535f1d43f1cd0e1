"""The client against a real HTTP server whose replies are scripted one by one."""

import asyncio
import pickle
import time
import traceback
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from aiohttp import web
from loopback import loopback

from fireact_ray.agent.models.base import Completion, Sampling
from fireact_ray.agent.models.metered import MeteredChat
from fireact_ray.agent.models.openai import OpenAIChat, token_limit_field
from fireact_ray.agent.models.retry import Retrying, RetryPolicy
from fireact_ray.agent.quota.gate import LocalQuota
from fireact_ray.agent.quota.ledger import QuotaLimits
from fireact_ray.agent.quota.rate_headers import RateNotice
from fireact_ray.core.errors import (
    MalformedReply,
    ModelDenied,
    ModelError,
    ModelRefused,
    ModelUnavailable,
    ModelUnknown,
    PromptFlagged,
    QuotaDenied,
    ReplyWithheld,
    TokenLimit,
    UnreadReply,
)
from fireact_ray.core.net.http import MAX_REPLY_BYTES
from fireact_ray.core.types import Turn, Usage
from fireact_ray.demo.teacher.faults import FaultRates
from fireact_ray.demo.teacher.malformed import SHAPES, content_type
from fireact_ray.demo.teacher.server import ScriptedTeacher

pytestmark = pytest.mark.slow

TURNS = (Turn("system", "s"), Turn("user", "q"))
FAST = RetryPolicy(max_attempts=3, first_delay_s=0.01, max_delay_s=0.02)


WHOLE = {
    "id": "1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9},
}


def reply(content="hello", finish="stop", **message) -> web.Response:
    choice = {"index": 0, "message": {"role": "assistant", "content": content, **message}, "finish_reason": finish}
    return web.json_response({**WHOLE, "choices": [choice]})


def error(status: int, code: str | None = None, **headers: str) -> web.Response:
    body = {"error": {"message": "key sk-SECRET is bad", "type": "t", "code": code}}
    return web.json_response(body, status=status, headers=headers)


async def stall(request: web.Request) -> web.StreamResponse:
    """Nothing comes after the first byte."""
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"{")
    await asyncio.Event().wait()
    return response


@asynccontextmanager
async def served(*answers, timeout_s=30.0, quota=None, policy=FAST):
    """A client, with quota and retries, of a server that gives these answers in order; what it was asked."""
    async with loopback(lambda n: answers[n]) as server:
        chat = OpenAIChat("m", base_url=f"{server.url}/v1", api_key="k", timeout_s=timeout_s)
        client = Retrying(MeteredChat(chat, quota or LocalQuota()), policy)
        try:
            yield client, server.asked
        finally:
            await client.close()


async def test_turns_sampling_and_usage_go_over_the_wire():
    async with served(reply()) as (client, requests):
        completion = await client.complete(TURNS, Sampling(0.7, 64, ("\nObservation:",), seed=3))
    assert replace(completion, latency_s=None) == Completion("hello", "stop", Usage(7, 2))
    assert [request["body"] for request in requests] == [
        {
            "model": "m",
            "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "q"}],
            "temperature": 0.7,
            "max_tokens": 64,
            "stop": ["\nObservation:"],
            "seed": 3,
        }
    ]


async def test_server_errors_and_resets_are_tried_again():
    async with served(error(500), "reset", reply()) as (client, requests):
        assert (await client.complete(TURNS, Sampling())).text == "hello"
    assert len(requests) == 3


async def test_attempts_are_bounded_and_the_failure_is_typed():
    async with served(error(503), error(503), error(503)) as (client, requests):
        with pytest.raises(ModelUnavailable, match=r"^m: HTTP 503 t: key \[redacted\] is bad \(after 3 attempts\)$"):
            await client.complete(TURNS, Sampling())
    assert len(requests) == 3


async def test_rate_limits_wait_as_told_and_use_up_no_attempt():
    limited = [error(429, **{"Retry-After": "0.1"}) for _ in range(2)]
    async with served(*limited, reply()) as (client, requests):
        started = time.monotonic()
        assert (await client.complete(TURNS, Sampling())).text == "hello"
    assert time.monotonic() - started >= 0.2
    assert len(requests) == 3


async def test_rate_limits_without_a_single_reply_stop_the_run_in_the_end():
    limited = [error(429, **{"Retry-After": "0.2"}) for _ in range(3)]
    async with served(*limited, quota=LocalQuota(QuotaLimits(patience_s=0.3))) as (client, requests):
        with pytest.raises(QuotaDenied, match=r"^m: HTTP 429 .*; no reply came in [\d.]+ s, and a run waits 0\.3 s"):
            await client.complete(TURNS, Sampling())
    assert len(requests) in (1, 2)  # a busy machine may come to the second one when the patience is over


async def test_what_the_headers_say_of_limits_comes_with_the_completion():
    said = reply()
    said.headers.update({"x-ratelimit-limit-requests": "60", "x-ratelimit-remaining-tokens": "149984"})
    async with served(said) as (client, _):
        completion = await client.inner.inner.complete(TURNS, Sampling())
    assert completion.notice == RateNotice(60.0, None, None, 149984.0)


@pytest.mark.parametrize(
    ("response", "raised"),
    [
        (error(401), ModelDenied),
        (error(402), ModelDenied),
        (error(403), ModelDenied),
        (error(429, "insufficient_quota"), ModelDenied),
        (error(400, "billing_hard_limit_reached"), ModelDenied),
        (error(404), ModelUnknown),
        (error(308, Location="/v2"), ModelUnknown),
        (error(400), ModelRefused),
        (error(413), ModelRefused),
        (error(422), ModelRefused),
        (error(400, "context_length_exceeded"), TokenLimit),
        (web.json_response({"error": {"code": 400, "type": "exceed_context_size_error"}}, status=400), TokenLimit),
        (error(400, "invalid_api_key"), ModelDenied),
        (error(403, "content_filter"), PromptFlagged),
        (error(400, "content_policy_violation"), PromptFlagged),
        (error(400, "model_not_found"), ModelUnknown),
        (web.Response(status=400, text="<html>api_key=sk-SECRET"), ModelRefused),
        (web.Response(status=400, body=b"\xff"), ModelRefused),
        (web.json_response({"error": "sk-SECRET"}, status=400), ModelRefused),
    ],
)
async def test_what_would_fail_again_is_asked_once_and_its_error_repeats_no_key(response, raised):
    async with served(response) as (client, requests):
        with pytest.raises(ModelError) as caught:
            await client.complete(TURNS, Sampling())
    assert (type(caught.value), len(requests)) == (raised, 1)
    assert f"HTTP {response.status}" in str(caught.value)
    assert "SECRET" not in "".join(traceback.format_exception(caught.value))
    assert caught.value.__context__ is None


@pytest.mark.parametrize("trouble", [error(408), error(409), error(500), error(529), "reset"])
async def test_what_may_be_otherwise_next_time_is_asked_for_again(trouble):
    async with served(trouble, reply()) as (client, requests):
        assert (await client.complete(TURNS, Sampling())).text == "hello"
    assert len(requests) == 2


async def test_a_reply_that_stalls_is_given_up_and_asked_for_again():
    """On a busy machine the good one may be late, too, and is asked for once more."""
    often = replace(FAST, max_attempts=20)
    async with served(stall, *(reply() for _ in range(19)), timeout_s=0.3, policy=often) as (client, requests):
        assert (await client.complete(TURNS, Sampling())).text == "hello"
    assert len(requests) >= 2


async def test_an_account_that_is_used_up_is_named_as_such():
    async with served(error(429, "insufficient_quota")) as (client, _):
        with pytest.raises(ModelDenied, match=r"^m: HTTP 429 insufficient_quota: key \[redacted\] is bad$"):
            await client.complete(TURNS, Sampling())


async def test_a_model_that_does_not_exist_stops_the_run_as_bad_input():
    async with served(error(404)) as (client, _):
        with pytest.raises(ModelUnknown, match=r"Model .m.: not found at 127\.0\.0\.1") as caught:
            await client.complete(TURNS, Sampling())
    assert caught.value.exit_code == 2


# What the client must make of each of the scripted teacher's malformed replies.
OUTCOMES = {
    "torn": (MalformedReply, "m: the reply is no JSON object (after 3 attempts)"),
    "empty": (MalformedReply, "m: the reply is no JSON object (after 3 attempts)"),
    "html": (
        MalformedReply,
        "m: the address answers with a web page titled '502 Bad Gateway'; is teacher.model.base_url right? "
        "(after 3 attempts)",
    ),
    "list": (MalformedReply, "m: the reply is no JSON object (after 3 attempts)"),
    "error": (ModelUnavailable, "m: HTTP 502: Provider returned error (after 3 attempts)"),
    "no_choice": (MalformedReply, "m: the reply holds no choice with a message (after 3 attempts)"),
    "null_message": (MalformedReply, "m: the reply holds no choice with a message (after 3 attempts)"),
    "null_content": (MalformedReply, "m: the reply's content is not text (after 3 attempts)"),
    "content_parts": (UnreadReply, "m: the reply's content is not text (a part 'image_url') (after 2 attempts)"),
    "latin_1": (MalformedReply, "m: the reply is no JSON object (after 3 attempts)"),
    "filtered": (ReplyWithheld, "m: the provider's content filter withheld the reply"),
}


@pytest.mark.parametrize("shape", OUTCOMES)
async def test_a_malformed_reply_is_a_typed_failure_and_never_taken_as_an_answer(shape):
    body, kind = SHAPES[shape](WHOLE), content_type(shape)
    async with served(*(web.Response(body=body, content_type=kind) for _ in range(3))) as (client, requests):
        with pytest.raises(ModelError) as caught:
            await client.complete(TURNS, Sampling())
    assert (type(caught.value), str(caught.value)) == OUTCOMES[shape]
    assert len(requests) == {"filtered": 1, "content_parts": 2}.get(shape, 3)


async def test_a_good_reply_with_odd_usage_is_used_and_its_usage_is_unknown():
    assert set(SHAPES) == {*OUTCOMES, "odd_usage"}
    async with served(web.Response(body=SHAPES["odd_usage"](WHOLE), content_type="application/json")) as (client, _):
        completion = await client.complete(TURNS, Sampling())
    assert (completion.text, completion.usage) == ("hello", Usage())


async def test_a_teacher_that_says_only_nonsense_gives_no_answer_but_those_it_gave():
    with ScriptedTeacher(faults=FaultRates(malformed=1.0)) as teacher:
        chat = OpenAIChat(teacher.model_name, base_url=teacher.base_url, api_key="k")
        calls = [chat.complete((Turn("user", f"{n}+1="),), Sampling()) for n in range(100)]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        await chat.close()
    assert {type(outcome) for outcome in outcomes} == {
        MalformedReply,
        UnreadReply,
        ModelUnavailable,
        ReplyWithheld,
        Completion,
    }
    assert {outcome.usage for outcome in outcomes if isinstance(outcome, Completion)} == {Usage()}


async def test_a_reply_without_end_is_cut_off():
    async with served(*(web.Response(body=b" " * (MAX_REPLY_BYTES + 1)) for _ in range(3))) as (client, _):
        with pytest.raises(MalformedReply, match="longer than 4,000,000 bytes"):
            await client.complete(TURNS, Sampling())


@pytest.mark.parametrize(
    ("host", "field"),
    [
        ("api.openai.com", "max_completion_tokens"),
        ("eu.api.openai.com", "max_completion_tokens"),
        ("api.deepseek.com", "max_tokens"),
        ("notapi.openai.com", "max_tokens"),
        ("127.0.0.1", "max_tokens"),
    ],
)
def test_the_token_limit_has_the_name_that_the_host_knows(host, field):
    assert token_limit_field(host) == field


async def test_the_key_goes_as_a_bearer_and_a_client_that_holds_one_does_not_pickle():
    async with loopback(lambda _: web.json_response(WHOLE)) as server:
        chat = OpenAIChat("m", base_url=f"{server.url}/v1/", api_key="sesame")
        await chat.complete(TURNS, Sampling())
        await chat.close()
    assert server.asked[0]["path"] == "/v1/chat/completions"
    assert server.asked[0]["headers"]["Authorization"] == "Bearer sesame"
    with pytest.raises(TypeError, match="holds a key"):
        pickle.dumps(chat)
