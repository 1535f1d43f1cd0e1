"""Agents without a teacher: calls that take virtual time and give a made-up reply of ordinary size.

How long a call takes, how many steps a rollout has and what its replies say follow from the question and the step
alone. The steps are distributed as in FireAct's published trajectories: mostly 2 to 4, at most 11.
"""

from __future__ import annotations

import asyncio
import random
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fireact_ray.agent.agent import Agent
from fireact_ray.agent.methods import make_method
from fireact_ray.agent.models.base import Completion, Sampling
from fireact_ray.agent.models.slots import Slots, Slotted
from fireact_ray.agent.rollout import Limits
from fireact_ray.core import grammar
from fireact_ray.core.types import Action, Observation, Question, Turn, Usage

_STEPS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)
_STEP_WEIGHTS = (2, 30, 34, 17, 8, 4, 2, 1, 1, 0.5, 0.5)
_MEDIAN_S, _SIGMA = 2.0, 0.6
SEARCH_S = 0.8
_WORDS = tuple(f"{a}{b}{c}" for a in ("ka", "lo", "mi", "ne", "su") for b in ("ra", "ti", "vo") for c in ("n", "l", ""))


@dataclass(frozen=True)
class Questions:
    """`n` questions, made when they are looked at: to hold them is the task's matter, not the scheduler's."""

    n: int

    def __iter__(self) -> Iterator[Question]:
        return (Question("jsonl", f"q{i}", f"Which of the {i} things was first?", ()) for i in range(self.n))


@dataclass
class Meter:
    """Slots in use over virtual time, until the last rollout was begun."""

    slots: int
    in_use: int = 0
    n_calls: int = 0
    _busy_s: float = 0.0
    _at_s: float = 0.0
    _until: tuple[float, float] = (0.0, 0.0)

    def change(self, by: int, now_s: float, opens: bool = False) -> None:
        self._busy_s += self.in_use * (now_s - self._at_s)
        self._at_s, self.in_use = now_s, self.in_use + by
        self.n_calls += by > 0
        if opens:
            self._until = (now_s, self._busy_s)

    @property
    def share_in_use(self) -> float:
        until_s, busy_s = self._until
        return busy_s / (self.slots * until_s) if until_s else 1.0


@dataclass(frozen=True)
class NullChat:
    meter: Meter
    name: str = "null"

    async def complete(self, turns: Sequence[Turn], sampling: Sampling) -> Completion:
        loop = asyncio.get_running_loop()
        step = len(turns) // 2
        rng = _rng(turns[0].content, step)
        self.meter.change(1, loop.time(), opens=step == 0)
        try:
            await asyncio.sleep(latency_s(rng))
        finally:
            self.meter.change(-1, loop.time())
        last = step + 1 >= n_steps(_rng(turns[0].content, -1))
        thought = " ".join(rng.choices(_WORDS, k=18))
        action = Action("finish" if last else "search", " ".join(rng.choices(_WORDS, k=3)))
        return Completion(grammar.render(thought, action), usage=Usage(1100 + 60 * step, 50))

    async def close(self) -> None:
        """Nothing is open."""


@dataclass(frozen=True)
class NullSearch:
    name: str = "search"
    fingerprint: str = "null"

    async def __call__(self, argument: str) -> Observation:
        await asyncio.sleep(SEARCH_S)
        return Observation(" ".join(_rng(argument, 0).choices(_WORDS, k=40)))


def null_agents(meter: Meter, slots: Slots) -> dict[str, Agent]:
    """One process' agents, over its share of the slots."""
    method = make_method("react", "jsonl", few_shot=False)
    model = Slotted(NullChat(meter), slots)
    return {"react": Agent(method, model, {"search": NullSearch()}, limits=Limits(max_steps=max(_STEPS)))}


def n_steps(rng: random.Random) -> int:
    return rng.choices(_STEPS, _STEP_WEIGHTS)[0]


def latency_s(rng: random.Random) -> float:
    return _MEDIAN_S * rng.lognormvariate(0.0, _SIGMA)


def _rng(text: str, step: int) -> random.Random:
    return random.Random(zlib.crc32(f"{step} {text}".encode()))
