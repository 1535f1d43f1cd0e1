import math
import random
from statistics import fmean

import pytest
from fakes import agent, question

from fireact_ray.agent.quota.budget import Price
from fireact_ray.agent.quota.ledger import QuotaLimits
from fireact_ray.agent.rollout import Limits
from fireact_ray.rollouts.forecast.amounts import Amounts, Range
from fireact_ray.rollouts.forecast.estimate import Pending, RateLimits, ceiling, estimate
from fireact_ray.rollouts.forecast.pilot import Pilot

NOTHING = Amounts.all(0)
RATES = RateLimits(QuotaLimits(), calls=10)


def pilot(**methods: list[float]) -> Pilot:
    """Per method the questions, each of whose amounts is the same number."""
    rows = [Amounts.all(value) for values in methods.values() for value in values]
    taken = Amounts.all(sum(row.calls for row in rows))
    return Pilot(len(rows), {m: [Amounts.all(v) for v in values] for m, values in methods.items()}, taken)


def test_the_interval_is_the_prediction_interval_of_the_sum():
    found = estimate(pilot(react=[2.0, 4.0, 6.0]), {"react": Pending(9, 9)}, {}, NOTHING, RATES)
    # mean 4, s 2, t(2) 4.3027: 36 ± 4.3027 * 9 * 2 * sqrt(1/3 + 1/9)
    assert found.remaining.calls == Range(pytest.approx(0.0), 36.0, pytest.approx(36 + 51.632, abs=1e-3))
    narrow = estimate(pilot(react=[3.9, 4.0, 4.1]), {"react": Pending(9, 9)}, {}, NOTHING, RATES).remaining.calls
    assert (narrow.low, narrow.high) == (pytest.approx(33.418, abs=1e-3), pytest.approx(38.582, abs=1e-3))


def test_the_interval_holds_the_truth_in_95_of_100_cases():
    """Log-normal rows, as lengths of episodes are; 20 measured, 200 pending."""
    draw, held = random.Random(0), 0
    for _ in range(150):
        rows = [draw.lognormvariate(1.0, 0.5) for _ in range(220)]
        remaining = estimate(pilot(react=rows[:20]), {"react": Pending(200, 200)}, {}, NOTHING, RATES).remaining.calls
        held += remaining.low <= sum(rows[20:]) <= remaining.high
    assert 0.9 <= held / 150 <= 0.99


def test_pending_attempts_at_the_same_question_do_not_make_it_more_certain():
    many = estimate(pilot(react=[2.0, 4.0]), {"react": Pending(40, 40)}, {}, NOTHING, RATES).remaining.calls
    few = estimate(pilot(react=[2.0, 4.0]), {"react": Pending(40, 10)}, {}, NOTHING, RATES).remaining.calls
    assert few.expected == many.expected == 120
    assert few.high > many.high


def test_the_ends_of_methods_are_added():
    alone = [
        estimate(pilot(**{name: values}), {name: Pending(10, 10)}, {}, NOTHING, RATES).remaining.calls
        for name, values in {"cot": [1.0, 1.0, 1.0], "react": [3.0, 4.0, 5.0]}.items()
    ]
    both = {"cot": Pending(10, 10), "react": Pending(10, 10)}
    together = estimate(pilot(cot=[1.0, 1.0, 1.0], react=[3.0, 4.0, 5.0]), both, {}, NOTHING, RATES).remaining.calls
    assert together == alone[0] + alone[1]
    assert alone[0] == Range(10.0, 10.0, 10.0)


def test_one_question_tells_no_spread():
    found = estimate(pilot(react=[3.0]), {"react": Pending(5, 5)}, {}, NOTHING, RATES).remaining.calls
    assert found == Range(0.0, 15.0, math.inf)


def test_the_total_is_what_is_paid_and_the_rest_of_what_is_pending():
    found = estimate(pilot(react=[4.0, 4.0]), {"react": Pending(10, 10)}, {}, Amounts.all(5), RATES)
    assert (found.n_done, found.n_pending) == (2, 10)
    assert (found.taken.calls, found.remaining.calls.expected, found.total.calls.expected) == (13, 35, 48)


def test_nothing_pending_is_nothing_remaining():
    found = estimate(pilot(react=[4.0, 4.0]), {"react": Pending(0, 0)}, {}, NOTHING, RATES)
    assert found.remaining == Amounts.all(Range(0.0, 0.0, 0.0))
    assert found.total.calls == Range(8.0, 8.0, 8.0)


