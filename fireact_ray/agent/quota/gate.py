"""Callers wait here for their turn: the ledger with a queue, a clock and an event loop.

First come, first served; only who waits for his own run's budget is passed by. All waiting is done in this one place,
so that a pause reaches everybody who has not started yet. One gate serves an event loop: in a process of its own
(`LocalQuota`), or for a whole cluster inside an actor (stages.actors.quota).
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
import uuid
from collections import deque
from dataclasses import dataclass

from fireact_ray.agent.quota.budget import Account, Budget, Spent
from fireact_ray.agent.quota.ledger import Denied, Grant, Ledger, Outcome, QuotaLimits, Settlement, Wait
from fireact_ray.core.errors import BudgetExhausted, QuotaDenied
from fireact_ray.core.types import Usage

_LONG_PAUSE_S = 10.0  # is worth a line of the log

logger = logging.getLogger(__name__)

_ENDED = Denied("the run has ended", by_budget=False)


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    run: str
    estimate: Usage
    answer: asyncio.Future[Grant | Denied]


class Gate:
    """`lease` returns when the call may be made, or never may."""

    def __init__(self, limits: QuotaLimits) -> None:
        self.ledger = Ledger(limits, time.monotonic(), uuid.uuid4().hex[:8])
        self._queue: deque[_Waiting] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._announced_until = -math.inf

    @property
    def n_waiting(self) -> int:
        """Calls that wait for their turn."""
        return len(self._queue)

    def open(self, account: Account, spent: Spent) -> None:
        """Begin, or begin anew, a run that has spent this much; who still waits of an earlier session is dead."""
        self._dismiss(account.run)
        # The account's start is given in calendar time, because it may have been on another machine.
        started = time.monotonic() - max(0.0, time.time() - account.started_at)
        self.ledger.open(account.run, Budget(account.limits, account.price, spent, started))

    def close(self, run: str) -> Budget | None:
        """End a run; None where it is not open."""
        self._dismiss(run)
        return self.ledger.close(run)

    async def lease(self, run: str, estimate: Usage) -> Grant | Denied:
        if run not in self.ledger.runs:
            return _ENDED
        waiting = _Waiting(run, estimate, asyncio.get_running_loop().create_future())
        self._queue.append(waiting)
        self._serve()
        try:
            return await waiting.answer
        except asyncio.CancelledError:
            if waiting.answer.done() and not waiting.answer.cancelled():  # granted, but its caller has just gone
                self._give_back(run, waiting.answer.result())
            raise

    def settle(self, run: str, settlement: Settlement) -> None:
        self.ledger.settle(time.monotonic(), run, settlement)
        self._announce(time.monotonic())
        self._serve()

    def _announce(self, now: float) -> None:
        """Once for each long pause: a run that says nothing for minutes looks like one that hangs."""
        pauses = self.ledger.pauses
        is_new = pauses.until - max(now, self._announced_until) > _LONG_PAUSE_S
        if is_new and pauses.hopeless(now, self.ledger.limits.patience_s) is None:
            self._announced_until = pauses.until
            logger.warning("%s", pauses.words(now))

    def _give_back(self, run: str, answer: Grant | Denied) -> None:
        if isinstance(answer, Grant):
            self.settle(run, Settlement(answer.lease_id, Outcome.FAILED))

    def _dismiss(self, run: str) -> None:
        for waiting in [w for w in self._queue if w.run == run]:
            self._queue.remove(waiting)
            if not waiting.answer.done():
                waiting.answer.set_result(_ENDED)

    def _serve(self) -> None:
        """Answer everybody who can be answered now, and come back when the next one can."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        passed: list[_Waiting] = []
        wake_s: float | None = None
        while self._queue:
            waiting = self._queue[0]
            if not waiting.answer.done():  # its caller may have gone
                answer = self.ledger.lease(time.monotonic(), waiting.run, waiting.estimate)
                if isinstance(answer, Wait):
                    wake_s = answer.seconds if wake_s is None else min(wake_s, answer.seconds)
                    if not answer.only_this_run:
                        break
                    passed.append(waiting)
                else:
                    waiting.answer.set_result(answer)
            self._queue.popleft()
        self._queue.extendleft(reversed(passed))
        if wake_s is not None:
            self._timer = asyncio.get_running_loop().call_later(wake_s, self._serve)


class LocalQuota:
    """A gate of this process alone, for `ask`, for tests, and where a recipe names no limit."""

    def __init__(
        self, limits: QuotaLimits | None = None, account: Account | None = None, spent: Spent | None = None
    ) -> None:
        self._account = account or Account("local", started_at=time.time())
        self._gate = Gate(limits or QuotaLimits())
        self._gate.open(self._account, spent or Spent())

    async def lease(self, estimate: Usage) -> str:
        return granted(await self._gate.lease(self._account.run, estimate))

    async def settle(self, settlement: Settlement) -> None:
        self._gate.settle(self._account.run, settlement)

    async def close(self) -> None:
        """Nothing to release: a lease that nobody settles ends by itself."""


def granted(answer: Grant | Denied) -> str:
    """The lease's id. Raises BudgetExhausted, or QuotaDenied where the provider lets nothing through."""
    if isinstance(answer, Grant):
        return answer.lease_id
    if answer.by_budget:
        raise BudgetExhausted(
            f"Stopped by budget: generate.budget.{answer.reason}. "
            "What is paid for is kept; raise the limit and run the same command again to go on."
        )
    raise QuotaDenied(answer.reason)
