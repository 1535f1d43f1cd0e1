"""The scripted teacher's mind: messages in, one reply out, worked out from the messages and its memory alone.

It sees no question's answer. What it states in a search episode it has read in an observation, so a changed
observation changes its answer; without a tool it recalls a part of the facts and invents the rest. The same
request always gets the same reply: chance is drawn from the seed, the messages and the request's sampling.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from fireact_ray.core import grammar
from fireact_ray.core.hashing import content_hash
from fireact_ray.core.types import Action
from fireact_ray.demo.teacher import answering, guessing, reasoning, searching
from fireact_ray.demo.teacher.conversation import Episode, Message, read_conversation
from fireact_ray.demo.teacher.memory import Memory
from fireact_ray.demo.teacher.understanding import Sum, Unclear, understand


@dataclass(frozen=True, slots=True)
class BrainConfig:
    """Rates are probabilities in [0, 1]."""

    seed: int = 0
    error_rate: float = 0.1  # of episodes with one slip: a wrong copy, an early stop, a wrong comparison or sum
    memory: float = 0.35  # of all facts are known by heart
    insight: float = 0.1  # of ReAct episodes see through a trap without being asked to look back


class Brain:
    def __init__(self, config: BrainConfig | None = None) -> None:
        self._config = config or BrainConfig()
        self._memory = Memory(self._config.seed, self._config.memory)

    def reply(self, messages: Sequence[Message], sampling: str = "") -> str:
        """Reply to a non-empty conversation; another `sampling` (temperature, seed) is another draw."""
        episode = read_conversation(messages)
        of_episode = f"{self._config.seed} {sampling} {episode.style} {episode.question}"
        of_reply = content_hash([of_episode, [[m.role, m.content] for m in messages]])
        return self._reply(episode, of_episode, random.Random(of_reply))

    def _reply(self, episode: Episode, of_episode: str, rng: random.Random) -> str:
        meaning = understand(episode.question)
        temper = self._temper(of_episode)
        if episode.style == "io":
            return f"Answer: {answering.answer_offhand(meaning, self._memory, temper.slips, rng)}"
        if episode.style == "cot":
            conclusion = answering.think(meaning, self._memory, temper.slips, rng)
            return f"{grammar.THOUGHT} {conclusion.thought}\nAnswer: {conclusion.answer}"
        if isinstance(meaning, Unclear):
            return guessing.act(episode, rng)
        if isinstance(meaning, Sum):
            conclusion = reasoning.add(rng, meaning.terms, temper.slips)
            return grammar.render(conclusion.thought, Action("finish", conclusion.answer))
        return searching.act(episode, meaning, temper, of_episode, rng)

    def _temper(self, of_episode: str) -> searching.Temper:
        rng = random.Random(of_episode)
        slips, insight, guesses = rng.random(), rng.random(), rng.random()
        return searching.Temper(slips < self._config.error_rate, insight < self._config.insight, guesses < 0.5)
