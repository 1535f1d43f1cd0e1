"""Cache, breaker and pace around a backend, and the order in which a recipe stacks them."""

import asyncio
import logging
import sqlite3

import pytest
from clocks import in_no_time
from fakes import DictBackend

from fireact_ray.agent.tools.cache import CachingBackend
from fireact_ray.agent.tools.circuit_breaker import BreakerBackend
from fireact_ray.agent.tools.config import SearchConfig
from fireact_ray.agent.tools.faults import FaultPlan, FaultyBackend
from fireact_ray.agent.tools.rate_limit import RateLimitedBackend
from fireact_ray.agent.tools.stack import wrapped
from fireact_ray.core.errors import ToolError
from fireact_ray.core.types import Hit
from fireact_ray.recipe.search import open_backend

pytestmark = pytest.mark.slow

TARN = [Hit("", "Lake Tarn is 410 m deep.")]


class SlowBackend(DictBackend):
    async def search(self, query, k):
        await asyncio.sleep(0.05)
        return await super().search(query, k)


class Clock:
    """A clock that a test moves."""

    now = 100.0

    def __call__(self):
        return self.now


def tarn(kind=DictBackend):
    return kind({"tarn": "Lake Tarn is 410 m deep."})


async def test_a_query_is_asked_once_also_by_a_later_process(tmp_path):
    inner, cache = tarn(), CachingBackend(tarn(), tmp_path / "c.sqlite3")
    assert await cache.search("tarn", 1) == await cache.search("tarn", 1) == TARN
    await cache.close()
    later = CachingBackend(inner, tmp_path / "c.sqlite3")
    assert await later.search("tarn", 1) == TARN
    assert inner.queries == []
    await later.close()


async def test_nothing_found_is_remembered_too(tmp_path):
    cache = CachingBackend(inner := tarn(), tmp_path / "c.sqlite3")
    assert await cache.search("nothing", 1) == await cache.search("nothing", 1) == []
    assert inner.queries == ["nothing"]
    await cache.close()


async def test_another_k_or_another_backend_is_another_question(tmp_path):
    cache = CachingBackend(inner := tarn(), tmp_path / "c.sqlite3")
    await cache.search("tarn", 1)
    await cache.search("tarn", 2)
    assert inner.queries == ["tarn", "tarn"]
    await cache.close()
    other = tarn()
    other.fingerprint = "another"
    cache = CachingBackend(other, tmp_path / "c.sqlite3")
    await cache.search("tarn", 1)
    assert other.queries == ["tarn"]
    await cache.close()


async def test_failures_are_never_kept(tmp_path):
    cache = CachingBackend(inner := tarn(), tmp_path / "c.sqlite3")
    for _ in range(2):
        with pytest.raises(ToolError):
            await cache.search("down", 1)
    assert inner.queries == ["down", "down"]
    await cache.close()


async def test_equal_queries_at_the_same_time_are_one_search(tmp_path):
    cache = CachingBackend(inner := tarn(SlowBackend), tmp_path / "c.sqlite3")
    assert await asyncio.gather(*(cache.search("tarn", 1) for _ in range(50))) == [TARN] * 50
    failures = await asyncio.gather(*(cache.search("down", 1) for _ in range(3)), return_exceptions=True)
    assert [type(failure) for failure in failures] == [ToolError] * 3
    assert inner.queries == ["tarn", "down"]
    await cache.close()


async def test_a_cancelled_caller_takes_nothing_from_the_others(tmp_path):
    cache = CachingBackend(inner := tarn(SlowBackend), tmp_path / "c.sqlite3")
    first, second = (asyncio.create_task(cache.search("tarn", 1)) for _ in range(2))
    await asyncio.sleep(0.01)
    first.cancel()
    assert await second == TARN
    assert inner.queries == ["tarn"]
    await cache.close()


async def test_a_cache_is_shared_by_processes_that_write_at_the_same_time(tmp_path):
    caches = [CachingBackend(tarn(), tmp_path / "c.sqlite3") for _ in range(4)]
    await asyncio.gather(*(cache.search(f"{n}", 1) for n in range(50) for cache in caches))
    with sqlite3.connect(tmp_path / "c.sqlite3") as store:
        assert store.execute("SELECT count(*) FROM results").fetchone() == (50,)
        assert store.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    for cache in caches:
        await cache.close()


@pytest.mark.parametrize("content", [b"no database at all", b"SQLite format 3\x00" + b"\xff" * 200])
async def test_a_broken_cache_costs_money_and_not_the_run(content, tmp_path, caplog):
    (tmp_path / "c.sqlite3").write_bytes(content)
    cache = CachingBackend(inner := tarn(), tmp_path / "c.sqlite3")
    with caplog.at_level(logging.WARNING):
        assert await cache.search("tarn", 1) == await cache.search("tarn", 1) == TARN
    assert inner.queries == ["tarn", "tarn"]
    assert [record.getMessage().split(":")[0] for record in caplog.records] == [f"Search cache {tmp_path}/c.sqlite3"]
    await cache.close()


async def test_hostile_texts_come_back_from_the_cache_as_they_went_in(tmp_path):
    text = "NUL \x00, \u202e, emoji \U0001f600, \u2028"  # no half of a character: the reader of JSON knows none
    backend = DictBackend({"\ud800 q": text})
    cache = CachingBackend(backend, tmp_path / "c.sqlite3")
    assert await cache.search("\ud800 q", 1) == await cache.search("\ud800 q", 1) == [Hit("", text)]
    assert len(backend.queries) == 1
    await cache.close()


