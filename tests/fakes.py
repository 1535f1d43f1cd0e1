"""Small real objects that stand in for paid or heavy ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from fireact_ray.agent.agent import Agent
from fireact_ray.agent.methods import make_method
from fireact_ray.agent.models.base import Completion, Sampling
from fireact_ray.agent.rollout import Limits
from fireact_ray.agent.tools.search import SearchTool
from fireact_ray.core.errors import ModelError, ToolError
from fireact_ray.core.types import (
    Action,
    Hit,
    Observation,
    ObservationStatus,
    Question,
    Score,
    Step,
    StopReason,
    Trajectory,
    Turn,
    Usage,
)
from fireact_ray.tasks.scoring import best_score


class ScriptedModel:
    """Replies with the given texts (or raises the given errors) in order, and records what it was asked."""

    name = "scripted"

    def __init__(self, *replies: str | ModelError) -> None:
        self.replies = list(replies)
        self.asked: list[tuple[Turn, ...]] = []

    async def complete(self, turns: Sequence[Turn], sampling: Sampling) -> Completion:
        self.asked.append(tuple(turns))
        reply = self.replies.pop(0)
        if isinstance(reply, ModelError):
            raise reply
        return Completion(reply, "stop", Usage(10, 5))

    async def close(self) -> None: ...


class DictBackend:
    """Finds what it was given under exactly that query; fails on the query "down"."""

    fingerprint = "dict"

    def __init__(self, texts: dict[str, str]) -> None:
        self.texts = texts
        self.queries: list[str] = []

    async def search(self, query: str, k: int) -> list[Hit]:
        self.queries.append(query)
        if query == "down":
            raise ToolError("the backend is down")
        return [Hit("", self.texts[query])] if query in self.texts else []

    async def close(self) -> None: ...


class ByteTokenizer:
    """One id per UTF-8 byte, shifted by 3; 0 pads, 1 begins, 2 ends."""

    bos_id: int | None = 1
    eos_id = 2
    fingerprint = "bytes"

    def encode(self, text: str, follows: str = "start") -> list[int]:
        return [byte + 3 for byte in text.encode()]

    def encode_batch(self, texts: Sequence[str], follows: str = "start") -> list[list[int]]:
        return [self.encode(text, follows) for text in texts]

    def decode(self, ids: Sequence[int]) -> str:
        return bytes(i - 3 for i in ids if i >= 3).decode(errors="replace")


def question(text: str = "Who wrote The Road to Zem?", answer: str = "Ila Dun") -> Question:
    return Question("jsonl", "q1", text, (answer,))


SEARCH = "Thought: I need the author.\nAction: search[The Road to Zem author]"
FINISH = "Thought: Ila Dun wrote it.\nAction: finish[Ila Dun]"
TEXTS = {"The Road to Zem author": "The Road to Zem is a novel by Ila Dun."}


def agent(*replies, method="react", limits=None, texts=TEXTS, few_shot=False) -> Agent:
    return Agent(
        method=make_method(method, "jsonl", few_shot=few_shot, reflect_every=2),
        model=ScriptedModel(*replies),
        tools={"search": SearchTool(DictBackend(texts))},
        limits=limits or Limits(),
        score=lambda q, answer: best_score(answer, q.answers),
    )


def finished_trajectory(key: str = "k1", **changes) -> Trajectory:
    """An invalid reply, a search and a finish, correct unless `changes` say otherwise."""
    steps = (
        Step("hm", None, Observation("invalid", ObservationStatus.ERROR), "hm"),
        Step("t", Action("search", "q [1]"), Observation("o"), "raw", Usage(3, 2), 0.5, 0.1),
        Step("t2", Action("finish", "Ila Dun"), None, "raw2", Usage(4, 1), 0.25),
    )
    whole = Trajectory(key, question(), "react", "m", 0, steps, StopReason.FINISHED, Score(1.0, 1.0))
    return replace(whole, **changes)
