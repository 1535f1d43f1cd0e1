"""The `teacher.quota` and `generate.budget` sections of a recipe. Neither shapes a row: both may change at any time."""

from __future__ import annotations

from pydantic import PositiveFloat, PositiveInt

from fireact_ray.agent.quota.budget import BudgetLimits
from fireact_ray.core.settings import Place, Section


class QuotaConfig(Section):
    """What the provider allows this account, over the whole cluster; null: learn it from the provider's replies.

    `prices`: a price file to be used instead of the one that ships with the package (see agent/quota/prices.yaml).
    """

    requests_per_minute: PositiveFloat | None = None
    tokens_per_minute: PositiveFloat | None = None
    max_concurrency: PositiveInt | None = None
    prices: Place | None = None


class BudgetConfig(Section):
    """What the teacher may spend on a run, reruns included; minutes count anew for each. null: no limit.

    `over`: on all runs below this folder together, as those of an experiment, by what they have paid when this one
    begins; null: on this run.
    """

    max_cost_usd: PositiveFloat | None = None
    max_tokens: PositiveInt | None = None
    max_calls: PositiveInt | None = None
    max_minutes: PositiveFloat | None = None
    over: Place | None = None

    @property
    def limits(self) -> BudgetLimits:
        return BudgetLimits(**self.model_dump(exclude={"over"}))
