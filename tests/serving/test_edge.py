"""What stands in Serve's proxies, around applications that behave as Serve does."""

import asyncio
import contextlib
import json

import pytest

from fireact_ray.serving.edge import Edge
from fireact_ray.serving.room import Room

HEAD = [(b"content-type", b"application/json"), (b"content-length", b"2")]


class Client:
    """One request: sends `parts` of a body, then stays or goes away; hears what it is told."""

    def __init__(self, *parts: bytes, path="/v1/chat/completions", headers=HEAD, goes_away=False, method="POST"):
        self.scope = {"type": "http", "path": path, "method": method, "headers": list(headers)}
        bodies = [
            {"type": "http.request", "body": part, "more_body": n < len(parts)} for n, part in enumerate(parts, 1)
        ]
        self._sends = [*bodies, *([{"type": "http.disconnect"}] if goes_away else [])]
        self.heard = []

    async def receive(self):
        if not self._sends:
            await asyncio.Event().wait()
        return self._sends.pop(0)

    async def send(self, message):
        self.heard.append(message)

    async def ask(self, app, **settings):
        await Edge(app, **settings)(self.scope, self.receive, self.send)
        return self

    @property
    def status(self):
        return self.heard[0]["status"]

    @property
    def headers(self):
        return {name.decode(): value.decode() for name, value in self.heard[0]["headers"]}

    @property
    def body(self):
        return b"".join(message["body"] for message in self.heard[1:]).decode()

    @property
    def error(self):
        return json.loads(self.body)["error"]


class Serve:
    """Plays its messages, one list for each time that it is called; raises nothing, as Serve does."""

    def __init__(self, *times):
        self.times = list(times)
        self.bodies, self.headers = [], []

    async def __call__(self, scope, receive, send):
        self.headers.append(scope["headers"])
        self.bodies.append((await receive())["body"])
        for message in self.times.pop(0):
            await send(message)


def start(status, kind=b"application/json", *more):
    return {"type": "http.response.start", "status": status, "headers": [(b"content-type", kind), *more]}


def body(text, more=False):
    return {"type": "http.response.body", "body": text, "more_body": more}


async def test_a_replica_s_own_reply_is_passed_on_whatever_its_status():
    client = await Client(b"{", b"}").ask(serve := Serve([start(400), body(b'{"error": 1}')]))
    assert (client.status, client.body) == (400, '{"error": 1}')
    assert serve.bodies == [b"{}"]


@pytest.mark.parametrize(
    ("bare", "text", "status", "code", "retry_after"),
    [
        (404, b"Path '/v1/models' not found.", 503, "not_ready", "2"),
        (408, b"Request timed out after 130s.", 504, "timeout", None),
        (429, b"Request dropped due to backpressure", 429, "server_busy", "7"),
        (503, b"Deployment is not available", 503, "unavailable", "7"),
        (500, b"Internal Server Error", 500, "internal_error", None),
    ],
)
async def test_a_bare_text_of_serve_becomes_an_error_object(bare, text, status, code, retry_after):
    more = [(b"retry-after", b"7")] if bare in (429, 503) else []
    client = await Client(b"{}").ask(Serve([start(bare, b"text/plain; charset=utf-8", *more), body(text)]))
    assert (client.status, client.error["code"], client.headers.get("retry-after")) == (status, code, retry_after)
    assert client.error.keys() == {"message", "type", "param", "code"}
    assert text.decode() not in client.body


async def test_a_reply_has_one_id_the_replica_s():
    ids = [(b"x-request-id", b"ours"), (b"X-Request-ID", b"of Serve")]
    client = await Client(b"{}").ask(Serve([start(200, b"application/json", *ids), body(b"{}")]))
    assert [value for name, value in client.heard[0]["headers"] if name.lower() == b"x-request-id"] == [b"ours"]


BUSY = [start(429, b"application/json", (b"x-fireact-busy", b"1")), body(b"{}")]
OF_A_KEY = [start(429), body(b"{}")]