async def failing(backend, query="down"):
    with pytest.raises(ToolError) as caught:
        await backend.search(query, 1)
    return str(caught.value)


async def test_a_breaker_opens_after_failures_in_a_row_and_a_probe_closes_it():
    clock = Clock()
    breaker = BreakerBackend(inner := tarn(), failures=3, pause_s=10, clock=clock)
    for query in ("down", "down", "tarn", "down", "down"):  # never three in a row
        if query == "down":
            await failing(breaker)
        else:
            await breaker.search(query, 1)
    await failing(breaker)
    assert await failing(breaker, "tarn") == "The search failed 3 times in a row and is left alone for a while."
    assert len(inner.queries) == 6
    clock.now += 10
    assert await breaker.search("tarn", 1) == await breaker.search("tarn", 1) == TARN


async def test_a_probe_that_fails_opens_it_for_another_pause():
    clock = Clock()
    breaker = BreakerBackend(inner := tarn(), failures=1, pause_s=10, clock=clock)
    await failing(breaker)
    clock.now += 10
    assert await failing(breaker) == "the backend is down"
    clock.now += 9
    await failing(breaker, "tarn")
    assert inner.queries == ["down", "down"]
    clock.now += 1
    assert await breaker.search("tarn", 1) == TARN


async def test_one_search_probes_and_a_cancelled_probe_frees_its_place():
    clock = Clock()
    breaker = BreakerBackend(inner := tarn(SlowBackend), failures=1, pause_s=10, clock=clock)
    await failing(breaker)
    clock.now += 10
    probe = asyncio.create_task(breaker.search("tarn", 1))
    await asyncio.sleep(0.01)
    await failing(breaker, "tarn")
    probe.cancel()
    await asyncio.gather(probe, return_exceptions=True)
    assert await breaker.search("tarn", 1) == TARN
    assert inner.queries == ["down", "tarn"]


@in_no_time
async def test_searches_keep_the_pace_in_the_order_in_which_they_came():
    clock = asyncio.get_running_loop().time
    paced = RateLimitedBackend(inner := DictBackend({}), per_second=100, burst=5, clock=clock)
    await asyncio.gather(*(paced.search(f"{n}", 1) for n in range(25)))
    assert clock() == pytest.approx(0.2)  # 5 at once, 20 at 100 a second
    assert inner.queries == [f"{n}" for n in range(25)]


async def test_a_rest_allows_a_burst_and_no_more():
    clock = Clock()
    paced = RateLimitedBackend(DictBackend({}), per_second=10, burst=3, clock=clock)
    assert [round(paced._take(), 6) for _ in range(5)] == [-0.2, -0.1, 0.0, 0.1, 0.2]
    clock.now += 100
    assert [round(paced._take(), 6) for _ in range(4)] == [-0.2, -0.1, 0.0, 0.1]


def search(**settings):
    return SearchConfig.model_validate(settings)


def test_by_default_an_index_is_bare_and_a_provider_is_cached(tmp_path, monkeypatch):
    monkeypatch.setenv("FIREACT_CACHE", str(tmp_path))
    assert type(open_backend(search())).__name__ == "IndexBackend"
    assert type(open_backend(search(backend={"kind": "wikipedia"}))).__name__ == "CachingBackend"
    bare = open_backend(search(backend={"kind": "wikipedia"}, cache={"enabled": False}))
    assert type(bare).__name__ == "WebBackend"


def test_only_faults_change_row_keys(tmp_path):
    settings = {"cache": {"enabled": True}, "rate": {"per_second": 5}, "breaker": {"failures": 3}}
    backend = wrapped(tarn(), search(**settings), tmp_path)
    assert backend.fingerprint == "dict"
    kinds = ["none", "random", "stale", "distractor", "latency", "error"]
    plans = [{"kind": kind, "probability": p} for kind in kinds for p in (0.2, 0.5)] + [{"kind": "none", "seed": 1}]
    fingerprints = {wrapped(tarn(), search(faults=plan), tmp_path).fingerprint for plan in plans}
    assert len(fingerprints) == 13
    assert wrapped(tarn(), search(faults={"kind": "error", "probability": 0}), tmp_path).fingerprint == "dict"


def test_a_run_folder_remembers_what_shapes_observations():
    plain = search(backend={"kind": "serper"}, n_hits=2)
    moved = search(backend={"kind": "serper", "api_key_env": "OTHER", "timeout_s": 5}, n_hits=2, rate={"per_second": 1})
    assert plain.shaping() == moved.shaping()
    assert plain.shaping()["backend"] == {
        "kind": "serper",
        "base_url": "https://google.serper.dev",
        "country": "us",
        "language": "en",
    }
    assert search(faults={"kind": "none"}).shaping() != search().shaping()


async def test_faults_strike_cached_results_and_stay_out_of_the_cache(tmp_path):
    inner = tarn()
    backend = wrapped(inner, search(cache={"enabled": True}, faults={"kind": "none", "probability": 1}), tmp_path)
    assert await backend.search("tarn", 1) == []
    await backend.close()
    cached = wrapped(inner, search(cache={"enabled": True}), tmp_path)
    assert await cached.search("tarn", 1) == TARN
    await cached.close()
    assert isinstance(backend, FaultyBackend)
    assert FaultPlan("none", 1.0) == search(faults={"kind": "none", "probability": 1}).faults.plan()
