import numpy as np
import pytest

from fireact_ray.core.utils.statistics import (
    bootstrap_interval,
    grouped_mean_interval,
    grouped_wilson_interval,
    mean_interval,
    t_95,
    wilson_interval,
)


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        # Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_the_wilson_interval_has_its_published_values(successes, n, low, high):
    assert wilson_interval(successes, n) == pytest.approx((low, high), abs=5e-5)


def test_the_wilson_interval_mirrors_failures_and_stays_within_0_and_1():
    low, high = wilson_interval(20, 20)
    assert (low, high) == pytest.approx((1 - 0.1611, 1.0), abs=5e-5)
    assert wilson_interval(0, 0) == (0.0, 1.0)


def test_the_bootstrap_interval_is_that_of_the_mean():
    # 100 values, half 0 and half 1: the mean's standard error is 0.05, so about 0.5 +- 1.96 * 0.05.
    assert bootstrap_interval([0.0, 1.0] * 50) == pytest.approx((0.402, 0.598), abs=0.015)


def test_the_bootstrap_interval_repeats_with_its_seed():
    values = [0.1 * i for i in range(11)]
    assert bootstrap_interval(values) == bootstrap_interval(values)
    assert bootstrap_interval(values, seed=1, n_resamples=9) != bootstrap_interval(values, seed=2, n_resamples=9)


def test_equal_values_leave_no_doubt():
    assert bootstrap_interval([0.25, 0.25]) == (0.25, 0.25)


@pytest.mark.parametrize(
    ("degrees", "quantile"),
    [(1, 12.7062), (2, 4.3027), (3, 3.1824), (4, 2.7764), (5, 2.5706), (9, 2.2622), (19, 2.0930), (120, 1.9799)],
)
def test_students_t_has_its_tabulated_quantiles(degrees, quantile):
    assert t_95(degrees) == pytest.approx(quantile, abs=4e-3)


@pytest.mark.slow
def test_the_interval_of_a_mean_is_resampled_of_few_values_and_normal_of_many():
    few, many = [0.0, 1.0] * 50, [0.0, 1.0] * 2501
    assert mean_interval(few) == bootstrap_interval(few)
    half = 1.959964 * 0.5 * (1 + 1 / 5001) ** 0.5 / 5002**0.5
    assert mean_interval(many) == pytest.approx((0.5 - half, 0.5 + half), abs=1e-7)
    assert mean_interval(many) == pytest.approx(bootstrap_interval(many), abs=0.0005)


def test_the_order_of_values_does_not_move_the_interval_of_their_mean():
    values = [0.1 * i for i in range(11)]
    assert mean_interval(values[::-1]) == mean_interval(values)


@pytest.mark.parametrize(
    ("sums", "sizes", "successes", "trials"),
    [
        ([1, 0, 0, 1], [1, 1, 1, 1], 1.5, 3),  # each alone: p(1-p) over the variance of a sample of four
        ([2, 0] * 10, [2, 2] * 10, 9.5, 19),  # twice the same says no more than once
        ([1, 1, 1], [2, 2, 2], 3, 6),  # groups that do not differ say as much as all their trials
        ([3, 3], [3, 3], 2, 2),  # no variance to go by: as many as groups
        ([1], [4], 0.25, 1),
    ],
)
def test_a_proportion_of_grouped_trials_is_as_sure_as_that_of_fewer_trials(sums, sizes, successes, trials):
    found = grouped_wilson_interval(np.array(sums), np.array(sizes))
    assert found == pytest.approx(wilson_interval(successes, trials))


def test_a_mean_of_grouped_values_is_resampled_by_groups_and_normal_of_many():
    once = np.array([0.0, 0.25, 1.0, 0.5, 1.0, 0.0])
    assert grouped_mean_interval(2 * once, np.full(6, 2)) == mean_interval(once)
    sums, sizes = np.array([0.0, 2.0] * 2501), np.full(5002, 2)
    assert grouped_mean_interval(sums, sizes) == pytest.approx(mean_interval([0.0, 1.0] * 2501), abs=1e-6)