class Replica:
    """Takes so many questions at once, which end when they are told to; the next ones are `refused`."""

    def __init__(self, n: int, refused=BUSY):
        self.n, self.refused, self.n_asked, self.running = n, refused, 0, []

    async def __call__(self, scope, receive, send):
        self.n_asked += 1
        await asyncio.sleep(0)
        if len(self.running) >= self.n:
            for message in self.refused:
                await send(message)
            return
        self.running.append(end := asyncio.Event())
        await end.wait()
        self.running.remove(end)
        await send(start(200))
        await send(body(b"{}"))


async def rush(edge, n, **request):
    clients = [Client(b"{}", **request) for _ in range(n)]
    asking = [asyncio.create_task(edge(one.scope, one.receive, one.send)) for one in clients]
    for _ in range(20 + 2 * n):
        await asyncio.sleep(0)
    return clients, asking


async def test_where_replicas_take_no_more_the_next_questions_are_refused_without_them():
    edge = Edge(replica := Replica(4))
    first, asking = await rush(edge, 10)
    assert [client.status for client in first if client.heard] == [429] * 6
    assert replica.n_asked == 10  # they came before anybody was refused
    next_ones, _ = await rush(edge, 50)
    assert {(one.status, one.error["code"], one.headers["retry-after"]) for one in next_ones} == {
        (429, "server_busy", "2")
    }
    assert replica.n_asked == 10
    for end in replica.running[:3]:
        end.set()
    more, _ = await rush(edge, 50)  # as many are let in as have ended
    assert sum(not client.heard for client in more) == 3
    assert replica.n_asked == 13
    for end in replica.running:
        end.set()
    await asyncio.wait(asking)
    assert sorted(client.status for client in first) == [200] * 4 + [429] * 6


async def test_what_is_no_question_is_let_by_and_a_key_s_own_limit_teaches_nothing():
    edge = Edge(Replica(0))
    await rush(edge, 1)
    (health,), _ = await rush(edge, 1, path="/healthz", method="GET")
    assert health.body == "{}"
    edge = Edge(replica := Replica(0, OF_A_KEY))
    await rush(edge, 3)
    await rush(edge, 3)
    assert replica.n_asked == 6


async def test_now_and_then_some_more_are_tried_as_there_may_be_more_replicas():
    time = [0.0]
    room = Room(lambda: time[0])
    with room.one(), room.one():
        with room.one():
            room.refused()
        assert not await room.admits()
        time[0] = 3.0
        assert await room.admits()
        with contextlib.ExitStack() as more:
            for _ in range(8):
                more.enter_context(room.one())
            assert not await room.admits()
            time[0] = 6.0
            assert await room.admits()


async def test_more_than_were_ever_taken_go_in_by_groups_so_that_few_reach_a_full_replica():
    edge = Edge(replica := Replica(20))
    clients, _ = await rush(edge, 300)
    assert replica.n_asked == 32  # as many as go in without a word, and one group
    assert sorted(client.status for client in clients if client.heard) == [429] * 280
    for end in replica.running:
        end.set()


async def test_a_question_whose_replica_died_before_its_first_byte_is_asked_again():
    client = await Client(b'{"q": 1}').ask(serve := Serve([], [start(200), body(b"{}")]))
    assert (client.status, client.body) == (200, "{}")
    assert serve.bodies == [b'{"q": 1}', b'{"q": 1}']


@pytest.mark.slow
async def test_where_no_replica_answers_it_is_a_503_that_says_when_to_come_again():
    client = await Client(b"{}").ask(serve := Serve([], [], []))
    assert (client.status, client.error["code"], client.headers["retry-after"]) == (503, "replica_lost", "2")
    assert len(serve.bodies) == 3


