"""What a chat model is: turns in, one completion out."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from fireact_ray.agent.quota.rate_headers import RateNotice
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

    `latency_s`: how long the reply took when it was paid for; None lets the rollout measure it.
    `reasoning`: what the model thought outside of its text, or hid in it; never obeyed, prompted or trained.
    `notice`: what the provider said of its limits on the way; for the quota (see agent.models.metered), dropped there.
    """

    text: str
    finish_reason: str = "stop"
    usage: Usage = field(default_factory=Usage)
    latency_s: float | None = None
    notice: RateNotice | None = None
    reasoning: str = ""


class ChatModel(Protocol):
    @property
    def name(self) -> str: ...

    async def complete(self, turns: Sequence[Turn], sampling: Sampling) -> Completion:
        """Reply to `turns`. Raises a ModelError when there is no usable reply; never returns an invented one."""
        ...

    async def close(self) -> None: ...
