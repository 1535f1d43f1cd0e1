"""Who asks what, worked out from the messages alone: chat messages -> Episode."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from fireact_ray.agent.methods.direct import COT_FORMAT, IO_FORMAT
from fireact_ray.agent.methods.react import REFLECT
from fireact_ray.core import grammar
from fireact_ray.tasks.almanac.reading import read_facts

Facts = dict[tuple[str, str], str]  # (relation or alias, subject) -> object

_REFLECT = "\n" + REFLECT.split("{", 1)[0]


@dataclass(frozen=True, slots=True)
class Message:
    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Search:
    """One step so far. `query` is empty where the reply held no usable search."""

    query: str
    observation: str


@dataclass(frozen=True)
class Episode:
    """One question and what was found for it."""

    style: Literal["io", "cot", "act"]  # which kind of reply is asked for
    question: str
    searches: tuple[Search, ...]
    reflecting: bool  # the last message asks to look back

    def known(self) -> Facts:
        """What the observations state; the first statement of a fact counts."""
        facts: Facts = {}
        for search in self.searches:
            facts = read_facts(search.observation) | facts
        return facts


def read_conversation(messages: Sequence[Message]) -> Episode:
    """The newest episode: the last user message that is no observation, and what follows it."""
    asked = max((i for i, m in enumerate(messages) if _asks(m)), default=0)
    system = "\n".join(m.content for m in messages if m.role in ("system", "developer"))
    searches, query = [], ""
    for message in messages[asked + 1 :]:
        if message.role == "assistant":
            action = grammar.parse(message.content).action
            query = action.argument if action and action.tool == "search" else ""
        elif message.role == "user":
            shown = message.content.split(_REFLECT, 1)[0]
            searches.append(Search(query, shown.removeprefix(grammar.OBSERVATION).strip()))
    question = messages[asked].content.strip().removeprefix("Question:").strip()
    return Episode(_style(system), question, tuple(searches), _REFLECT in messages[-1].content)


def _asks(message: Message) -> bool:
    return message.role == "user" and not message.content.startswith(grammar.OBSERVATION)


def _style(system: str) -> Literal["io", "cot", "act"]:
    if COT_FORMAT in system:
        return "cot"
    return "io" if IO_FORMAT in system else "act"
