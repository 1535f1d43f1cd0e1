"""The pool of search actors over a real Ray: equal queries meet, typed failures come through, keys do not."""

import asyncio
import pickle

import pytest
import ray
from aiohttp import web
from loopback import loopback

from fireact_ray.agent.tools.config import SearchConfig
from fireact_ray.core.errors import InputError, ToolDenied, ToolError
from fireact_ray.core.types import Hit
from fireact_ray.recipe.search import open_backend
from fireact_ray.stages.actors.search import search_pool

pytestmark = pytest.mark.ray


def config(url, tmp_path, **settings):
    backend = {"kind": "retrieve", "base_url": url, "max_attempts": 1}
    return SearchConfig.model_validate({"backend": backend, "cache": {"dir": str(tmp_path)}, "actors": 2, **settings})


async def test_equal_queries_are_one_search_over_all_actors_and_failures_keep_their_type(local_ray, tmp_path):
    async def answer(request):
        query = (await request.json())["queries"][0]
        if query in ("denied", "down"):
            return web.Response(status=401 if query == "denied" else 503)
        await asyncio.sleep(0.2)
        return web.json_response({"result": [[{"document": {"contents": f"About\n{query}"}, "score": 1.0}]]})

    async with loopback(lambda _: answer) as server:
        settings = config(server.url, tmp_path)
        with search_pool(settings, open_backend(settings).fingerprint) as pool:
            queries = [f"q{n % 5}" for n in range(40)]
            hits = await asyncio.gather(*(pool.search(query, 1) for query in queries))
            assert hits == [[Hit("About", query, 1.0)] for query in queries]
            assert sorted(asked["body"]["queries"][0] for asked in server.asked) == ["q0", "q1", "q2", "q3", "q4"]
            with pytest.raises(ToolDenied, match="HTTP 401"):
                await pool.search("denied", 1)
            with pytest.raises(ToolError, match=r"HTTP 503 \(after 1 attempts\)"):
                await pool.search("down", 1)
            await pool.close()


async def test_a_slow_search_delays_none_that_was_asked_with_it(local_ray, tmp_path):
    slow_may_end = asyncio.Event()

    async def answer(request):
        query = (await request.json())["queries"][0]
        if query == "slow":
            await slow_may_end.wait()
        return web.json_response({"result": [[{"document": {"contents": query}, "score": 1.0}]]})

    async with loopback(lambda _: answer) as server:
        settings = config(server.url, tmp_path, actors=1)
        with search_pool(settings, open_backend(settings).fingerprint) as pool:
            slow = asyncio.create_task(pool.search("slow", 1))
            await asyncio.gather(*(pool.search(f"q{n}", 1) for n in range(20)))
            assert not slow.done()
            slow_may_end.set()
            assert await slow == [Hit("", "slow", 1.0)]
            await pool.close()


async def test_searches_live_through_the_death_of_their_actor_and_end_with_the_pool(local_ray, tmp_path):
    is_asked = asyncio.Event()

    async def answer(request):
        if not is_asked.is_set():
            is_asked.set()
            await asyncio.Event().wait()  # until the actor that asks dies
        return web.json_response({"result": [[{"document": {"contents": "found"}, "score": 1.0}]]})

    async with loopback(lambda _: answer) as server:
        settings = config(server.url, tmp_path, actors=1)
        with search_pool(settings, open_backend(settings).fingerprint) as pool:
            travelled = pickle.loads(pickle.dumps(pool))  # noqa: S301 (our own bytes)
            assert travelled.fingerprint == pool.fingerprint
            search = asyncio.create_task(travelled.search("q", 1))
            await is_asked.wait()
            (actor,) = pool.__reduce__()[1][0]
            ray.kill(actor, no_restart=False)
            assert await asyncio.wait_for(search, 300) == [Hit("", "found", 1.0)]
        with pytest.raises(ToolError, match="has ended with its pool"):
            async with asyncio.timeout(300):
                while True:  # a process does not die at once
                    await travelled.search("another", 1)
        await travelled.close()


def test_a_key_that_only_the_driver_has_is_an_input_error(local_ray, tmp_path, monkeypatch):
    monkeypatch.setenv("ONLY_HERE_API_KEY", "only-here-0123456789")  # set after the workers' processes began
    backend = {"kind": "serper", "api_key_env": "ONLY_HERE_API_KEY"}
    settings = SearchConfig.model_validate({"backend": backend, "cache": {"dir": str(tmp_path)}})
    fingerprint = open_backend(settings).fingerprint
    with (
        pytest.raises(InputError, match="the environment variable ONLY_HERE_API_KEY, which is not set") as caught,
        search_pool(settings, fingerprint),
    ):
        pass
    assert "only-here-0123456789" not in str(caught.value)
