"""What stands before every route: hosts, origins, keys, size of headers; and what every reply bears."""

import asyncio
import re

import httpx
import pytest
from fakes import TEXTS, DictBackend
from fastapi.routing import APIRoute
from served import CHAT, JSON, MODEL, RESPONSES, EndlessModel, by, called, client, sending, settings

from fireact_ray.serving.app import build_app
from fireact_ray.serving.keys import Keys
from fireact_ray.serving.settings import Access, Health, Hooks

KEY = "fr-0123456789"
KEYS = Keys.of({"alice": KEY, "bob": "fr-9876543210"})
BEARER = {"authorization": f"Bearer {KEY}"}
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD")


def routes(app):
    return [route.path for route in app.routes if isinstance(route, APIRoute)] + ["/openapi.json"]


async def test_every_route_and_method_wants_a_key_but_health_and_the_page():
    app = build_app({MODEL: by(EndlessModel())}, settings(), KEYS, search=DictBackend(TEXTS))
    paths = set(routes(app))
    assert paths >= {"/v1/chat/completions", "/v1/responses", "/v1/models", "/v1/models/{model:path}", "/retrieve"}
    async with client(keys=KEYS, search=DictBackend(TEXTS)) as http:
        for path in [*paths, "/nowhere", "/docs", "/health", "/healthz/", "/page/../v1/models"]:
            for method in METHODS:
                for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": KEY}):
                    status = (await http.request(method, re.sub(r"{.*?}", "x", path), headers=headers)).status_code
                    if path == "/healthz" or (path == "/" and method in ("GET", "HEAD")):
                        assert status != 401, (method, path)
                    elif path.startswith("/page/") and method in ("GET", "HEAD"):
                        assert status in (401, 404), (method, path)
                    else:
                        assert status == 401, (method, path)


async def test_a_missing_key_says_how_to_send_one():
    async with client(keys=KEYS) as http:
        reply = await http.get("/v1/models")
    assert reply.headers["www-authenticate"] == 'Bearer realm="fireact_ray"'
    assert "Authorization: Bearer" in reply.json()["error"]["message"]


@pytest.mark.parametrize("given", [f"Bearer {KEY}", f"bearer {KEY}", f"Bearer  {KEY} ", f"BEARER {KEY}"])
async def test_a_key_is_taken_however_its_scheme_is_spelt(given):
    async with client(keys=KEYS) as http:
        assert (await http.get("/v1/models", headers={"authorization": given})).status_code == 200


@pytest.mark.parametrize(
    ("given", "said"),
    [
        *((given, "A key is needed") for given in ("", "Bearer", "Bearer ", f"Basic {KEY}")),
        *((given, "not known here") for given in (f"Bearer {KEY}x", "Bearer \xe9\xff")),
    ],
)
async def test_anything_else_is_no_key(given, said):
    async with client(keys=KEYS) as http:
        reply = await http.get("/v1/models", headers={"authorization": given.encode("latin-1")})
    assert (reply.status_code, reply.json()["error"]["code"]) == (401, "invalid_api_key")
    assert reply.json()["error"]["type"] == "authentication_error"
    assert said in reply.json()["error"]["message"]
    assert KEY not in reply.text


async def test_no_key_is_nobody_s_even_where_a_file_holds_the_hash_of_nothing():
    async with client(keys=Keys.of({"alice": KEY, "script": ""})) as http:
        for given in ({}, {"authorization": "Bearer "}, {"authorization": "Basic x"}):
            assert (await http.get("/v1/models", headers=given)).status_code == 401


async def test_an_unknown_host_is_refused_so_that_no_page_reaches_us_by_a_name_of_its_own():
    async with client() as http:
        for host, status in {"test": 200, "test:8000": 200, "TEST": 200, "evil.example": 400, "test.evil": 400}.items():
            assert (await http.get("/v1/models", headers={"host": host})).status_code == status, host
        assert (await http.get("/healthz", headers={"host": "10.0.0.7"})).status_code == 200
    async with client(limits={"allowed_hosts": ("*",)}) as http:
        assert (await http.get("/v1/models", headers={"host": "any"})).status_code == 200
    async with client(limits={"allowed_hosts": ("[::1]",)}) as http:
        assert (await http.get("/v1/models", headers={"host": "[::1]:80"})).status_code == 200


