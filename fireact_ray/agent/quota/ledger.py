"""The state machine of one model's quota: may this call be made now, later, or never?

Rates, concurrency and pauses belong to the model and are shared by all runs; a budget belongs to one run. Nothing here
waits or looks at a clock: `now` is an argument, and who wants to wait does so outside (see gate).

A call asks for a lease, and says later how it ended:

    lease -> Wait    ask again after so many seconds, or when another lease is settled
          -> Denied  never: the budget is spent, or the provider refuses everything
          -> Grant   open: a slot is taken, its most expensive outcome is reserved in the budget
                       settle             -> slot free, the reservation becomes what was spent
                       `lease_s` passed   -> expired: the caller must have died. Slot free; the call counts as paid,
                                             until a late settle says what it really took
                       the run began anew -> disowned: slot free; a late settle adds what was spent
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from fireact_ray.agent.quota.budget import Budget, Spent
from fireact_ray.agent.quota.concurrency import Concurrency
from fireact_ray.agent.quota.pauses import Pauses
from fireact_ray.agent.quota.rate_headers import RateNotice
from fireact_ray.agent.quota.rates import Rates
from fireact_ray.core.types import Usage


@dataclass(frozen=True, slots=True)
class QuotaLimits:
    """None: no limit known. `lease_s`: how long a call can last at most, after that its caller must have died.
    `patience_s`: how long 429s may go on without one reply, the pause that was asked for included, before runs are
    stopped."""

    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    max_concurrency: int | None = None
    lease_s: float = 180.0
    patience_s: float = 900.0


@dataclass(frozen=True, slots=True)
class Grant:
    """The call may be made now; it must be settled under this id."""

    lease_id: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Not yet: ask again after so many seconds, or when a lease is settled. `only_this_run`: others may be served."""

    seconds: float
    only_this_run: bool = False


@dataclass(frozen=True, slots=True)
class Denied:
    """Not in this run: `by_budget`, or because the provider lets nothing through."""

    reason: str
    by_budget: bool


class Outcome(StrEnum):
    DONE = "done"  # a reply came and is paid for
    LIMITED = "limited"  # a 429: nothing paid, the request still counted by the provider
    FAILED = "failed"  # refused or broken: nothing paid
    LOST = "lost"  # given up before its end: it may have been paid for


@dataclass(frozen=True, slots=True)
class Settlement:
    """How a leased call ended. `said`: of a LIMITED one, in the provider's words."""

    lease_id: str
    outcome: Outcome
    usage: Usage = field(default_factory=Usage)
    retry_after_s: float | None = None
    notice: RateNotice | None = None
    said: str = ""


@dataclass(frozen=True, slots=True)
class _Lease:
    run: str
    estimate: Usage
    granted_at: float
    expires_at: float


