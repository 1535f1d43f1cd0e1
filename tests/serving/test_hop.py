"""Questions on their direct way from a proxy to a replica, over real connections on loopback."""

import asyncio
import socket
from contextlib import contextmanager

import httpx
import pytest

from fireact_ray.core.net.rpc_wire import Address
from fireact_ray.serving.edge import Edge
from fireact_ray.serving.hop import OwnServer, Place

PATH = "/v1/chat/completions"


class Replica:
    """Echoes what it is asked; `plays` messages instead, if any are left. Counts who is inside."""

    def __init__(self, *plays, longest_s=10.0):
        self.plays, self.longest_s, self.is_leaving = list(plays), longest_s, False
        self.asked, self.inside, self.begun, self.gone = [], 0, asyncio.Event(), asyncio.Event()
        self.server = OwnServer(self, lambda: self.is_leaving, self._work)

    @contextmanager
    def _work(self):
        self.inside += 1
        try:
            yield
        finally:
            self.inside -= 1

    async def place(self):
        return Place(await self.server.address("127.0.0.1"), self.longest_s)

    async def __call__(self, scope, receive, send):
        self.asked.append((scope["path"], scope["client"], dict(scope["headers"]), (await receive())["body"]))
        self.begun.set()
        for message in self.plays.pop(0) if self.plays else [start(), part(b"direct")]:
            if message is None:
                assert (await receive())["type"] == "http.disconnect"
                self.gone.set()
                return
            await send(message)


class Agents:
    def __init__(self, *places):
        self.known = list(places)

    async def places(self, app):
        return self.known if app == "fireact" else []

    def forget(self, app, place):
        self.known.remove(place)


def start(status=200, kind=b"text/plain; charset=utf-8", *more):
    return {"type": "http.response.start", "status": status, "headers": [(b"content-type", kind), *more]}


def part(text, more=False):
    return {"type": "http.response.body", "body": text, "more_body": more}


async def serve(scope, receive, send):
    """Ray Serve, which brings a request to a replica of the application."""
    await receive()
    await send(start(200, b"text/plain", (b"x-fireact-app", b"fireact")))
    await send(part(b"by Serve"))


@pytest.fixture
async def proxy():
    """Makes one: its Edge, which knows `places`, and a client."""
    edges = []

    def made(*places):
        edges.append(edge := Edge(serve, Agents(*places)))
        transport = httpx.ASGITransport(edge, client=("203.0.113.7", 4711))
        return edge, httpx.AsyncClient(transport=transport, base_url="http://proxy")

    yield made
    for edge in edges:
        if edge._session is not None:
            await edge._session.close()


async def test_once_a_reply_has_told_whose_path_it_is_questions_go_to_a_replica_as_the_client_sent_them(proxy):
    replica = Replica()
    _, client = proxy(await replica.place())
    said = [(await client.post(PATH, content=b"{}", headers={"x-one": "grüße".encode()})).text for _ in range(3)]
    assert said == ["by Serve", "direct", "direct"]
    (path, came_from, headers, body), _ = replica.asked
    assert (path, came_from, body) == (PATH, ("203.0.113.7", 4711), b"{}")
    assert headers[b"host"] == b"proxy" and headers[b"x-one"] == "grüße".encode()
    assert not [name for name in headers if name.startswith(b"x-fireact")]
    reply = await client.post(PATH, content=b"{}")
    assert reply.headers["x-fireact-edge"] == "1" and "x-fireact-app" not in reply.headers
    assert (await client.post("/elsewhere" + PATH)).text == "by Serve"  # another path may be another application's
    assert (await client.get("/v1/models")).text == "by Serve"


async def test_who_does_not_know_the_token_is_refused():
    replica = Replica()
    address = (await replica.place()).address
    async with httpx.AsyncClient(base_url=f"http://{address.host}:{address.port}") as stranger:
        refused = [await stranger.post(PATH, headers=sent) for sent in ({}, {"x-fireact-token": "no"})]
    assert [reply.status_code for reply in refused] == [403, 403]
    assert replica.asked == []
    assert address.token not in repr(address)


async def test_a_replica_that_is_gone_or_about_to_stop_is_forgotten_and_another_one_asked(proxy):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        dead = Place(Address("127.0.0.1", closed.getsockname()[1], "x"), 10.0)
    leaving, staying = Replica(), Replica()
    leaving.is_leaving = True
    edge, client = proxy(dead, await leaving.place(), await staying.place())
    await client.post(PATH)
    assert [(await client.post(PATH)).text for _ in range(4)] == ["direct"] * 4
    assert (len(staying.asked), leaving.asked) == (4, [])
    edge._agents.known.clear()
    assert (await client.post(PATH)).text == "by Serve"


async def test_of_several_replicas_the_one_with_the_fewest_questions_is_asked(proxy):
    busy, idle = Replica([None]), Replica()
    edge, client = proxy(await busy.place())
    await client.post(PATH)
    waiting = asyncio.create_task(client.post(PATH))
    await busy.begun.wait()
    edge._agents.known.append(await idle.place())
    assert [(await client.post(PATH)).text for _ in range(3)] == ["direct"] * 3
    assert (len(busy.asked), len(idle.asked), busy.inside, idle.inside) == (1, 3, 1, 0)
    waiting.cancel()


async def test_a_client_that_goes_away_ends_its_question_at_the_replica(proxy):
    replica = Replica([start(200, b"text/event-stream"), part(b"event: x\n\n", more=True), None])
    edge, client = proxy(await replica.place())
    await client.post(PATH)
    heard, leaves = [], asyncio.Event()
    sent = [{"type": "http.request", "body": b"{}", "more_body": False}]

    async def receive():
        if sent:
            return sent.pop()
        await leaves.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        heard.append(message)
        if message.get("body"):
            leaves.set()

    scope = {"type": "http", "method": "POST", "path": PATH, "query_string": b"", "headers": [], "client": None}
    await edge(scope, receive, send)
    await replica.gone.wait()
    assert [message["type"] for message in heard] == ["http.response.start", "http.response.body"]


async def test_a_stream_whose_replica_breaks_off_ends_with_an_event(proxy):
    class Dying(Replica):
        async def __call__(self, scope, receive, send):
            await send(start(200, b"text/event-stream"))
            await send(part(b"event: x\ndata: 1\n\n", more=True))
            raise RuntimeError("killed")

    _, client = proxy(await Dying().place())
    await client.post(PATH)
    reply = await client.post(PATH)
    assert reply.text.startswith("event: x\ndata: 1\n\n") and '"code": "replica_lost"' in reply.text


async def test_an_answer_that_takes_too_long_is_a_504(proxy):
    _, client = proxy(await Replica([None], longest_s=0.01).place())
    await client.post(PATH)
    late = await client.post(PATH)
    assert (late.status_code, late.json()["error"]["code"]) == (504, "timeout")


@pytest.mark.parametrize("status", [400, 429])
async def test_a_refusal_of_a_replica_is_passed_on(proxy, status):
    refusal = [start(status, b"application/json", (b"content-length", b"2")), part(b"{}")]
    _, client = proxy(await Replica(refusal).place())
    await client.post(PATH)
    reply = await client.post(PATH)
    assert (reply.status_code, reply.text, reply.headers["content-length"]) == (status, "{}", "2")
