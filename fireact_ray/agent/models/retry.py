"""A chat model that asks again where another try can help. There is one owner of retries per reply: this file.

It stands outside the quota (each try is leased on its own) and inside the journal (what failed is not paid).
Rate limits are no failures: they wait in the quota and use up no attempt. A reply of a shape that is not read is bought
once more, to see whether this model always sends it; if so, later calls do not try again until one is answered.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from fireact_ray.agent.models.base import ChatModel, Completion, Sampling
from fireact_ray.core.errors import ModelUnavailable, UnreadReply
from fireact_ray.core.types import Turn


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """`max_attempts` counts requests that failed; delays double and have jitter."""

    max_attempts: int = 5
    first_delay_s: float = 0.5
    max_delay_s: float = 30.0


@dataclass
class Retrying:
    """Raises the error of the last attempt, with the number of attempts."""

    inner: ChatModel
    policy: RetryPolicy = RetryPolicy()
    _always: str = field(default="", init=False)  # the shape that this model sends, and no other since

    @property
    def name(self) -> str:
        return self.inner.name

    async def complete(self, turns: Sequence[Turn], sampling: Sampling) -> Completion:
        failures, unread = 0, self._always
        while True:
            try:
                completion = await self.inner.complete(turns, sampling)
            except ModelUnavailable as error:
                failures += 1
                shape = error.signature if isinstance(error, UnreadReply) else ""
                if shape and shape == unread:
                    self._always = shape
                    raise error.reworded(f"{error} (after {failures} attempts)") from None
                if failures >= self.policy.max_attempts:
                    raise error.reworded(f"{error} (after {failures} attempts)") from None
                unread = shape
            else:
                self._always = ""
                return completion
            await asyncio.sleep(self._delay_s(failures))

    async def close(self) -> None:
        await self.inner.close()

    def _delay_s(self, failures: int) -> float:
        ceiling = min(self.policy.max_delay_s, self.policy.first_delay_s * 2 ** (failures - 1))
        return float(ceiling * (0.5 + random.random() / 2))