@pytest.mark.parametrize(
    ("caller", "status"),
    [
        (("127.0.0.1", 5), 200), (("127.8.0.1", 5), 200), (("::1", 5), 200), (("::ffff:127.0.0.1", 5), 200),
        (None, 200), (("10.0.0.7", 5), 403), (("::2", 5), 403), (("::ffff:10.0.0.7", 5), 403), (("127", 0), 403),
        (("", 0), 403),
    ],
)  # fmt: skip
async def test_without_keys_a_server_may_answer_its_own_machine_alone_wherever_its_proxy_listens(caller, status):
    for alone in (True, False):
        app = build_app({MODEL: by(EndlessModel())}, settings(only_this_machine=alone))
        transport = httpx.ASGITransport(app, client=caller)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
            for reply in (await http.get("/v1/models"), await http.post("/v1/chat/completions", json=CHAT)):
                assert reply.status_code == (status if alone else 200)
            assert (await http.get("/healthz")).status_code == 200


async def test_pages_of_other_origins_are_refused_unless_they_are_allowed():
    allowed = {"allowed_origins": ("https://app.example",)}
    async with client(limits=allowed, keys=KEYS) as http:
        for origin, status in {
            "http://test": 200,
            "https://app.example": 200,
            "https://evil.example": 403,
            "null": 403,
            "http://test.evil.example": 403,
            "http://[": 403,
            "http://[::1": 403,
            "": 403,
        }.items():
            reply = await http.post("/v1/chat/completions", json=CHAT, headers={**BEARER, "origin": origin})
            assert reply.status_code == status, origin
            given = reply.headers.get("access-control-allow-origin")
            assert given == ("https://app.example" if "app" in origin else None)
        asks = {"access-control-request-method": "POST", "access-control-request-headers": "authorization"}
        reply = await http.options("/v1/responses", headers={**asks, "origin": "https://app.example"})
        assert (reply.status_code, reply.headers["access-control-allow-origin"]) == (204, "https://app.example")
        assert reply.headers["access-control-allow-headers"] == "authorization"
        assert "access-control-allow-credentials" not in reply.headers
        assert (await http.options("/v1/responses", headers={**asks, "origin": "https://evil"})).status_code == 403


async def test_an_sdk_in_an_allowed_page_may_send_headers_of_its_own_and_read_when_to_come_again():
    asked = "authorization,content-type,x-stainless-lang,x-stainless-retry-count,openai-organization,traceparent"
    elsewhere = {"origin": "https://app.example"}
    async with client(limits={"allowed_origins": ("https://app.example",)}) as http:
        asks = {"access-control-request-method": "POST", "access-control-request-headers": asked}
        reply = await http.options("/v1/responses", headers={**asks, **elsewhere})
        assert (reply.status_code, reply.headers["access-control-allow-headers"]) == (204, asked)
        reply = await http.post(
            "/v1/responses", json={**RESPONSES, "n": 1}, headers={**elsewhere, "x-stainless-lang": "js"}
        )
    assert reply.status_code == 400
    assert reply.headers["access-control-expose-headers"] == "x-request-id, retry-after, x-should-retry"


async def test_every_reply_bears_an_id_and_is_inert_in_a_browser():
    async with client() as http:
        replies = [await http.get(path) for path in ("/healthz", "/v1/models", "/nowhere", "/")]
        replies.append(await http.post("/v1/responses", json={**RESPONSES, "stream": True}))
    for reply in replies:
        assert len(reply.headers["x-request-id"]) == 32
        assert reply.headers["x-content-type-options"] == "nosniff"
        policy = reply.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; ")
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
    assert len({reply.headers["x-request-id"] for reply in replies}) == len(replies)


