import random

import pytest

from fireact_ray.agent.quota.budget import Budget, BudgetLimits, Price, Spent
from fireact_ray.core.types import Usage

CALL = Usage(90, 10)
NOTHING = Spent()


def budget(spent: Spent = NOTHING, price: Price | None = None, **limits) -> Budget:
    return Budget(BudgetLimits(**limits), price, spent, started=0.0)


def test_without_limits_everything_fits():
    assert budget().refusal(1e9, CALL) is None


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"max_calls": 3}, "max_calls = 3: 3 calls are paid"),
        ({"max_tokens": 350}, "max_tokens = 350: 300 are used, the next call may take 100"),
        ({"max_cost_usd": 0.0005}, "max_cost_usd = 0.0005: $0.0004 is spent, the next call may cost $0.0001"),
        ({"max_minutes": 2}, "max_minutes = 2: 2.5 minutes have passed"),
    ],
)
def test_each_limit_says_what_was_spent_and_what_the_next_call_may_take(limits, reason):
    spent = budget(Spent(3, Usage(270, 30)), Price(1.0, 5.0), **limits)
    assert spent.refusal(150.0, CALL) == reason


def test_a_call_that_fits_only_beside_what_is_really_spent_waits_for_those_in_flight():
    tokens = budget(max_tokens=150)
    tokens.reserve(CALL)
    assert tokens.refusal(0.0, CALL) is None
    assert tokens.must_wait(CALL)
    tokens.settle(CALL, Spent(1, Usage(30, 5)))
    assert not tokens.must_wait(CALL)
    assert (tokens.spent, tokens.reserved) == (Spent(1, Usage(30, 5)), Spent())


def test_a_rerun_starts_from_what_the_journals_hold():
    assert budget(Spent(10, Usage(0, 0)), max_calls=10).refusal(0.0, CALL) is not None
    assert budget(Spent(10, Usage(0, 0)), max_calls=11).refusal(0.0, CALL) is None


@pytest.mark.parametrize("seed", range(20))
def test_no_random_cap_is_ever_passed_while_estimates_hold_and_all_of_it_is_used(seed):
    draw = random.Random(seed)
    price, cap = Price(2.0, 8.0), draw.uniform(0.002, 0.2)
    spending = budget(price=price, max_cost_usd=cap)
    estimate = Usage(1000, 500)
    in_flight = 0
    while (refusal := spending.refusal(0.0, estimate)) is None or in_flight:
        if refusal is None and not spending.must_wait(estimate) and (in_flight == 0 or draw.random() < 0.5):
            spending.reserve(estimate)
            in_flight += 1
        else:
            true = Usage(draw.randint(1, 1000), draw.randint(1, 500))
            spending.settle(estimate, Spent(1, true))
            in_flight -= 1
        cost = spending.cost_usd(spending.spent + spending.reserved)
        assert cost is not None and cost <= cap
    cost = spending.cost_usd(spending.spent)
    assert cost is not None and cap - price.cost_usd(estimate) < cost <= cap


@pytest.mark.parametrize("seed", range(20))
def test_even_with_estimates_that_are_too_low_only_what_is_in_flight_passes_the_cap(seed):
    draw = random.Random(seed)
    cap, estimate, dearest, width = draw.randint(500, 5000), Usage(50, 10), 200, 8
    spending = budget(max_tokens=cap)
    in_flight = 0
    while (refusal := spending.refusal(0.0, estimate)) is None or in_flight:
        if refusal is None and in_flight < width and not spending.must_wait(estimate):
            spending.reserve(estimate)
            in_flight += 1
        else:
            spending.settle(estimate, Spent(1, Usage(draw.randint(1, dearest), 0)))
            in_flight -= 1
    assert spending.spent.tokens <= cap + width * dearest
