"""Faults to order: what each kind shows, and that the same searches are struck again."""

import asyncio
import time

import pytest

from fireact_ray.agent.tools.faults import FaultPlan, FaultyBackend
from fireact_ray.agent.tools.search import SearchTool
from fireact_ray.core.errors import ToolError
from fireact_ray.core.types import Hit


class Ranked:
    """Finds "<query> 1", "<query> 2", ... up to rank 4."""

    fingerprint = "ranked"

    def __init__(self):
        self.asked = []

    async def search(self, query, k):
        self.asked.append((query, k))
        return [Hit("", f"{query} {rank}") for rank in range(1, 5)][:k]

    async def close(self): ...


async def shown(backend, queries, k=1):
    """The first text per query, "" for nothing, "!" for a failure."""
    texts = []
    for query in queries:
        try:
            hits = await backend.search(query, k)
            texts.append(hits[0].text if hits else "")
        except ToolError:
            texts.append("!")
    return texts


def faulty(kind, probability=1.0, **settings):
    return FaultyBackend(Ranked(), FaultPlan(kind, probability, **settings))


async def test_none_finds_nothing_and_error_fails():
    assert await shown(faulty("none"), "ab") == ["", ""]
    assert await shown(faulty("error"), "ab") == ["!", "!"]
    assert (await SearchTool(faulty("none"))("a")).text == "No results found."
    assert (await SearchTool(faulty("error"))("a")).text == "The search is unavailable right now."


async def test_stale_shows_what_the_search_before_found():
    assert await shown(faulty("stale"), "abcd") == ["", "a 1", "b 1", "c 1"]


async def test_random_shows_what_some_earlier_search_found():
    texts = await shown(faulty("random"), [f"q{n}" for n in range(200)])
    ranks = [int(text.removeprefix("q").split()[0]) for text in texts[1:]]
    assert texts[0] == ""
    assert all(rank <= n for n, rank in enumerate(ranks))  # the n-th search after the first has n + 1 to draw from
    assert len(set(ranks)) > 50


async def test_a_distractor_is_the_next_best_hit():
    assert await shown(faulty("distractor"), "a") == ["a 2"]
    assert await faulty("distractor").search("a", 2) == [Hit("", "a 3"), Hit("", "a 4")]
    assert await faulty("distractor").search("a", 4) == []


async def test_latency_is_waited_for_and_the_true_hits_follow():
    started = time.monotonic()
    assert await shown(faulty("latency", latency_s=0.1), "a") == ["a 1"]
    assert time.monotonic() - started >= 0.1


@pytest.mark.parametrize("kind", ["none", "error", "distractor"])
async def test_the_same_searches_are_struck_whatever_the_order(kind):
    queries = [f"q{n % 50}" for n in range(200)]
    once = await shown(faulty(kind, 0.5), queries)
    backend = faulty(kind, 0.5)
    backwards = await asyncio.gather(*(shown(backend, [query]) for query in reversed(queries)))
    by_query = lambda texts, asked: {q: [t for t, a in zip(texts, asked, strict=True) if a == q] for q in asked}  # noqa: E731
    assert by_query(once, queries) == by_query([texts[0] for texts in backwards], queries[::-1])
    struck = sum(text != f"{query} 1" for text, query in zip(once, queries, strict=True))
    assert struck == 101
    assert await shown(faulty(kind, 0.5, seed=1), queries) != once


async def test_probability_zero_strikes_nothing():
    assert await shown(faulty("error", 0.0), "abc") == ["a 1", "b 1", "c 1"]
