"""What a chat model is: turns in, one completion out."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from fireact_ray.agent.quota.rate_headers import RateNotice
from fireact_ray.core.reasoning import split_reasoning
from fireact_ray.core.turn_marks import own_turn
from fireact_ray.core.types import Turn, Usage


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to sample one reply. `temperature` 0 is greedy; a reply ends before the first of `stop`."""

    temperature: float = 0.0
    max_new_tokens: int = 512
    stop: tuple[str, ...] = ()
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Completion:
    """`finish_reason`: "stop" (end token or stop string) or "length" (cut by max_new_tokens).

    `text`: `spoken` says what of it counts.
    `latency_s`: how long the reply took when it was paid for; None lets the rollout measure it.
    `reasoning`: what the model thought outside of its text, or hid in it; never obeyed, prompted or trained.
    `stop_reason`: of a served agent, how its rollout ended, as it told (see agent.endpoint).
    `notice`: what the provider said of its limits on the way; for the quota (see agent.models.metered), dropped there.
    """

    text: str
    finish_reason: str = "stop"
    usage: Usage = field(default_factory=Usage)
    latency_s: float | None = None
    notice: RateNotice | None = None
    reasoning: str = ""
    stop_reason: str = ""


def spoken(completion: Completion, stop: Sequence[str] = ()) -> Completion:
    """What the model said: its own turn, without marks of it; hidden reasoning is cut off and kept apart. `stop`: words
    that its server was not told of, or does not cut before; the text then ends before the first of them, where the
    model no longer thinks."""
    hidden, text = split_reasoning(own_turn(completion.text))
    end = min((at for word in stop if (at := text.find(word)) >= 0), default=None)
    if text is completion.text and end is None:
        return completion
    reasoning = "\n\n".join(part for part in (completion.reasoning, hidden) if part)
    if end is None:
        return replace(completion, text=text, reasoning=reasoning)
    return replace(completion, text=text[:end], reasoning=reasoning, finish_reason="stop")


class ChatModel(Protocol):
    @property
    def name(self) -> str: ...

    async def complete(self, turns: Sequence[Turn], sampling: Sampling) -> Completion:
        """Reply to `turns`. Raises a ModelError when there is no usable reply; never returns an invented one."""
        ...

    async def close(self) -> None: ...
