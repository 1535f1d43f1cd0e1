"""Questions in no form that the teacher knows: search their names, then answer with a span of what was found.

So every task's questions get well-formed trajectories, right ones only by luck.
"""

from __future__ import annotations

import random
import re

from fireact_ray.core import grammar
from fireact_ray.core.types import Action
from fireact_ray.demo.teacher.conversation import Episode

_CHOICE = re.compile(r"^\(?([A-J])[.):]", re.MULTILINE)
_CLOSED = re.compile(r"(is|are|was|were|do|does|did|can|could|will|would|has|have|had)\b", re.IGNORECASE)
_NAME = re.compile(r"[A-Z][\w'-]*(?: (?:(?:of|the|and|de|van) )?[A-Z0-9][\w'-]*)*")
_SPAN = re.compile(rf"{_NAME.pattern}|\b\d[\d,.]*\b")
_ASKING = {
    "who",
    "whom",
    "whose",
    "what",
    "which",
    "when",
    "where",
    "why",
    "how",
    "by",
    "in",
    "on",
    "at",
    "the",
}
_N_SEARCHES = 2


def act(episode: Episode, rng: random.Random) -> str:
    topics = _topics(episode.question)
    n = len(episode.searches)
    if n < min(_N_SEARCHES, len(topics)):
        return grammar.render(f"I look for {topics[n]}.", Action("search", topics[n]))
    answer = guess(episode.question, " ".join(s.observation for s in reversed(episode.searches)), rng)
    return grammar.render(f"The results point to {answer}, so the answer is {answer}.", Action("finish", answer))


def guess(question: str, text: str, rng: random.Random) -> str:
    """A letter for a multiple choice, yes or no for a closed question, else a span of text or question."""
    choices: list[str] = _CHOICE.findall(question)
    if choices:
        return rng.choice(choices)
    if _CLOSED.match(question):
        return rng.choice(("yes", "no"))
    spans = [span for span in _SPAN.findall(text) if span not in question] or _topics(question)
    return spans[0].rstrip(".,")


def _topics(question: str) -> list[str]:
    """Names of the question, the longest first; its longest words where it has none."""
    first_line = question.split("\n", 1)[0]
    names = [name for name in _NAME.findall(first_line) if name.lower() not in _ASKING]
    words = [word for word in re.findall(r"\w+", first_line) if word.lower() not in _ASKING]
    found = sorted(dict.fromkeys(names), key=len, reverse=True) or sorted(words, key=len, reverse=True)
    return found or [first_line or "nothing"]
