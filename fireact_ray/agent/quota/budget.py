"""What a run may spend and has spent: each call reserves its upper bound before, and settles what it was after.

A reservation that does not fit beside those in flight waits for them to settle; a run is over budget only when the
next call would not fit beside what is really spent. So the cap is used up as far as calls fit, and never passed by
more than estimates were too low.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from fireact_ray.core.types import Usage


@dataclass(frozen=True, slots=True)
class Price:
    """$ per million tokens. A provider's discount for cached prompts is not in it: costs are upper bounds."""

    prompt: float
    completion: float

    def cost_usd(self, usage: Usage) -> float:
        return (usage.prompt_tokens * self.prompt + usage.completion_tokens * self.completion) / 1e6


@dataclass(frozen=True, slots=True)
class BudgetLimits:
    """None: no limit. Minutes count from the start of this session; all else over the whole life of the run."""

    max_cost_usd: float | None = None
    max_tokens: int | None = None
    max_calls: int | None = None
    max_minutes: float | None = None


@dataclass(frozen=True, slots=True)
class Spent:
    """Paid replies and their tokens."""

    calls: int = 0
    usage: Usage = field(default_factory=Usage)

    @property
    def tokens(self) -> int:
        return self.usage.prompt_tokens + self.usage.completion_tokens

    def __add__(self, other: Spent) -> Spent:
        return Spent(self.calls + other.calls, self.usage + other.usage)

    def __sub__(self, other: Spent) -> Spent:
        less = Usage(-other.usage.prompt_tokens, -other.usage.completion_tokens)
        return Spent(self.calls - other.calls, self.usage + less)


@dataclass(frozen=True, slots=True)
class Account:
    """All there is to know to open a run's budget anywhere, at any time: its journals say what is spent already.

    `job`: of its driver, as Ray counts them; "" where nobody watches whether it lives.
    """

    run: str
    limits: BudgetLimits = field(default_factory=BudgetLimits)
    price: Price | None = None
    journals: tuple[str, ...] = ()
    started_at: float = 0.0  # seconds since the epoch
    job: str = ""


class Budget:
    """`started`: the beginning of the session on the clock of `now`. With `max_cost_usd` there must be a price."""

    def __init__(self, limits: BudgetLimits, price: Price | None, spent: Spent, started: float) -> None:
        if limits.max_cost_usd is not None and price is None:
            raise ValueError("a budget in $ needs a price")
        self._limits = limits
        self._price = price
        self._started = started
        self.spent = spent
        self.reserved = Spent()

    def refusal(self, now: float, estimate: Usage) -> str | None:
        """Which limit the call would break even if nothing else were in flight; None where it may be made."""
        minutes, limit = (now - self._started) / 60, self._limits.max_minutes
        if limit is not None and minutes >= limit:
            return f"max_minutes = {limit:g}: {minutes:.1f} minutes have passed"
        return self._broken_by(self.spent, Spent(1, estimate))

    def must_wait(self, estimate: Usage) -> bool:
        """True while the call would fit only if calls in flight turn out cheaper than reserved."""
        return self._broken_by(self.spent + self.reserved, Spent(1, estimate)) is not None

    def reserve(self, estimate: Usage) -> None:
        self.reserved += Spent(1, estimate)

    def settle(self, estimate: Usage, spent: Spent) -> None:
        self.reserved -= Spent(1, estimate)
        self.spent += spent

    def cost_usd(self, spent: Spent) -> float | None:
        return None if self._price is None else self._price.cost_usd(spent.usage)

    def _broken_by(self, held: Spent, call: Spent) -> str | None:
        limits, cost, more = self._limits, self.cost_usd(held), self.cost_usd(call)
        if limits.max_calls is not None and held.calls + call.calls > limits.max_calls:
            return f"max_calls = {limits.max_calls}: {held.calls} calls are paid"
        if limits.max_tokens is not None and held.tokens + call.tokens > limits.max_tokens:
            return f"max_tokens = {limits.max_tokens}: {held.tokens} are used, the next call may take {call.tokens}"
        if limits.max_cost_usd is None or cost is None or more is None or cost + more <= limits.max_cost_usd:
            return None
        return f"max_cost_usd = {limits.max_cost_usd:g}: ${cost:.4f} is spent, the next call may cost ${more:.4f}"