async def test_the_callers_own_trace_is_gone_on_with():
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    async with client() as http:
        for given, kept in {
            f"00-{trace}-00f067aa0ba902b7-01": True,
            f"ff-{trace}-00f067aa0ba902b7-01": False,
            f"00-{trace}-{16 * '0'}-01": False,
            "00-x-y-z": False,
            trace: False,
        }.items():
            reply = await http.get("/healthz", headers={"traceparent": given})
            assert (reply.headers["x-request-id"] == trace) is kept


async def test_headers_and_urls_have_a_bound():
    async with client(limits={"max_header_bytes": 2000}) as http:
        assert (await http.get("/v1/models", headers={"x": "y" * 2000})).status_code == 431
        assert (await http.get(f"/v1/models?{'y' * 2000}")).status_code == 431
        assert (await http.get(f"/v1/{'y' * 2000}")).status_code == 431
        assert (await http.get("/v1/models", headers={"x": "y" * 1000})).status_code == 200


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_takes_nothing_of_its_reply_is_cut_off(stream):
    endings = []

    async def send(message):
        await asyncio.Event().wait()

    hooks = Hooks(on_end=lambda asking, end: endings.append(end))
    app = build_app({MODEL: by(EndlessModel())}, settings(send_timeout_s=0.05), hooks=hooks)
    receive = sending({**CHAT, "stream": stream}, asyncio.Event())
    headers = {**JSON, "content-length": "100"}
    await asyncio.wait_for(called(app, "/v1/chat/completions", headers, receive, send), 20)
    assert len(endings) == 1


async def test_health_is_asked_each_time_and_says_what_is_not_there():
    answers = [
        Health({"engine": "starting", "search": None}),
        Health({"engine": None, "search": None}),
        RuntimeError("secret"),
    ]

    async def ready():
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async with client(hooks=Hooks(ready=ready), keys=KEYS) as http:
        reply = await http.get("/healthz")
        assert (reply.status_code, reply.headers["retry-after"]) == (503, "5")
        assert reply.json() == {"status": "unavailable", "engine": "starting", "search": "ok"}
        reply = await http.head("/healthz")
        assert (reply.status_code, reply.text) == (200, reply.text)
        reply = await http.get("/healthz")
        assert (reply.status_code, "secret" in reply.text) == (503, False)


async def test_many_who_ask_for_health_at_once_ask_it_once():
    asked, answered = 0, asyncio.Event()

    async def ready():
        nonlocal asked
        asked += 1
        await answered.wait()
        return Health({"engine": None})

    async with client(hooks=Hooks(ready=ready)) as http:
        asking = [asyncio.create_task(http.get("/healthz")) for _ in range(20)]
        for _ in range(1000):  # rounds of the loop: all of them wait
            await asyncio.sleep(0)
        asking[0].cancel()
        answered.set()
        replies = await asyncio.gather(*asking[1:])
        assert ({reply.status_code for reply in replies}, asked) == ({200}, 1)
        await http.get("/healthz")
        assert asked == 2


async def test_the_access_log_knows_who_and_how_but_no_content():
    seen: list[Access] = []
    async with client(keys=KEYS, hooks=Hooks(on_access=seen.append)) as http:
        await http.post("/v1/chat/completions", json=CHAT, headers=BEARER)
        await http.get(f"/v1/models/{MODEL}", headers=BEARER)
        await http.get("/v1/secret-path")
    chat, model, refused = seen
    assert (chat.method, chat.path, chat.status, chat.key, chat.model) == (
        "POST", "/v1/chat/completions", 200, "alice", MODEL,
    )  # fmt: skip
    assert len(chat.trajectory_id) == 16
    assert (model.path, model.status) == ("/v1/models/{model:path}", 200)
    assert (refused.path, refused.status, refused.key) == ("", 401, "")
    assert not any("Zem" in repr(access) or KEY in repr(access) for access in seen)
