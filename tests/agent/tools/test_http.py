"""The providers' HTTP client against a real server: what is tried again, how often, and what its errors hold."""

import asyncio
import re
import time

import pytest
from aiohttp import web
from loopback import loopback

from fireact_ray.agent.tools.web.http import HttpClient, HttpPolicy, Request
from fireact_ray.core.errors import ToolDenied, ToolError

pytestmark = pytest.mark.slow

FAST = HttpPolicy(timeout_s=30.0, max_attempts=3, first_delay_s=0.01, max_delay_s=0.02)


async def fetched(answer, policy=FAST):
    """The reply or the ToolError, and how many requests it took."""
    async with loopback(answer) as server:
        client = HttpClient("p", policy)
        try:
            outcome = await client.fetch(Request("GET", f"{server.url}/x", {"api_key": "sesame-0123456789"}))
        except ToolError as error:
            outcome = error
        finally:
            await client.close()
    return outcome, len(server.asked)


def ok():
    return web.json_response({"ok": True})


@pytest.mark.parametrize("trouble", [429, 500, 503, 408, "reset", "torn", "<html>"])
async def test_passing_trouble_is_tried_again(trouble):
    def answer(n):
        if n == 1:
            return ok()
        if trouble == "reset":
            return "reset"
        if isinstance(trouble, int):
            return web.Response(status=trouble)
        return web.Response(text='{"a": [' if trouble == "torn" else trouble, content_type="application/json")

    assert await fetched(answer) == ({"ok": True}, 2)


async def test_attempts_are_bounded_and_the_error_holds_neither_url_nor_key():
    error, n_asked = await fetched(lambda _: web.Response(status=503, text="api_key=sesame-0123456789"))
    assert (str(error), n_asked) == ("p: HTTP 503: api_key=[redacted] (after 3 attempts)", 3)
    assert error.__context__ is None
    error, n_asked = await fetched(lambda _: "reset")
    assert (str(error), n_asked) == ("p: the server closed the connection without a reply (after 3 attempts)", 3)
    assert error.__context__ is None


@pytest.mark.parametrize("status", [400, 404, 422, 301, 302])
async def test_what_would_fail_again_is_not_tried_again(status):
    error, n_asked = await fetched(lambda _: web.Response(status=status, headers={"Location": "http://127.0.0.1:1/"}))
    assert (str(error), n_asked, type(error)) == (f"p: HTTP {status}", 1, ToolError)


@pytest.mark.parametrize("status", [401, 402, 403, 432, 433])
async def test_key_and_plan_errors_are_denials(status):
    error, n_asked = await fetched(lambda _: web.Response(status=status))
    assert (type(error), n_asked) == (ToolDenied, 1)


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (403, {"message": "Unauthorized.", "statusCode": 403}, "HTTP 403: Unauthorized."),
        (400, {"message": "Not enough credits", "statusCode": 400}, "HTTP 400: Not enough credits"),
        (200, {"message": "Unauthorized.", "statusCode": 403}, "HTTP 200: Unauthorized."),
        (200, {"error": "Invalid API key. See serpapi.com"}, "HTTP 200: Invalid API key. See serpapi.com"),
        (200, {"error": "Your account has run out of searches."}, "HTTP 200: Your account has run out of searches."),
        (429, {"error": "Your account has run out of searches."}, "HTTP 429: Your account has run out of searches."),
        (
            401,
            {"detail": {"error": "Unauthorized: missing or invalid API key."}},
            "HTTP 401: Unauthorized: missing or ",
        ),
        (432, {"detail": {"error": "This request exceeds your plan's set usage limit."}}, "HTTP 432: This request "),
        (200, {"detail": {"error": "This request exceeds your plan's set usage limit."}}, "HTTP 200: This request "),
        (
            422,
            {"error": {"code": "SUBSCRIPTION_TOKEN_INVALID", "detail": "It is invalid."}},
            "TOKEN_INVALID: It is inv",
        ),
        (
            429,
            {"error": {"code": "QUOTA_LIMITED", "detail": "Request quota limit exceeded for plan."}},
            "QUOTA_LIMITED",
        ),
        (403, {"error": "key sk-test-0123456789 is unknown"}, "HTTP 403: key [redacted] is unknown"),
    ],
)
async def test_a_refused_key_or_plan_is_told_by_many_statuses_and_in_the_providers_words(status, body, said):
    error, n_asked = await fetched(lambda _: web.json_response(body, status=status))
    assert (type(error), n_asked) == (ToolDenied, 1)
    assert said in str(error)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (403, "<html><title>Blocked: SELECT * FROM</title></html>"),
        (422, '{"error": {"code": "VALIDATION", "detail": "q is too long"}}'),
        (400, '{"message": "Query pattern not allowed"}'),
    ],
)
async def test_a_refused_query_is_one_failed_search(status, body):
    error, n_asked = await fetched(lambda _: web.Response(status=status, text=body))
    assert (type(error), n_asked) == (ToolError, 1)


