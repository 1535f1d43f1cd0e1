import math

from fireact_ray.agent.quota.budget import BudgetLimits, Price, Spent
from fireact_ray.agent.quota.ledger import QuotaLimits
from fireact_ray.core.types import Usage
from fireact_ray.rollouts.forecast.amounts import Amounts, Range
from fireact_ray.rollouts.forecast.budget_fit import fits
from fireact_ray.rollouts.forecast.estimate import Pending, RateLimits, estimate
from fireact_ray.rollouts.forecast.pilot import Pilot
from fireact_ray.rollouts.forecast.text import forecast_text

PRICE = Price(2.0, 8.0)


def measured(cost_usd: float | None = 0.01):
    row = Amounts(3, 4000, 100, cost_usd, 2, 6.0, 8.0)
    taken = Amounts(60, 80_000, 2000, None if cost_usd is None else 0.2, 40, 120.0, 160.0)
    limits = RateLimits(QuotaLimits(requests_per_minute=100.0), calls=10)
    return estimate(Pilot(20, {"react": [row] * 20}, taken), {"react": Pending(980, 980)}, {}, Amounts.all(0), limits)


def test_amounts_are_done_remaining_low_high_and_total():
    lines = forecast_text(measured(), []).splitlines()
    assert lines[0] == "1000 rows planned, 20 done, 980 pending"
    assert lines[1] == "measured: react on 20 questions; low and high: 95 %"
    cells = {c[1].strip(): [x.strip() for x in c[2:-1]] for c in (line.split("|") for line in lines if "|" in line)}
    assert cells[""] == ["done", "remaining", "low", "high", "total"]
    assert cells["teacher calls"] == ["60", "2,940", "2,940", "2,940", "3,000"]
    assert cells["prompt tokens"] == ["80,000", "3,920,000", "3,920,000", "3,920,000", "4,000,000"]
    assert cells["cost in USD"] == ["0.2000", "9.80", "9.80", "9.80", "10.00"]


def test_the_limit_that_binds_is_named():
    text = forecast_text(measured(), [])
    assert "- generate.concurrency: 9.8 min (9.8 min to 9.8 min)\n" in text
    assert "- teacher.quota.requests_per_minute: 29.4 min (29.4 min to 29.4 min), this one binds" in text


def test_unknown_money_says_so():
    (line,) = [line for line in forecast_text(measured(None), []).splitlines() if line.startswith("| cost")]
    assert line.count("unknown") == 5


def test_a_budget_says_whether_it_suffices_and_for_how_much():
    found, spent = measured(), Spent(60, Usage(80_000, 5000))  # $ 0.20
    said = {
        cap: forecast_text(found, fits(found, BudgetLimits(max_cost_usd=cap), spent, PRICE)).splitlines()[-1]
        for cap in (10.5, 5.1)
    }
    assert said[10.5] == "budget max_cost_usd = 10.5: suffices"
    assert said[5.1] == "budget max_cost_usd = 5.1: does not suffice, about 50% of the pending rows would be done"


def test_a_bound_says_that_it_is_no_measurement():
    ceilings = {"cot": Amounts.all(Range(0.0, None, 5.0))}
    nothing = Pilot(0, {}, Amounts.all(0))
    limits = RateLimits(QuotaLimits(), 1)
    text = forecast_text(estimate(nothing, {"cot": Pending(10, 10)}, ceilings, Amounts.all(0), limits), [])
    assert "measured: nothing\ncot: an upper bound from prompts and limits, NO measurement" in text
    assert "<= 50" in text
    assert "at most 50 s, this one binds" in text


def test_an_infinite_end_is_unknown():
    one = Pilot(1, {"cot": [Amounts.all(1.0)]}, Amounts.all(1.0))
    found = estimate(one, {"cot": Pending(10, 10)}, {}, Amounts.all(0), RateLimits(QuotaLimits(), 1))
    assert found.remaining.calls.high == math.inf
    (line,) = [line for line in forecast_text(found, []).splitlines() if line.startswith("| teacher calls")]
    assert [cell.strip() for cell in line.split("|")[2:-1]] == ["1", "10", "0", "unknown", "11"]


def test_a_run_that_is_whole_needs_no_time():
    whole = estimate(
        Pilot(1, {"cot": [Amounts.all(1.0)]}, Amounts.all(1.0)), {}, {}, Amounts.all(0), RateLimits(QuotaLimits(), 1)
    )
    text = forecast_text(whole, [])
    assert text.startswith("1 rows planned, 1 done, 0 pending")
    assert "time" not in text
