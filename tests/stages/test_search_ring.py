"""The search replicas as agents see them: Serve is played by a handle that knows less than it should."""

import asyncio
import gc

import pytest

from fireact_ray.agent.tools.config import SearchConfig
from fireact_ray.core.errors import ToolError
from fireact_ray.core.net.rpc_server import RpcServer
from fireact_ray.core.types import Hit
from fireact_ray.stages.actors import replicas, search, search_ring
from fireact_ray.stages.actors.search_ring import SearchRing
from fireact_ray.stages.actors.search_server import SearchServer

pytestmark = pytest.mark.ray  # which it imports

QUERIES = [f"query {n}" for n in range(40)]


class Replica:
    def __init__(self, name: str) -> None:
        self.name = name
        self.server = RpcServer(self._answer)

    async def _answer(self, item):
        query, k = item
        return [[self.name, query, 1.0]] * k

    async def where(self):
        address = await self.server.address("127.0.0.1")
        return [address.host, address.port, address.token]


class Handle:
    """Of the deployment. `is_stuck`: Serve waits for a replica on a node that is lost."""

    def __init__(self, *replicas: Replica) -> None:
        self.replicas = list(replicas)
        self.is_stuck = False
        self.n_looks = 0

    def broadcast(self, method):
        assert method == "where"
        return self

    async def results_async(self, *, timeout_s, return_exceptions):
        self.n_looks += 1
        if self.is_stuck:
            await asyncio.Event().wait()
        return [await replica.where() for replica in self.replicas]


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(replicas, "_PATIENCE_S", 0.05)
    monkeypatch.setattr(replicas, "_PAUSE_S", 0.01)


async def names(ring: SearchRing) -> set[str]:
    found = await asyncio.gather(*(ring.search(query, 1) for query in QUERIES))
    assert [hit.text for (hit,) in found] == QUERIES
    return {hit.title for (hit,) in found}


async def test_queries_are_spread_over_the_replicas_and_each_stays_where_it_was(quick):
    ring = SearchRing(handle := Handle(Replica("a"), Replica("b")), "f")
    assert await names(ring) == {"a", "b"}
    assert await ring.search(QUERIES[0], 2) == 2 * await ring.search(QUERIES[0], 1)
    assert handle.n_looks == 1
    await ring.close()


async def test_where_a_replica_is_lost_the_others_search_on_though_serve_has_not_noticed(quick):
    lost, left = Replica("lost"), Replica("left")
    ring = SearchRing(handle := Handle(lost, left), "f")
    assert await names(ring) == {"lost", "left"}
    handle.is_stuck = True
    await lost.server.close()
    assert await names(ring) == {"left"}  # it does not wait for Serve, which waits for ever for the lost one
    await ring.close()


async def test_where_the_only_replica_is_replaced_the_new_one_is_asked(quick):
    old = Replica("old")
    ring = SearchRing(handle := Handle(old), "f")
    assert await names(ring) == {"old"}
    await old.server.close()
    handle.replicas = [Replica("new")]
    assert await names(ring) == {"new"}
    await ring.close()


async def test_where_none_is_left_it_is_a_fault_of_the_search(quick, monkeypatch):
    monkeypatch.setattr(search_ring, "_NONE_S", 0.1)
    ring = SearchRing(Handle(), "f")
    with pytest.raises(ToolError, match="No search replica answers"):
        await ring.search("query", 1)


@pytest.mark.filterwarnings("ignore:coroutine 'SearchServer.__del__'")  # Python calls it, too
async def test_a_search_replica_that_is_told_to_stop_ends_what_it_is_asked_first(monkeypatch):
    found = asyncio.Event()

    class Backend:
        fingerprint = "f"

        async def search(self, query, k):
            await found.wait()
            return [Hit("t", query, 1.0)]

    monkeypatch.setattr(search, "forward_warnings", lambda: None)  # by Ray, which is not here
    monkeypatch.setattr(search, "open_backend", lambda config, share: Backend())
    replica = SearchServer(SearchConfig(), "f", 1.0)
    await replica.__del__()  # nothing to end
    searching = asyncio.create_task(replica._answer(["q", 1]))
    stopping = asyncio.create_task(replica.__del__())
    await asyncio.wait([stopping], timeout=0.05)
    assert not stopping.done()
    found.set()
    await stopping
    assert await searching == [["t", "q", 1.0]]
    del replica, searching, stopping
    gc.collect()