async def test_a_rate_limit_is_no_used_up_plan():
    body = {"error": {"code": "RATE_LIMITED", "detail": "Request rate limit exceeded for plan", "status": 429}}
    error, n_asked = await fetched(lambda _: web.json_response(body, status=429))
    assert (type(error), n_asked) == (ToolError, 3)


@pytest.mark.parametrize(
    "body", [{"organic": [{"snippet": "Invalid API key"}]}, {"message": "Unauthorized.", "organic": []}], ids=str
)
async def test_results_that_speak_of_keys_are_results(body):
    assert await fetched(lambda _: web.json_response(body)) == (body, 1)


async def test_the_server_says_how_long_to_wait():
    started = time.monotonic()
    limited = web.Response(status=429, headers={"Retry-After": "0.3"})
    assert await fetched(lambda n: limited if n == 0 else ok()) == ({"ok": True}, 2)
    assert time.monotonic() - started >= 0.3


@pytest.mark.parametrize("header", ["3600", "Fri, 31 Dec 2100 23:59:59 GMT"])
async def test_a_wait_that_is_too_long_is_not_waited_for(header):
    error, n_asked = await fetched(lambda _: web.Response(status=429, headers={"Retry-After": header}))
    assert re.fullmatch(r"p: HTTP 429, to be asked again in \d{4,} s only", str(error))
    assert n_asked == 1


async def test_a_server_that_hangs_is_given_up():
    async def hang(_):
        await asyncio.sleep(30)
        return ok()

    policy = HttpPolicy(timeout_s=0.1, max_attempts=2, first_delay_s=0.01)
    error, n_asked = await fetched(lambda _: hang, policy)
    assert str(error) == "p: no reply within 0.1 s (after 2 attempts)"
    assert n_asked <= 2  # of a busy machine's server one may be given up before it is read


async def test_a_reply_without_end_is_cut_off():
    async def endless(request):
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(200):
            await response.write(b"x" * 100_000)
        return response

    error, n_asked = await fetched(lambda _: endless)
    assert (str(error), n_asked) == ("p: the reply is longer than 4,000,000 bytes", 1)


@pytest.mark.parametrize(
    "body", [b"\xff\xfe\x00", b"[" * 200_000, b"9" * 5000, b""], ids=["bytes", "deep", "big", "none"]
)
async def test_a_reply_that_is_not_json_is_a_tool_error(body):
    error, _ = await fetched(lambda _: web.Response(body=body, content_type="application/json"))
    assert str(error) == "p: the reply is not JSON (after 3 attempts)"


async def test_no_more_requests_are_open_than_allowed_and_waiting_does_not_time_out():
    open_now, most = 0, 0

    async def slow(_):
        nonlocal open_now, most
        open_now += 1
        most = max(most, open_now)
        try:
            await asyncio.sleep(0.2)
        finally:
            open_now -= 1
        return ok()

    async with loopback(lambda _: slow) as server:
        client = HttpClient("p", HttpPolicy(timeout_s=1.0, max_connections=2))  # all take 1.2 s
        replies = await asyncio.gather(*(client.fetch(Request("GET", f"{server.url}/{n}")) for n in range(12)))
        await client.close()
    assert (replies, most) == ([{"ok": True}] * 12, 2)


def test_a_request_does_not_print_its_key():
    request = Request("GET", "http://127.0.0.1/", {"api_key": "sesame"}, {"Authorization": "Bearer sesame"})
    assert "sesame" not in repr(request)
