"""Faults to order around a search backend: how robust is an agent when its tool is not?

FireAct's noise study is `none` and `random` with probability 0.5. Whether a search is struck depends on the seed, the
query and how often this query was asked before, not on time or order. What `random` and `stale` show in its place is
what this process has found before, so it does depend on the order.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass
from typing import Literal

from fireact_ray.agent.tools.base import SearchBackend
from fireact_ray.core.errors import ToolError
from fireact_ray.core.hashing import content_hash
from fireact_ray.core.types import Hit

FaultKind = Literal["none", "random", "stale", "distractor", "latency", "error"]

_MEMORY = 100_000  # earlier results to draw from


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """`kind`, and the `probability` with which it strikes a search.

    none: nothing is found; random: what any earlier search found; stale: what the search before this one found;
    distractor: the hits that come next after the ones asked for; latency: the true hits after `latency_s`; error: the
    search fails.
    """

    kind: FaultKind
    probability: float
    seed: int = 0
    latency_s: float = 5.0


class FaultyBackend:
    """Fingerprints with its plan: rows made under faults never pass for others."""

    def __init__(self, inner: SearchBackend, plan: FaultPlan) -> None:
        settings = [plan.kind, plan.probability, plan.seed, plan.latency_s if plan.kind == "latency" else None]
        self.fingerprint = f"{inner.fingerprint}+{plan.kind}-{content_hash(settings)}"
        self._inner, self._plan = inner, plan
        self._asked: Counter[str] = Counter()
        self._earlier: list[list[Hit]] = []
        self._n_found = 0

    async def search(self, query: str, k: int) -> list[Hit]:
        plan, nth = self._plan, self._asked[query]
        self._asked[query] += 1
        draw = random.Random(content_hash([plan.seed, query, nth]))
        if draw.random() >= plan.probability:
            return self._remember(await self._inner.search(query, k))
        if plan.kind == "none":
            return []
        if plan.kind == "error":
            raise ToolError("An injected fault.")
        if plan.kind == "distractor":
            return (await self._inner.search(query, 2 * k))[k:]
        if plan.kind == "latency":
            await asyncio.sleep(plan.latency_s)
            return await self._inner.search(query, k)
        shown = self._other(draw)
        self._remember(await self._inner.search(query, k))  # asked all the same, to be an earlier one for later ones
        return shown

    async def close(self) -> None:
        await self._inner.close()

    def _other(self, draw: random.Random) -> list[Hit]:
        """What is shown instead; nothing where nothing was found yet."""
        if not self._earlier:
            return []
        if self._plan.kind == "stale":
            return self._earlier[(self._n_found - 1) % _MEMORY]
        return draw.choice(self._earlier)

    def _remember(self, hits: list[Hit]) -> list[Hit]:
        if len(self._earlier) < _MEMORY:
            self._earlier.append(hits)
        else:
            self._earlier[self._n_found % _MEMORY] = hits
        self._n_found += 1
        return hits
