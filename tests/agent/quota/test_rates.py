import pytest
from hypothesis import given
from hypothesis import strategies as st

from fireact_ray.agent.quota.rates import Bucket, Rates


def starts(bucket: Bucket, gaps: list[float], amount: float) -> list[float]:
    """When callers who come after these gaps, each waiting for its turn, may start on a virtual clock."""
    now, started = 0.0, []
    for gap in gaps:
        now += gap
        now += bucket.wait_s(now, amount)
        bucket.take(now, amount)
        started.append(now)
    return started


@given(per_minute=st.floats(0.5, 5000), gaps=st.lists(st.floats(0, 20), min_size=1, max_size=200))
def test_no_minute_sees_more_than_the_limit_and_one_burst(per_minute, gaps):
    bucket = Bucket(per_minute, 0.0)
    started = starts(bucket, gaps, 1)
    for first in started:
        in_this_minute = sum(first <= at < first + 60 for at in started)
        assert in_this_minute <= per_minute + bucket.burst + 0.01


def test_callers_who_always_wait_get_the_whole_rate():
    started = starts(Bucket(1200, 0.0), [0.0] * 1200, 1)
    assert started[-1] == pytest.approx(1199 / 20)


def test_after_a_long_silence_one_seconds_worth_may_pass_at_once():
    started = starts(Bucket(600, 0.0), [100.0] + [0.0] * 11, 1)
    assert started[9] == 100.0
    assert started[10] == pytest.approx(100.1)


def test_a_call_dearer_than_the_bucket_passes_when_it_is_full_and_leaves_a_debt():
    bucket = Bucket(600, 0.0)
    assert bucket.wait_s(10.0, 500) == 0.0
    bucket.take(10.0, 500)
    assert bucket.wait_s(10.0, 1) == pytest.approx(49.1)


def test_tokens_that_were_not_used_come_back():
    rates = Rates(None, 600, 0.0)
    rates.take(10.0, 500)
    rates.settle(500, 100)
    assert rates.wait_s(10.0, 10) == pytest.approx(10.0)


def test_a_limit_is_learnt_from_the_provider_and_follows_it():
    rates = Rates(None, None, 0.0)
    assert rates.wait_s(0.0, 1) == 0.0
    rates.learn_requests(0.0, 60, 0)
    assert rates.wait_s(0.0, 1) == pytest.approx(1.0)
    rates.learn_requests(0.0, 600, None)
    assert rates.wait_s(0.0, 1) == pytest.approx(0.1)


def test_the_provider_never_lifts_the_recipes_own_limit():
    rates = Rates(60, None, 0.0)
    rates.learn_requests(0.0, 600, 600)
    rates.take(0.0, 1)
    assert rates.wait_s(0.0, 1) == pytest.approx(1.0)


def test_what_the_provider_says_is_left_bounds_what_may_pass():
    rates = Rates(600, None, 0.0)
    rates.learn_requests(100.0, 600, 0)
    assert rates.wait_s(100.0, 1) == pytest.approx(0.1)
