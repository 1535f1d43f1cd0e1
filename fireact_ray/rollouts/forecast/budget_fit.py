"""An estimate against a budget: does it fit, and if not, how much of it would be done?"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

from fireact_ray.agent.quota.budget import BudgetLimits, Price, Spent
from fireact_ray.rollouts.forecast.amounts import Range, known
from fireact_ray.rollouts.forecast.estimate import Estimate


@dataclass(frozen=True, slots=True)
class Fit:
    """One limit of the budget. `spent`: of the whole run until now; `need`: what remains. None: unknown."""

    name: str
    limit: float
    spent: float | None
    need: Range | None

    @property
    def share(self) -> float | None:
        """Of the pending rows, how many (0 to 1) are likely to be done before this limit stops the run."""
        if self.spent is None or self.need is None or math.isinf(self.need.likeliest):
            return None
        room = max(0.0, self.limit - self.spent)
        return 1.0 if self.need.likeliest <= room else room / self.need.likeliest

    @property
    def is_certain(self) -> bool:
        """Even the upper end of what remains fits."""
        return self.spent is not None and self.need is not None and self.spent + self.need.high <= self.limit


def fits(estimate: Estimate, limits: BudgetLimits, spent: Spent, price: Price | None) -> list[Fit]:
    """Every limit that is set. `spent` holds the teacher's evaluation too, as the budget does."""
    more, binding = estimate.remaining, estimate.binding
    cost_usd = None if price is None else price.cost_usd(spent.usage)
    tokens = known(lambda prompt, completion: prompt + completion, more.prompt_tokens, more.completion_tokens)
    hours = None if binding is None else estimate.hours[binding]
    found = {
        "max_cost_usd": (cost_usd, more.cost_usd),
        "max_tokens": (spent.tokens, tokens),
        "max_calls": (spent.calls, more.calls),
        "max_minutes": (0.0, known(lambda range_: range_.each(lambda x: 60 * x), hours)),
    }
    return [Fit(name, limit, *found[name]) for name, limit in asdict(limits).items() if limit is not None]
