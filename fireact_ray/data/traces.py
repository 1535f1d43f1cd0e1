"""What a prompting method or a recorder left in a conversation, and a thought without it.

A student must not be able to tell from a row's form by which method it was made. Reflexion announces its reflection
("Now that I haven't solved the task within 5 steps, let me do a reflection ..."), recorders append the reward, with
another spelling for each method. Sentences of the first kind are taken out of thoughts when a training row is made;
the reward is read as a score when a file is imported. A row in which a trace is left is no training row.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from fireact_ray.core.reasoning import split_reasoning
from fireact_ray.core.types import Step

_REWARD = re.compile(r"\bepisode finished\b|\breward\s*=\s*(?:true|false|-?[\d.]+)", re.IGNORECASE | re.ASCII)
_REWARD_WORDS = ("episode finished", "reward")
_METHOD = re.compile(
    r"\bdo a reflection\b"
    r"|\bI (?:haven't|have not) solved the task within \d+ steps"
    r"|\b(?:wrap up and )?finish this task in the next step\b"
    r"|\b\d+[- ]step limit\b"
    r"|\bReflect: the question is still open\b"
    r"|\b(?:ReAct|Reflexion|chain[- ]of[- ]thought) (?:agent|method|format|prompt)\b",
    re.IGNORECASE | re.ASCII,
)
# Each alternative above holds one of these: looking for them first spares most texts the slow search.
_METHOD_WORDS = ("reflect", "reflexion", "react", "chain", "task", "limit")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")


def names_reward(text: str) -> bool:
    """Text of an assistant that speaks of the episode's reward."""
    return _holds_any(text, _REWARD_WORDS) and _REWARD.search(text) is not None


def is_reward(observation: str) -> bool:
    """An observation, without its label, that is the episode's reward; a page that mentions one is not."""
    return _REWARD.match(observation) is not None


def names_method(text: str) -> bool:
    return _holds_any(text, _METHOD_WORDS) and _METHOD.search(text) is not None


def plain_thought(thought: str) -> str:
    """The thought without the sentences that name its method; empty where it has no other. Idempotent."""
    if not names_method(thought):
        return thought
    return " ".join(sentence for sentence in _SENTENCE_END.split(thought) if not names_method(sentence))


def has_trace(steps: Sequence[Step]) -> bool:
    """Some plain thought or argument names method or reward, or some observation is a reward."""
    written = [text for step in steps for text in (plain_thought(step.thought), step.action and step.action.argument)]
    shown = (step.observation.text for step in steps if step.observation is not None)
    return any(text and (names_reward(text) or names_method(text)) for text in written) or any(map(is_reward, shown))


def holds_hidden_reasoning(text: str) -> bool:
    """Marks of hidden reasoning (core.reasoning) that would be trained, or that were read as what was said."""
    return split_reasoning(text)[1] is not text


def has_hidden_reasoning(steps: Sequence[Step]) -> bool:
    """Some thought holds marks of it, or some reply: then the step may be what the model only thought of doing."""
    return any(holds_hidden_reasoning(step.thought) or holds_hidden_reasoning(step.completion) for step in steps)


def _holds_any(text: str, words: Sequence[str]) -> bool:
    lowered = text.lower()
    for word in words:  # noqa: SIM110 - any() takes twice as long, and every text of every row comes by here
        if word in lowered:
            return True
    return False
