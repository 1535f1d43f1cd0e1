"""The estimate itself: of each method by its pilot or by its bound, then how long it takes at which limit."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fireact_ray.agent.agent import Agent
from fireact_ray.agent.models.metered import estimate_usage
from fireact_ray.agent.quota.budget import Price
from fireact_ray.agent.quota.ledger import QuotaLimits
from fireact_ray.core.types import Action, Observation, Question, Step, Usage
from fireact_ray.core.utils.statistics import t_95
from fireact_ray.rollouts.forecast.amounts import Amounts, Known, Range, combined, known, summed
from fireact_ray.rollouts.forecast.pilot import Pilot


@dataclass(frozen=True, slots=True)
class Pending:
    """Of one method: how many rows, and of how many questions."""

    rows: int
    questions: int


@dataclass(frozen=True, slots=True)
class RateLimits:
    """What bounds the speed: the provider's limits, `calls` at a time, searches. None: no limit known."""

    limits: QuotaLimits
    calls: int
    searches_per_second: float | None = None


@dataclass(frozen=True)
class Estimate:
    """`taken`: what is paid already, rows that are not whole included; `remaining`: beside that.

    `measured`: questions per method. `hours`: what remains, at each limit alone, by the limit's key in a recipe.
    """

    n_done: int
    pending: Mapping[str, Pending]
    measured: Mapping[str, int]
    taken: Amounts[Known]
    remaining: Amounts[Range | None]
    hours: Mapping[str, Range | None]

    @property
    def n_pending(self) -> int:
        return sum(pending.rows for pending in self.pending.values())

    @property
    def total(self) -> Amounts[Range | None]:
        """The whole bill."""
        return combined(lambda taken, more: more.each(lambda x: x + taken), self.taken, self.remaining)

    @property
    def unmeasured(self) -> list[str]:
        """Methods that have a bound only."""
        return [method for method in self.pending if method not in self.measured]

    @property
    def binding(self) -> str | None:
        """The limit that decides how long it takes; None where the time at one of them is unknown."""
        likeliest = {name: known(lambda hours: hours.likeliest, hours) for name, hours in self.hours.items()}
        if None in likeliest.values():
            return None
        return max(likeliest, key=lambda name: likeliest[name] or 0.0)


def estimate(
    pilot: Pilot,
    pending: Mapping[str, Pending],
    ceilings: Mapping[str, Amounts[Range | None]],
    unfinished: Amounts[Known],
    rate_limits: RateLimits,
) -> Estimate:
    """`ceilings`: one row of each method (see `ceiling`); `unfinished`: what is paid of rows that are pending."""
    pending = {method: rows for method, rows in pending.items() if rows.rows}
    whole = [
        _measured(rows, pilot.by_method[method]) if method in pilot.by_method else _bounded(rows, ceilings[method])
        for method, rows in pending.items()
    ]
    nothing = Range(0.0, 0.0, 0.0)
    remaining = combined(
        lambda paid, *ranges: sum(ranges, nothing).each(lambda x: max(0.0, x - paid)),
        unfinished,
        *whole,
    )
    return Estimate(
        n_done=pilot.n_rows,
        pending=pending,
        measured={method: len(questions) for method, questions in pilot.by_method.items()},
        taken=summed([pilot.taken, unfinished]),
        remaining=remaining,
        hours=_hours(remaining, sum(rows.rows for rows in pending.values()), rate_limits),
    )


def ceiling(agent: Agent, longest: Question, max_chars: int, price: Price | None) -> Amounts[Range | None]:
    """The most that a row is likely to take: each step used up, each reply and observation as long as allowed.

    The least is nothing, for a row whose first call fails costs nothing.
    """
    limits, searches = agent.limits, bool(agent.method.tools)
    # Without tools every usable reply is the last one, so only unusable ones let a row go on.
    n_calls = limits.max_steps if searches else min(limits.max_steps, limits.max_invalid + 1)
    step = Step("", Action("search", ""), Observation("x" * max_chars))
    reply_tokens = agent.sampling.max_new_tokens
    prompt_tokens = sum(
        estimate_usage(agent.method.turns(longest, [step] * n), agent.sampling).prompt_tokens + n * reply_tokens
        for n in range(n_calls)
    )
    usage = Usage(prompt_tokens, n_calls * reply_tokens)
    row: Amounts[Known] = Amounts(
        calls=n_calls,
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        cost_usd=None if price is None else price.cost_usd(usage),
        searches=n_calls if searches else 0,
        model_s=limits.timeout_s,
        row_s=limits.timeout_s,
    )
    return combined(lambda most: Range(0.0, None, most), row)


def _measured(pending: Pending, questions: Sequence[Amounts[Known]]) -> Amounts[Range | None]:
    return combined(lambda *values: _sum_of_pending(pending, values), *questions)


def _bounded(pending: Pending, row: Amounts[Range | None]) -> Amounts[Range | None]:
    return combined(lambda one: one.each(lambda x: x * pending.rows), row)


def _sum_of_pending(pending: Pending, values: Sequence[float]) -> Range:
    """The 95 % prediction interval of this room's docstring."""
    n, expected = len(values), pending.rows * float(np.mean(values))
    if n < 2:
        return Range(0.0, expected, math.inf)
    half = t_95(n - 1) * pending.rows * float(np.std(values, ddof=1)) * math.sqrt(1 / n + 1 / pending.questions)
    return Range(max(0.0, expected - half), expected, expected + half)


def _hours(need: Amounts[Range | None], n_rows: int, rate_limits: RateLimits) -> dict[str, Range | None]:
    limits = rate_limits.limits
    tokens = known(lambda prompt, completion: prompt + completion, need.prompt_tokens, need.completion_tokens)
    per_hour = {
        "generate.concurrency": (_occupied_s(need, n_rows, rate_limits), 3600 * max(1, min(rate_limits.calls, n_rows))),
        "teacher.quota.max_concurrency": (need.model_s, known(lambda n: 3600 * n, limits.max_concurrency)),
        "teacher.quota.requests_per_minute": (need.calls, known(lambda n: 60 * n, limits.requests_per_minute)),
        "teacher.quota.tokens_per_minute": (tokens, known(lambda n: 60 * n, limits.tokens_per_minute)),
        "search.rate.per_second": (need.searches, known(lambda n: 3600 * n, rate_limits.searches_per_second)),
    }
    return {name: known(_divided, amount, rate) for name, (amount, rate) in per_hour.items() if rate is not None}


def _occupied_s(need: Amounts[Range | None], n_rows: int, rate_limits: RateLimits) -> Range | None:
    """While a row searches, another one calls the teacher; where each row has a slot to itself, none does."""
    return need.model_s if n_rows > rate_limits.calls else need.row_s


def _divided(amount: Range, rate: float) -> Range:
    return amount.each(lambda x: x / rate)
