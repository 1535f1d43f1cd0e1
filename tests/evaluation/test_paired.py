import pytest

from fireact_ray.core.errors import DataError
from fireact_ray.evaluation.paired import coin_p_value, compare_paired


@pytest.mark.parametrize(
    ("heads", "tails", "p_value"),
    [
        (0, 0, 1.0),
        (3, 3, 1.0),
        (0, 5, 2 / 32),
        (5, 0, 2 / 32),
        (1, 8, 2 * (1 + 9) / 512),
    ],
)
def test_the_p_value_is_that_of_a_fair_coin(heads, tails, p_value):
    assert coin_p_value(heads, tails) == p_value


def test_the_p_value_of_thousands_of_questions_is_no_overflow():
    assert coin_p_value(3000, 3000) == 1.0
    assert 0.0 < coin_p_value(2800, 3200) < 1e-6


def test_a_comparison_counts_the_questions_that_only_one_got_right():
    a = {"q1": 1.0, "q2": 0.0, "q3": 0.0, "q4": 0.0, "q5": 1.0}
    b = {"q5": 1.0, "q4": 1.0, "q3": 1.0, "q2": 1.0, "q1": 0.0}
    paired = compare_paired(a, b)
    assert (paired.n, paired.n_only_a, paired.n_only_b) == (5, 1, 3)
    assert paired.difference == pytest.approx(0.4)
    assert paired.p_value == 2 * (1 + 4) / 16
    assert paired.interval.low < 0.4 < paired.interval.high


def test_pairing_sees_what_two_separate_intervals_do_not():
    # 40% against 50% of 100 questions, but every question that a got right, b got right too.
    a = {f"q{i}": float(i < 40) for i in range(100)}
    b = {f"q{i}": float(i < 50) for i in range(100)}
    paired = compare_paired(a, b)
    assert paired.p_value == 2 / 1024
    assert paired.interval.low > 0.03


@pytest.mark.parametrize(("a", "b"), [({"q1": 1.0}, {"q2": 1.0}), ({}, {})])
def test_systems_that_answered_other_questions_cannot_be_paired(a, b):
    with pytest.raises(DataError, match="needs the same questions"):
        compare_paired(a, b)