@pytest.mark.parametrize(
    ("path", "last"),
    [
        ("/v1/chat/completions", 'data: {"error": {"message": '),
        (
            "/v1/responses",
            'event: error\ndata: {"message": "The replica that worked on it has ended. Ask again.", "type": "error"',
        ),
    ],
)
async def test_a_stream_that_is_cut_ends_with_an_event_of_its_protocol(path, last):
    cut = [start(200, b"text/event-stream; charset=utf-8"), body(b"event: x\ndata: 1\n\nda", more=True)]
    client = await Client(b"{}", path=path).ask(serve := Serve(cut))
    assert client.body.startswith("event: x\ndata: 1\n\nda\n\n" + last), client.body
    assert ('"sequence_number": 1' in client.body) == path.endswith("/responses")
    assert client.body.endswith("\n\n")
    assert not client.heard[-1]["more_body"]
    assert len(serve.bodies) == 1


async def test_nobody_is_asked_again_for_a_client_that_has_gone():
    class Gone(Serve):
        async def __call__(self, scope, receive, send):
            await super().__call__(scope, receive, send)
            await receive()

    client = await Client(b"{}", goes_away=True).ask(serve := Gone([], []))
    assert (client.heard, len(serve.bodies)) == ([], 1)
    assert (await Client(goes_away=True).ask(serve)).heard == []
    assert len(serve.bodies) == 1


async def test_a_body_that_is_too_large_or_too_slow_reaches_no_replica():
    serve = Serve()
    announced = [(b"content-length", b"11")]
    for client in (Client(b"x" * 6, b"x" * 5, headers=[]), Client(headers=announced)):
        await client.ask(serve, max_body_bytes=10)
        assert (client.status, client.headers["connection"]) == (413, "close")
    slow = Client(b"{", headers=[])
    slow._sends[0]["more_body"] = True
    await slow.ask(serve, body_s=0.01)
    assert (slow.status, slow.headers["connection"]) == (408, "close")
    assert serve.bodies == []


async def test_clients_cannot_switch_off_serve_s_time_limit_or_its_heed_of_disconnects():
    steering = [b"X-Request-Timeout-Seconds", b"x-request-disconnect-disabled", b"serve-multiplexed-model-id"]
    client = Client(b"{}", headers=[*HEAD, *((name, b"0") for name in steering)])
    await client.ask(serve := Serve([start(200), body(b"{}")]))
    assert serve.headers == [HEAD]


async def test_serve_s_own_health_is_left_alone_and_its_routes_are_told_nobody():
    client = await Client(b"", path="/-/healthz", method="GET").ask(Serve([start(503, b"text/plain"), body(b"no")]))
    assert (client.status, client.body) == (503, "no")
    for method in ("GET", "HEAD", "POST"):
        client = await Client(b"", path="/-/routes", method=method).ask(serve := Serve([start(200), body(b"{}")]))
        assert (client.status, serve.bodies) == (404, []), method


async def test_what_a_proxy_refuses_is_read_by_the_pages_that_may_read_replies_and_is_counted():
    origin = (b"origin", b"https://app.example")
    allowed = (b"access-control-allow-origin", b"https://app.example")
    ours = start(204, b"text/plain", allowed, (b"x-fireact-app", b"fireact"))
    others = start(200, b"text/plain", (b"access-control-allow-origin", b"https://evil.example"))
    told = []
    edge = Edge(Serve([ours, body(b"")], [others, body(b"")]), max_body_bytes=10, refused=told.append)

    async def asked(*headers, **request):
        client = Client(b"", headers=headers, **request)
        await edge(client.scope, client.receive, client.send)
        return client.status, client.headers.get("access-control-allow-origin"), client.headers.get("vary")

    long = (b"content-length", b"11")
    assert await asked(origin, long) == (413, None, None)  # nobody has said yet who may
    assert await asked(origin, method="OPTIONS") == (204, "https://app.example", None)  # a replica's own words
    assert await asked(origin, long) == (413, "https://app.example", "Origin")
    await asked(method="GET", path="/of/another/application")
    assert await asked((b"origin", b"https://evil.example"), long) == (413, None, None)
    assert await asked(long) == (413, None, None)
    assert told == [413] * 4