def test_an_unknown_price_leaves_money_unknown_and_nothing_else():
    unpriced = Amounts(2, 100, 10, None, 1, 3.0, 4.0)
    done = Pilot(2, {"react": [unpriced, unpriced]}, unpriced)
    found = estimate(done, {"react": Pending(10, 10)}, {}, NOTHING, RATES)
    assert (found.remaining.cost_usd, found.total.cost_usd, found.taken.cost_usd) == (None, None, None)
    assert found.remaining.prompt_tokens.expected == 1000


def test_a_method_without_a_row_has_a_bound_and_no_expectation():
    ceilings = {"cot": Amounts.all(Range(0.0, None, 7.0))}
    both = {"cot": Pending(10, 10), "react": Pending(10, 10)}
    found = estimate(pilot(react=[2.0, 2.0]), both, ceilings, NOTHING, RATES)
    assert found.remaining.calls == Range(20.0, None, 90.0)
    assert found.unmeasured == ["cot"]


def test_the_ceiling_of_a_row_is_every_step_at_full_length():
    acting = agent(limits=Limits(max_steps=3, timeout_s=60.0), few_shot=True)
    most = ceiling(acting, question(), max_chars=600, price=Price(1.0, 2.0))
    first = acting.method.turns(question(), [])
    n_bytes = sum(len(turn.content) for turn in first)
    assert (most.calls, most.searches, most.completion_tokens) == (
        Range(0.0, None, 3),
        Range(0.0, None, 3),
        Range(0.0, None, 3 * 512),
    )
    # Three prompts; one reply of 512 tokens and one observation of 600 characters more each time.
    at_least = 3 * (n_bytes // 3) + (1 + 2) * (512 + 200)
    assert at_least <= most.prompt_tokens.high <= at_least + 100
    assert most.cost_usd.high == pytest.approx((most.prompt_tokens.high + 2 * 3 * 512) / 1e6)
    assert most.row_s == Range(0.0, None, 60.0)


def test_a_method_that_answers_goes_on_after_unusable_replies_only():
    most = ceiling(agent(method="cot"), question(), max_chars=600, price=None)
    assert (most.calls.high, most.searches.high, most.cost_usd) == (3, 0, None)


def amounts(**values: float) -> Amounts:
    return Amounts(**{**dict.fromkeys(Amounts.__annotations__, 1.0), **values})


LIMITS = {
    "generate.concurrency": ({}, {}, {"model_s": 720.0}),
    "teacher.quota.max_concurrency": ({"max_concurrency": 1}, {}, {"model_s": 72.0}),
    "teacher.quota.requests_per_minute": ({"requests_per_minute": 10.0}, {}, {"calls": 12.0}),
    "teacher.quota.tokens_per_minute": (
        {"tokens_per_minute": 1000.0},
        {},
        {"prompt_tokens": 1000.0, "completion_tokens": 200.0},
    ),
    "search.rate.per_second": ({}, {"searches_per_second": 0.5}, {"searches": 36.0}),
}


@pytest.mark.parametrize("name", LIMITS)
def test_the_slowest_limit_binds(name):
    """100 rows, each of the named amount: two hours, at the limit that binds."""
    limits, searches, values = LIMITS[name]
    row = amounts(**values)
    done = Pilot(2, {"react": [row, row]}, row)
    rates = RateLimits(QuotaLimits(**limits), calls=10, **searches)
    found = estimate(done, {"react": Pending(100, 100)}, {}, NOTHING, rates)
    assert found.binding == name
    assert found.hours[name] == Range(pytest.approx(2.0), pytest.approx(2.0), pytest.approx(2.0))


def test_fewer_rows_than_slots_take_as_long_as_a_row():
    row = amounts(row_s=360.0)
    done = Pilot(2, {"react": [row, row]}, row)
    found = estimate(done, {"react": Pending(4, 4)}, {}, NOTHING, RateLimits(QuotaLimits(), calls=64))
    assert found.hours["generate.concurrency"].expected == pytest.approx(0.1)


def test_tokens_that_nobody_counted_leave_the_time_unknown_where_they_are_limited():
    row = Amounts(2, None, None, None, 1, 3.0, 4.0)
    done = Pilot(2, {"react": [row, row]}, row)
    rates = RateLimits(QuotaLimits(tokens_per_minute=1000.0), calls=10)
    found = estimate(done, {"react": Pending(4, 4)}, {}, NOTHING, rates)
    assert found.hours["teacher.quota.tokens_per_minute"] is None
    assert found.binding is None


def test_the_mean_of_the_pilot_is_what_a_row_is_expected_to_take():
    values = [1.0, 2.0, 6.0]
    found = estimate(pilot(react=values), {"react": Pending(7, 7)}, {}, NOTHING, RATES)
    assert found.remaining.calls.expected == 7 * fmean(values)
