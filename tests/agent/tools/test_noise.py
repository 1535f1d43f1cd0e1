"""Conditions: every system that asks the same in the same question meets the same, whatever else goes on."""

import asyncio
import time
from dataclasses import replace

import pytest
from fakes import ScriptedModel, question

from fireact_ray.agent.agent import Agent
from fireact_ray.agent.methods import make_method
from fireact_ray.agent.rollout import Limits
from fireact_ray.agent.tools.faults import FaultPlan
from fireact_ray.agent.tools.noise import NEXT_HITS, SEARCH, Noise
from fireact_ray.agent.tools.search import SearchTool
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.types import Hit, ObservationStatus, Question, StopReason
from fireact_ray.rollouts.journal import Journal, read_journal
from fireact_ray.rollouts.replay import journaled

OTHERS = ("Who wrote The Road to Zem?", "How deep is Lake Tarn?", "Where is Zem?")


class Ranked:
    """Finds "<query> 1", "<query> 2", ... and counts how often it is asked."""

    fingerprint = "ranked"

    def __init__(self):
        self.asked = []

    async def search(self, query, k):
        self.asked.append(query)
        return [Hit("", f"{query} {rank}") for rank in range(1, k + 1)]

    async def close(self): ...


def asking(number: int) -> Question:
    return replace(question(), id=f"q{number}")


def tools_of(backend):
    search = SearchTool(backend)
    return {SEARCH: search, NEXT_HITS: replace(search, name=NEXT_HITS, skip=1)}


async def shown(kind, queries, probability=1.0, of=None, backend=None, **settings):
    """What one rollout's searches for `queries` show."""
    noise = Noise(FaultPlan(kind, probability, **settings), OTHERS if kind == "random" else ())
    search = noise.around(tools_of(backend or Ranked()), of or asking(0))[SEARCH]
    return [(await search(query)).text for query in queries]


async def test_what_each_kind_shows():
    assert await shown("none", "ab") == ["No results found."] * 2
    assert await shown("error", "a") == ["The search is unavailable right now."]
    assert await shown("stale", "abc") == ["No results found.", "a 1", "b 1"]
    assert await shown("distractor", "a") == ["a 2"]
    assert await shown("latency", "a", latency_s=0.0) == ["a 1"]


async def test_stale_is_what_the_search_before_truly_found_struck_or_not():
    queries = [f"query {n}" for n in range(40)]
    texts = await shown("stale", queries, 0.5)
    struck = [n for n in range(1, 40) if texts[n] != f"{queries[n]} 1"]
    assert 10 < len(struck) < 30
    assert [texts[n] for n in struck] == [f"{queries[n - 1]} 1" for n in struck]


async def test_random_shows_what_the_search_for_another_question_finds():
    texts = set(await shown("random", [f"query {n}" for n in range(30)]))
    assert texts == {"How deep is Lake Tarn? 1", "Where is Zem? 1"}  # its own question is none of the others


async def test_a_search_that_finds_nothing_by_order_asks_nobody():
    backend = Ranked()
    await shown("none", "abc", backend=backend)
    assert backend.asked == []


@pytest.mark.parametrize("kind", ["none", "random", "distractor", "error"])
async def test_the_same_query_of_the_same_question_meets_the_same_whatever_was_asked_before(kind):
    alone = {query: (await shown(kind, [query], 0.5))[0] for query in "abcdefgh"}
    among_others = dict(zip("hgfedcba", await shown(kind, "hgfedcba", 0.5), strict=True))
    assert alone == among_others
    at_once = await asyncio.gather(*(shown(kind, [query], 0.5) for query in "abcdefgh"))
    assert [texts[0] for texts in at_once] == list(alone.values())


async def test_another_question_another_seed_and_asking_again_are_other_draws():
    struck = lambda texts: [text == "No results found." for text in texts]  # noqa: E731
    queries = [f"query {n}" for n in range(64)]
    one = struck(await shown("none", queries, 0.5))
    assert struck(await shown("none", queries, 0.5, of=asking(1))) != one
    assert struck(await shown("none", queries, 0.5, seed=1)) != one
    again = struck(await shown("none", ["query 0"] * 64, 0.5))
    assert 20 < sum(again) < 44


async def test_half_is_half_and_a_higher_level_strikes_what_a_lower_one_does():
    queries = [f"query {n}" for n in range(400)]
    shown_at = [await shown("none", queries, level) for level in (0.25, 0.5, 0.75)]
    low, half, high = ([text == "No results found." for text in texts] for texts in shown_at)
    assert 160 < sum(half) < 240
    assert all(a <= b <= c for a, b, c in zip(low, half, high, strict=True))
    assert sum(low) < sum(half) < sum(high)


async def test_kinds_strike_the_same_searches():
    queries = [f"query {n}" for n in range(50)]
    struck = [
        [text != f"{query} 1" for query, text in zip(queries, await shown(kind, queries, 0.5), strict=True)]
        for kind in ("none", "error", "distractor")
    ]
    assert struck[0] == struck[1] == struck[2]


async def test_searches_that_fail_by_order_end_no_rollout_as_failed():
    """Else five of them would stop the run, and the rest would be asked again for nothing."""
    replies = ["Thought: t\nAction: search[a]"] * 4
    noise = Noise(FaultPlan("error", 1.0))
    limits = Limits(max_steps=4, max_tool_errors=0)
    agent = Agent(
        make_method("react", "jsonl"), ScriptedModel(*replies), tools_of(Ranked()), limits=limits, noise=noise
    )
    assert (await agent.run(asking(0))).stop_reason is StopReason.MAX_STEPS


async def test_latency_is_waited_for_and_told():
    noise = Noise(FaultPlan("latency", 1.0, latency_s=0.05))
    started = time.monotonic()
    observation = await noise.around(tools_of(Ranked()), asking(0))[SEARCH]("a")
    assert time.monotonic() - started >= 0.05
    assert observation.status is ObservationStatus.OK


def test_rows_made_under_a_condition_never_pass_for_others():
    plain = Agent(make_method("react", "jsonl"), ScriptedModel(), tools_of(Ranked()))
    plans = [FaultPlan("none", 0.5), FaultPlan("none", 0.25), FaultPlan("none", 0.5, seed=1), FaultPlan("random", 0.5)]
    agents = [plain, *(replace(plain, noise=Noise(plan)) for plan in plans)]
    agents.append(replace(plain, noise=Noise(plans[-1], OTHERS)))
    assert len({agent.trajectory_id(asking(0)) for agent in agents}) == 6


async def test_a_killed_rollout_goes_on_under_the_same_faults(tmp_path):
    """Its first calls are answered from the journal; a draw that counted only the searches made would be another."""
    replies = [f"Thought: t\nAction: search[{query}]" for query in ("a", "b", "a", "a", "b", "c", "a")]
    replies.append("Thought: t\nAction: finish[Ila Dun]")
    noise = Noise(FaultPlan("stale", 0.5, seed=3))

    async def run(name, replies, paid):
        bare = Agent(make_method("react", "jsonl"), ScriptedModel(*replies), tools_of(Ranked()), noise=noise)
        journal = Journal(Folder(str(tmp_path / name)), "w")
        row = await journaled(bare, journal, "k", paid, offline=False).run(asking(0))
        journal.close()
        return [step.observation and step.observation.text for step in row.steps]

    whole = await run("one", replies, {})
    entries = {entry.call: entry for entry in read_journal(Folder(str(tmp_path / "one")))}
    until_killed = dict(list(entries.items())[:9])
    n_asked = sum(call.startswith("model/") for call in until_killed)
    assert await run("two", replies[n_asked:], until_killed) == whole