class Ledger:
    """`epoch` keeps the leases of this ledger apart from those of one that it replaces."""

    def __init__(self, limits: QuotaLimits, now: float, epoch: str) -> None:
        self._epoch = epoch
        self._n_leases = 0
        self._open: dict[str, _Lease] = {}  # in the order of their expiry
        self._expired: dict[str, _Lease] = {}
        self._disowned: set[str] = set()  # open when their run began anew
        self._settled_foreign: set[str] = set()
        self._budgets: dict[str, Budget] = {}
        self._probe = ""  # the lease of the last call that went out alone
        self.pauses = Pauses()
        self.limit(limits, now)

    def limit(self, limits: QuotaLimits, now: float) -> None:
        """Set the limits; those that a provider has named are learnt again from its next reply."""
        self.limits = limits
        self._rates = Rates(limits.requests_per_minute, limits.tokens_per_minute, now)
        self._concurrency = Concurrency(limits.max_concurrency)
        self._concurrency.in_flight = len(self._open)

    def open(self, run: str, budget: Budget) -> None:
        """Begin, or begin anew, to keep a run's budget: who held leases of it in an earlier session is dead."""
        for lease_id in [key for key, lease in self._open.items() if lease.run == run]:
            del self._open[lease_id]
            self._disowned.add(lease_id)
            self._concurrency.free()
        self._budgets[run] = budget

    def close(self, run: str) -> Budget | None:
        return self._budgets.pop(run, None)

    @property
    def runs(self) -> Mapping[str, Budget]:
        return self._budgets

    @property
    def concurrency(self) -> float:
        return self._concurrency.limit

    def lease(self, now: float, run: str, estimate: Usage) -> Grant | Wait | Denied:
        """`estimate`: the most that the call may take."""
        self._expire(now)
        budget, tokens = self._budgets[run], estimate.prompt_tokens + estimate.completion_tokens
        if (reason := budget.refusal(now, estimate)) is not None:
            return Denied(reason, by_budget=True)
        if budget.must_wait(estimate):
            return Wait(self._next_expiry_s(now), only_this_run=True)
        if (reason := self.pauses.hopeless(now, self.limits.patience_s)) is not None:
            return Denied(reason, by_budget=False)
        if (wait_s := max(self.pauses.until - now, self._rates.wait_s(now, tokens))) > 0:
            return Wait(wait_s)
        if not self._concurrency.has_room or (self.pauses.wants_probe and self._probe in self._open):
            return Wait(self._next_expiry_s(now))
        self._n_leases += 1
        lease_id = f"{self._epoch}-{self._n_leases}"
        self._probe = lease_id if self.pauses.wants_probe else ""
        self._open[lease_id] = _Lease(run, estimate, now, now + self.limits.lease_s)
        self._rates.take(now, tokens)
        self._concurrency.take()
        budget.reserve(estimate)
        return Grant(lease_id)

    def settle(self, now: float, run: str, settlement: Settlement) -> None:
        """To say it twice does no harm. A lease that is not open any more, or not here, only corrects what is spent."""
        self._expire(now)
        lease = self._open.pop(settlement.lease_id, None)
        if lease is None:
            if self._settle_late(run, settlement):
                self._listen(now, now, settlement)
            return
        self._listen(now, lease.granted_at, settlement)
        self._concurrency.free()
        if (budget := self._budgets.get(lease.run)) is not None:
            budget.settle(lease.estimate, _spent(settlement, lease.estimate))
        if settlement.outcome is Outcome.DONE and _total(settlement.usage):
            self._rates.settle(_total(lease.estimate), _total(settlement.usage))

    def _listen(self, now: float, granted_at: float, settlement: Settlement) -> None:
        """Hear what the provider says by a reply or a 429."""
        if settlement.outcome is Outcome.LIMITED:
            self.pauses.refused(now, granted_at, settlement.retry_after_s, settlement.said)
            self._concurrency.limited(now, granted_at)
        elif settlement.outcome is Outcome.DONE:
            self.pauses.answered()
            self._concurrency.succeeded()
        if (notice := settlement.notice) is not None:
            self._rates.learn_requests(now, notice.requests_per_minute, notice.remaining_requests)
            self._rates.learn_tokens(now, notice.tokens_per_minute, notice.remaining_tokens)
            if notice.requests_per_minute is not None or notice.tokens_per_minute is not None:
                self._concurrency.lift()

    def _settle_late(self, run: str, settlement: Settlement) -> bool:
        """False where this lease was settled before."""
        lease_id = settlement.lease_id
        lease = self._expired.pop(lease_id, None)
        if lease is None and not self._first_word_of(lease_id):
            return False
        if (budget := self._budgets.get(run if lease is None else lease.run)) is not None:
            budget.spent += _spent(settlement, lease.estimate if lease else Usage())
            budget.spent -= Spent(1, lease.estimate) if lease else Spent()
        return True

    def _first_word_of(self, lease_id: str) -> bool:
        """Of a lease that is not open here: disowned, or granted by an earlier ledger."""
        if lease_id.startswith(f"{self._epoch}-"):
            was_disowned = lease_id in self._disowned
            self._disowned.discard(lease_id)
            return was_disowned
        is_first = lease_id not in self._settled_foreign
        self._settled_foreign.add(lease_id)
        return is_first

    def _expire(self, now: float) -> None:
        """Free the slots of callers that died; their calls may have been paid for, so they count as if they were."""
        while self._open:
            lease_id, lease = next(iter(self._open.items()))
            if lease.expires_at > now:
                return
            self._expired[lease_id] = self._open.pop(lease_id)
            self._concurrency.free()
            if (budget := self._budgets.get(lease.run)) is not None:
                budget.settle(lease.estimate, Spent(1, lease.estimate))

    def _next_expiry_s(self, now: float) -> float:
        return next((lease.expires_at - now for lease in self._open.values()), 0.0)


def _spent(settlement: Settlement, estimate: Usage) -> Spent:
    """A reply whose server counted no tokens, or that nobody waited for, is taken at its estimate."""
    if settlement.outcome is Outcome.DONE:
        return Spent(1, settlement.usage if _total(settlement.usage) else estimate)
    return Spent(1, estimate) if settlement.outcome is Outcome.LOST else Spent()


def _total(usage: Usage) -> int:
    return usage.prompt_tokens + usage.completion_tokens
