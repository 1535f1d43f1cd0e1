"""Many small calls over one connection, on real sockets."""

import asyncio
import gc
import json
from contextlib import asynccontextmanager

import pytest

from fireact_ray.core.errors import ToolDenied
from fireact_ray.core.net.rpc_client import RpcClient, RpcFailed, RpcUnavailable
from fireact_ray.core.net.rpc_server import RpcServer
from fireact_ray.core.net.rpc_wire import Address

HOST = "127.0.0.1"


class Desk:
    """What the server does: "slow" waits until `release` is set; "denied", "bug" and "no JSON" fail; else the item
    doubled."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.cancelled: list[str] = []
        self.release = asyncio.Event()

    async def answer(self, item: str) -> str:
        self.asked.append(item)
        if item == "denied":
            raise ToolDenied("HTTP 401")
        if item == "bug":
            raise KeyError("nothing there")
        if item == "no JSON":
            return object()
        if item.startswith("slow"):
            try:
                await self.release.wait()
            except asyncio.CancelledError:
                self.cancelled.append(item)
                raise
        return item + item


@asynccontextmanager
async def connected(patience_s: float = 5.0):
    """A desk, its server, and a client that finds whatever server the list holds last."""
    desk = Desk()
    servers = [RpcServer(desk.answer)]
    client = RpcClient(lambda: servers[-1].address(HOST), patience_s)
    yield desk, servers, client
    await client.close()
    for server in servers:
        await server.close()


async def until(condition) -> None:
    for _ in range(5000):
        if condition():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it did not come about")


async def test_calls_leave_in_order_and_each_gets_its_own_answer():
    async with connected() as (desk, _, client):
        answers = await asyncio.gather(*(client.ask(f"q{n}") for n in range(500)))
    assert answers == [f"q{n}q{n}" for n in range(500)]
    assert desk.asked == [f"q{n}" for n in range(500)]


async def test_a_few_calls_leave_at_once_and_many_travel_together():
    lines = []

    async def serve(reader, writer):
        await reader.readexactly(1)
        writer.write(b"\n")
        while line := await reader.readline():
            lines.append(json.loads(line))
            writer.write((json.dumps([[ticket, item] for ticket, item in lines[-1]]) + "\n").encode())

    server = await asyncio.start_server(serve, HOST, 0)

    async def find() -> Address:
        return Address(HOST, server.sockets[0].getsockname()[1], "t")

    client = RpcClient(find)
    await client.ask("first")
    await asyncio.gather(*(client.ask(n) for n in range(500)))
    await client.close()
    server.close()
    assert [item for line in lines for _, item in line] == ["first", *range(500)]
    assert [len(line) for line in lines[:3]] == [1, 1, 1]
    assert max(len(line) for line in lines) > 400


async def test_a_slow_call_delays_nobody_who_asked_with_it_or_after_it():
    async with connected() as (desk, _, client):
        slow, beside = client.ask("slow"), client.ask("a")
        assert await beside == "aa"
        assert await client.ask("b") == "bb"
        assert not slow.done()
        desk.release.set()
        assert await slow == "slowslow"


async def test_a_call_fails_alone_and_with_the_type_of_its_error():
    async with connected() as (_, _, client):
        denied, bug, fine = client.ask("denied"), client.ask("bug"), client.ask("a")
        with pytest.raises(ToolDenied, match="HTTP 401"):
            await denied
        with pytest.raises(RpcFailed, match="KeyError: 'nothing there'"):
            await bug
        with pytest.raises(RpcFailed, match="object is not JSON serializable"):
            await client.ask("no JSON")
        assert await fine == "aa"


async def test_a_caller_that_goes_takes_nobody_with_it():
    async with connected() as (desk, _, client):
        gone, stays = client.ask("slow1"), client.ask("slow2")
        await until(lambda: len(desk.asked) == 2)
        gone.cancel()
        desk.release.set()
        assert await stays == "slow2slow2"
        assert await client.ask("a") == "aa"


async def test_what_a_caller_asked_is_called_off_with_it_where_that_is_wanted():
    async with connected() as (desk, servers, _):
        client = RpcClient(lambda: servers[-1].address(HOST), 5.0, calls_off=True)
        gone, stays = client.ask("slow1"), client.ask("slow2")
        await until(lambda: len(desk.asked) == 2)
        gone.cancel()
        await until(lambda: desk.cancelled == ["slow1"])
        desk.release.set()
        assert await stays == "slow2slow2"
        await client.close()


async def test_what_is_unanswered_when_a_server_dies_is_asked_again_at_its_successor_in_order():
    async with connected() as (desk, servers, client):
        assert await client.ask("a") == "aa"
        slow = [client.ask(f"slow{n}") for n in range(3)]
        await until(lambda: len(desk.asked) == 4)
        servers.append(RpcServer(desk.answer))
        await servers[0].close()
        await until(lambda: len(desk.asked) == 7)
        desk.release.set()
        assert await asyncio.gather(*slow) == ["slow0slow0", "slow1slow1", "slow2slow2"]
    assert desk.asked == ["a", "slow0", "slow1", "slow2", "slow0", "slow1", "slow2"]
    assert sorted(desk.cancelled) == ["slow0", "slow1", "slow2"]


async def test_a_server_learns_that_a_client_died_and_drops_its_calls():
    async with connected() as (desk, _, client):
        waiting = client.ask("slow")
        await until(lambda: desk.asked == ["slow"])
        await client.close()
        await until(lambda: desk.cancelled == ["slow"])
        assert waiting.cancelled()


async def test_a_client_whose_connection_broke_while_idle_opens_another():
    async with connected() as (desk, servers, client):
        assert await client.ask("a") == "aa"
        servers.append(RpcServer(desk.answer))
        await servers[0].close()
        await asyncio.sleep(0.01)
        assert await client.ask("b") == "bb"


async def test_a_server_that_stays_away_is_an_error_for_all_who_wait():
    async def find() -> Address:
        raise ConnectionRefusedError

    client = RpcClient(find, patience_s=0.1)
    asked = [client.ask("a"), client.ask("b")]
    for future in asked:
        with pytest.raises(RpcUnavailable, match=r"not reached for 0\.1 s \(ConnectionRefusedError\)"):
            await future


async def test_messages_arrive_whole_however_the_network_cuts_them():
    async with connected() as (_, servers, _):
        address = await servers[0].address(HOST)
        reader, writer = await asyncio.open_connection(HOST, address.port)
        for byte in address.token.encode() + b'[[0, "a"], [1, "b"]]\n[[2, "' + b"c" * 100 + b'"]]\n':
            writer.write(bytes([byte]))
            await asyncio.sleep(0)
        assert await reader.readline() == b"\n"
        answers = [json.loads(await reader.readline())[0] for _ in range(3)]
        assert answers == [[0, "aa"], [1, "bb"], [2, "c" * 200]]
        writer.close()


async def test_whoever_does_not_know_the_token_is_not_served():
    async with connected() as (desk, servers, _):
        address = await servers[0].address(HOST)
        assert address.token not in repr(address)
        reader, writer = await asyncio.open_connection(HOST, address.port)
        writer.write(b"0" * len(address.token) + b'[[0, "a"]]\n')
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
        assert desk.asked == []


async def test_nothing_is_left_behind_when_both_ends_close():
    async with connected() as (_, _, client):
        await client.ask("a")
    gc.collect()
    await until(lambda: asyncio.all_tasks() == {asyncio.current_task()})
