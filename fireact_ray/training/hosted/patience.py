"""Waiting for a provider that is overloaded or out of reach: pauses that double, and an end to them."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from fireact_ray.core.errors import ModelUnavailable, RateLimited

_FIRST_S, _LONGEST_S = 1.0, 60.0
PATIENCE_S = 900.0

Answer = TypeVar("Answer")
Wait = Callable[[float], Awaitable[None]]

logger = logging.getLogger(__name__)


class Patience:
    """Of one thing that is asked for until it is answered. `wait` is asyncio.sleep, but in tests."""

    def __init__(self, wait: Wait) -> None:
        self._wait, self._next_s, self._waited_s = wait, _FIRST_S, 0.0

    async def pause(self, error: ModelUnavailable | RateLimited) -> None:
        """Raises `error` where the pauses have come to PATIENCE_S, or the provider asks for a longer one."""
        asked_s = error.retry_after_s if isinstance(error, RateLimited) else None
        pause_s = max(asked_s or 0.0, self._next_s)
        if self._waited_s + pause_s > PATIENCE_S:
            raise error.reworded(
                f"{error} (asked again for {self._waited_s:.0f} s). Nothing is lost: run the same command again."
            )
        if self._waited_s == 0:
            logger.warning("%s; it is asked again", error)
        await self._wait(pause_s)
        self._waited_s += pause_s
        self._next_s = min(_LONGEST_S, 2 * self._next_s)


async def patiently(ask: Callable[[], Awaitable[Answer]], wait: Wait) -> Answer:
    """The answer to what may be asked any number of times."""
    patience = Patience(wait)
    while True:
        try:
            return await ask()
        except (ModelUnavailable, RateLimited) as error:
            await patience.pause(error)


async def once(do: Callable[[], Awaitable[Answer]], find: Callable[[], Awaitable[Answer | None]], wait: Wait) -> Answer:
    """The answer to what must not happen twice: after a failure that may have come behind the effect, the provider is
    asked for the effect before it is tried again."""
    patience = Patience(wait)
    while True:
        try:
            return await do()
        except (ModelUnavailable, RateLimited) as error:
            await patience.pause(error)
        if (found := await patiently(find, wait)) is not None:
            return found
