"""One HTTP exchange against real servers: what comes back as a reply, and that everything else is a value too."""

import asyncio
import pickle
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest
from aiohttp import web
from loopback import NO_HOST, loopback

from fireact_ray.core.net.http import MAX_REPLY_BYTES, NOT_JSON, HttpReply, HttpSession, NoReply, read_json


@asynccontextmanager
async def speaking(sent: bytes):
    """The address of a server that sends these bytes, whatever it is asked, and hangs up."""

    async def handle(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(sent)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/x"


async def sent_to(url, **request):
    session = HttpSession(30.0)
    try:
        return await session.send("POST", url, **request)
    finally:
        await session.close()


async def test_json_headers_and_parameters_go_out_and_the_whole_reply_comes_back():
    async with loopback(lambda _: web.json_response({"a": "ü"}, status=201, headers={"X-Left": "3"})) as server:
        reply = await sent_to(f"{server.url}/x", params={"q": "a b"}, headers={"X-Key": "k"}, body={"n": 1})
    assert (reply.status, reply.headers["x-left"], read_json(reply.body)) == (201, "3", {"a": "ü"})
    asked = server.asked[0]
    assert (asked["query"], asked["body"], asked["headers"]["X-Key"]) == ({"q": "a b"}, {"n": 1}, "k")
    assert asked["headers"]["User-Agent"] == "fireact_ray/0.1"


async def test_a_redirect_is_a_reply_and_no_cookie_is_kept():
    def answer(_):
        return web.Response(status=307, headers={"Location": "/elsewhere", "Set-Cookie": "c=1"})

    async with loopback(answer) as server:
        session = HttpSession(2.0)
        statuses = [(await session.send("POST", server.url)).status for _ in range(2)]
        await session.close()
    assert statuses == [307, 307]
    assert [(asked["path"], asked["headers"].get("Cookie")) for asked in server.asked] == [("/", None), ("/", None)]


NO_REPLIES = {
    "silence": b"",
    "no HTTP": b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
    "status without number": b"HTTP/1.1 OK\r\n\r\n",
    "endless header": b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
    "headers torn": b"HTTP/1.1 200 OK\r\nContent-Le",
    "body torn": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
    "bad length": b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n{}",
    "chunks torn": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{}",
    "chunk size is no number": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n",
    "not the gzip it says": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
}


@pytest.mark.parametrize("garbage", NO_REPLIES)
async def test_whatever_a_server_sends_instead_of_http_is_no_reply_and_never_an_exception(garbage):
    async with speaking(NO_REPLIES[garbage]) as url:
        reply = await sent_to(url)
    assert isinstance(reply, NoReply)
    assert "127.0.0.1" not in reply.problem


async def test_nobody_there_is_no_reply():
    async with speaking(b"") as url:
        pass
    assert await sent_to(f"{url}?api_key=sesame") == NoReply(f"connection refused (127.0.0.1:{urlsplit(url).port})")


async def test_a_host_that_is_not_found_and_a_server_without_tls_are_told_apart():
    assert await sent_to(f"http://{NO_HOST}/v1") == NoReply(f"the name of the host is not found ({NO_HOST})")
    async with loopback(lambda _: web.Response()) as server:
        reply = await sent_to(server.url.replace("http:", "https:"))
    assert reply.problem.startswith("no TLS: ")
    assert reply.problem.endswith(f" (127.0.0.1:{urlsplit(server.url).port})")


async def test_a_reply_that_is_too_long_has_a_status_and_no_body():
    async with loopback(lambda _: web.Response(status=503, body=b"x" * (MAX_REPLY_BYTES + 1))) as server:
        reply = await sent_to(server.url)
    assert (reply.status, reply.body) == (503, None)


async def test_a_proxy_is_used_where_the_environment_names_one_and_never_for_this_machine(monkeypatch):
    async with loopback(lambda _: web.Response(text="by proxy")) as proxy, loopback(lambda _: web.Response()) as here:
        monkeypatch.setenv("http_proxy", proxy.url.removeprefix("http://"))
        reply = await sent_to("http://provider.example/v1")
        await sent_to(here.url)
    assert (reply.body, proxy.asked[0]["headers"]["Host"]) == (b"by proxy", "provider.example")
    assert (len(proxy.asked), len(here.asked)) == (1, 1)


async def test_a_proxy_that_is_away_or_of_another_kind_is_told_as_such(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://me:sesame@127.0.0.1:1")
    assert await sent_to("http://provider.example/v1") == NoReply("connection refused by the proxy (127.0.0.1:1)")
    monkeypatch.setenv("http_proxy", "socks5h://me:sesame@127.0.0.1:1")
    reply = await sent_to("http://provider.example/v1")
    assert "http_proxy names a proxy of the kind socks5h://" in reply.problem
    assert "sesame" not in reply.problem


def test_a_session_moves_with_the_event_loop_and_pickles_closed():
    session = HttpSession(2.0, max_connections=1)

    async def twice():
        async with loopback(lambda _: web.Response(text="ok")) as server:
            return await asyncio.gather(*(session.send("GET", server.url) for _ in range(2)))

    for _ in range(2):
        assert [reply.body for reply in asyncio.run(twice())] == [b"ok", b"ok"]
    session = pickle.loads(pickle.dumps(session))  # noqa: S301
    assert [reply.body for reply in asyncio.run(twice())] == [b"ok", b"ok"]


@pytest.mark.parametrize("body", [None, b"", b"<html>", b'{"a": ', b'"\xff"', b"[" * 200_000, b"9" * 5000])
def test_what_is_no_json_is_told_from_the_json_null(body):
    assert read_json(body) is NOT_JSON
    assert read_json(b"null") is None


def test_a_reply_does_not_print_its_body():
    assert "sesame" not in repr(HttpReply(400, {}, b"sesame"))
