"""A chat model under a quota: each call is leased before it is made and settled after, whatever became of it.

A 429 goes back to the quota, which makes everybody wait, and the call is made again: it uses up no attempt, and the
rollout's own time limit stands still meanwhile.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from fireact_ray.agent.models.base import ChatModel, Completion, Sampling
from fireact_ray.agent.quota.ledger import Outcome, Settlement
from fireact_ray.core.errors import MalformedReply, ModelError, RateLimited, ReplyWithheld
from fireact_ray.core.types import Turn, Usage
from fireact_ray.core.utils.deadline import paused

_BYTES_PER_TOKEN = 3  # fewer than in any tokenizer's average over prose: an estimate should be too high, not too low
_TOKENS_PER_TURN = 4  # role and separators


class Quota(Protocol):
    async def lease(self, estimate: Usage) -> str:
        """Return a lease when the call may be made. Raises BudgetExhausted, or QuotaDenied, when it never may."""
        ...

    async def settle(self, settlement: Settlement) -> None:
        """Say how a leased call ended."""
        ...

    async def close(self) -> None: ...


@dataclass(frozen=True)
class MeteredChat:
    """`inner` makes one request per call and raises RateLimited on a 429."""

    inner: ChatModel
    quota: Quota

    @property
    def name(self) -> str:
        return self.inner.name

    async def complete(self, turns: Sequence[Turn], sampling: Sampling) -> Completion:
        estimate = estimate_usage(turns, sampling)
        while True:
            with paused():
                lease_id = await self.quota.lease(estimate)
            completion = await self._leased(lease_id, turns, sampling)
            if completion is not None:
                return completion

    async def close(self) -> None:
        await self.inner.close()
        await self.quota.close()

    async def _leased(self, lease_id: str, turns: Sequence[Turn], sampling: Sampling) -> Completion | None:
        """None after a 429."""
        started = time.monotonic()
        try:
            completion = await self.inner.complete(turns, sampling)
        except RateLimited as error:
            limited = Settlement(lease_id, Outcome.LIMITED, retry_after_s=error.retry_after_s, said=str(error))
            await self._settle(limited)
            return None
        except (MalformedReply, ReplyWithheld, asyncio.CancelledError):  # there may be a bill all the same
            await self.quota.settle(Settlement(lease_id, Outcome.LOST))
            raise
        except ModelError:
            await self._settle(Settlement(lease_id, Outcome.FAILED))
            raise
        latency_s = time.monotonic() - started if completion.latency_s is None else completion.latency_s
        await self._settle(Settlement(lease_id, Outcome.DONE, completion.usage, notice=completion.notice))
        return replace(completion, latency_s=latency_s, notice=None)

    async def _settle(self, settlement: Settlement) -> None:
        with paused():  # a quota that is away for a moment must not cost a reply that is paid for
            await self.quota.settle(settlement)


def estimate_usage(turns: Sequence[Turn], sampling: Sampling) -> Usage:
    """The most that a call is likely to take."""
    n_bytes = sum(len(turn.content.encode("utf-8", "surrogatepass")) for turn in turns)
    return Usage(n_bytes // _BYTES_PER_TOKEN + _TOKENS_PER_TURN * len(turns), sampling.max_new_tokens)
