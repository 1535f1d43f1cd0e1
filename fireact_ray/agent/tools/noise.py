"""Faults to order in the searches of one question: the conditions under which systems are compared.

FireAct's noise study lets half of all searches find nothing (`none`) or show what another search found (`random`). Here
a search is struck by the seed, the question, the query and how often this rollout has asked it before, and by nothing
else: every system that asks the same meets the same, in whatever order, on whichever worker, also after a restart. Of
two levels of one kind the higher strikes what the lower does, and more.

`faults.FaultyBackend` stands in the search itself, which does not know the question. This stands around the tools of a
rollout, outside the journal: what is recorded are the searches that were truly made.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from fireact_ray.agent.tools.base import Tool
from fireact_ray.agent.tools.faults import FaultKind, FaultPlan
from fireact_ray.core.hashing import content_hash
from fireact_ray.core.observations import NO_RESULTS, SEARCH_FAILED
from fireact_ray.core.types import Observation, ObservationStatus, Question

SEARCH, NEXT_HITS = "search", "next_hits"  # tools by name; the latter shows the hits behind those of the former

_NOTHING = Observation(NO_RESULTS, ObservationStatus.EMPTY, latency_s=0.0)
_FAILURE = Observation(SEARCH_FAILED, ObservationStatus.ERROR, latency_s=0.0)


@dataclass(frozen=True)
class Noise:
    """none: nothing is found; random: what the search for another question finds, one of `others`; stale: what the
    search before this one found; distractor: the hits behind those asked for; latency: the true hits, so much later;
    error: the search fails."""

    plan: FaultPlan
    others: tuple[str, ...] = field(default=(), repr=False)

    @cached_property
    def fingerprint(self) -> str:
        """Part of every row key."""
        plan = self.plan
        settings = [plan.probability, plan.seed, plan.latency_s if plan.kind == "latency" else None]
        return f"{plan.kind}@question-{content_hash([*settings, self.others])}"

    def around(self, tools: Mapping[str, Tool], question: Question) -> dict[str, Tool]:
        """The tools of one rollout on `question`."""
        return {**tools, SEARCH: _NoisySearch(tools[SEARCH], tools.get(NEXT_HITS), self, question)}


@dataclass
class _NoisySearch:
    inner: Tool
    next_hits: Tool | None
    noise: Noise
    question: Question
    asked: Counter[str] = field(default_factory=Counter)
    before: Observation = _NOTHING  # what the last search truly found

    @property
    def name(self) -> str:
        return self.inner.name

    @property
    def fingerprint(self) -> str:
        return f"{self.inner.fingerprint}+{self.noise.fingerprint}"

    async def __call__(self, argument: str) -> Observation:
        plan, nth = self.noise.plan, self.asked[argument]
        self.asked[argument] += 1
        draw = random.Random(content_hash([plan.seed, self.question.id, argument, nth]))
        if draw.random() < plan.probability:
            return await _SHOWN[plan.kind](self, argument, draw)
        self.before = await self.inner(argument)
        return self.before

    async def _none(self, argument: str, draw: random.Random) -> Observation:
        return _NOTHING

    async def _error(self, argument: str, draw: random.Random) -> Observation:
        return _FAILURE

    async def _random(self, argument: str, draw: random.Random) -> Observation:
        others = [text for text in self.noise.others if text != self.question.text]
        return await self.inner(draw.choice(others)) if others else _NOTHING

    async def _stale(self, argument: str, draw: random.Random) -> Observation:
        before, self.before = self.before, await self.inner(argument)
        return replace(before, latency_s=self.before.latency_s)

    async def _distractor(self, argument: str, draw: random.Random) -> Observation:
        return await self.next_hits(argument) if self.next_hits is not None else _NOTHING

    async def _latency(self, argument: str, draw: random.Random) -> Observation:
        late_s = self.noise.plan.latency_s
        await asyncio.sleep(late_s)
        self.before = await self.inner(argument)
        found_s = self.before.latency_s
        return self.before if found_s is None else replace(self.before, latency_s=found_s + late_s)


_SHOWN: dict[FaultKind, Callable[[_NoisySearch, str, random.Random], Awaitable[Observation]]] = {
    "none": _NoisySearch._none,
    "error": _NoisySearch._error,
    "random": _NoisySearch._random,
    "stale": _NoisySearch._stale,
    "distractor": _NoisySearch._distractor,
    "latency": _NoisySearch._latency,
}
