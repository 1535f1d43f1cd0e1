import pytest

from fireact_ray.agent.quota.budget import BudgetLimits, Price, Spent
from fireact_ray.core.types import Usage
from fireact_ray.rollouts.forecast.amounts import Amounts, Range
from fireact_ray.rollouts.forecast.budget_fit import fits
from fireact_ray.rollouts.forecast.estimate import Estimate, Pending

SPENT = Spent(20, Usage(900, 100))  # $ 0.001 at PRICE
PRICE = Price(1.0, 1.0)


def remaining(need: Range | None, hours: Range | None = None) -> Estimate:
    """`need` of each amount; tokens are prompt and completion tokens together."""
    amounts = Amounts.all(need)
    pending, hours_by_limit = {"react": Pending(10, 10)}, {"generate.concurrency": hours}
    return Estimate(5, pending, {"react": 5}, Amounts.all(0), amounts, hours_by_limit)


def test_without_a_budget_there_is_nothing_to_fit():
    assert fits(remaining(Range(1.0, 2.0, 3.0)), BudgetLimits(), SPENT, PRICE) == []


@pytest.mark.parametrize(
    ("cap", "share", "certain"),
    [(120, 1.0, True), (110, 1.0, False), (60, 0.5, False), (20, 0.0, False), (5, 0.0, False)],
)
def test_what_is_spent_already_is_no_longer_there_to_spend(cap, share, certain):
    (fit,) = fits(remaining(Range(60.0, 80.0, 100.0)), BudgetLimits(max_calls=cap), SPENT, PRICE)
    assert (fit.name, fit.share, fit.is_certain) == ("max_calls", share, certain)


def test_every_limit_has_its_own_amount():
    need, hours = Range(1000.0, 1000.0, 1000.0), Range(1.0, 1.0, 1.0)
    limits = BudgetLimits(max_cost_usd=500.001, max_tokens=2000, max_calls=270, max_minutes=15)
    found = fits(remaining(need, hours), limits, SPENT, PRICE)
    assert {fit.name: fit.share for fit in found} == {
        "max_cost_usd": 0.5,
        "max_tokens": 0.5,  # 1000 left of 2000, 1000 prompt and 1000 completion tokens to come
        "max_calls": 0.25,
        "max_minutes": 0.25,
    }


def test_unknown_money_and_unknown_time_are_no_answer():
    unknown = fits(remaining(None, None), BudgetLimits(max_cost_usd=1, max_minutes=1), SPENT, None)
    assert [(fit.share, fit.is_certain) for fit in unknown] == [(None, False), (None, False)]


def test_a_bound_is_taken_at_its_upper_end():
    (fit,) = fits(remaining(Range(0.0, None, 100.0)), BudgetLimits(max_calls=70), SPENT, PRICE)
    assert (fit.share, fit.is_certain) == (0.5, False)
