"""What an inference engine is: token ids in, token ids out. Rendering and parsing stay outside of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from fireact_ray.agent.models.base import Sampling
from fireact_ray.core.errors import ModelRefused, TokenLimit


@dataclass(frozen=True, slots=True)
class Generation:
    """`ids` exclude the prompt and the end token; text from the first stop string on is already cut by the caller.

    `finish_reason`: "stop" (end token or stop string) or "length" (max_new_tokens reached).
    """

    ids: tuple[int, ...]
    finish_reason: str


class Engine(Protocol):
    @property
    def max_context(self) -> int:
        """Tokens, prompt and reply together."""
        ...

    async def generate(self, prompt_ids: Sequence[int], sampling: Sampling) -> Generation:
        """Raises TokenLimit when the prompt and `max_new_tokens` do not fit into `max_context`."""
        ...

    async def close(self) -> None: ...


def demand_fit(prompt_ids: Sequence[int], sampling: Sampling, max_context: int, vocabulary: int) -> None:
    """Raises TokenLimit for an empty prompt, and for one that, with `max_new_tokens`, does not fit; ModelRefused for an
    id that is none of the model's `vocabulary`, which would fail everybody whose prompt is read with this one."""
    needed = len(prompt_ids) + sampling.max_new_tokens
    if not prompt_ids or sampling.max_new_tokens < 1 or needed > max_context:
        raise TokenLimit(
            f"A prompt of {len(prompt_ids)} tokens and {sampling.max_new_tokens} new ones make {needed}; "
            f"from 1 to {max_context} fit. Shorten the conversation or lower max_new_tokens."
        )
    if unknown := [token for token in (min(prompt_ids), max(prompt_ids)) if not 0 <= token < vocabulary]:
        raise ModelRefused(
            f"A prompt holds the id {unknown[0]}; this model's are 0 to {vocabulary - 1}. Its tokenizer is another's."
        )
