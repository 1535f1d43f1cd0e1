import pytest

from fireact_ray.agent.quota.concurrency import Concurrency


def full(limit: int) -> Concurrency:
    concurrency = Concurrency(limit)
    for _ in range(limit):
        concurrency.take()
    return concurrency


def test_there_is_room_up_to_the_ceiling():
    concurrency = full(3)
    assert not concurrency.has_room
    concurrency.free()
    assert concurrency.has_room


def test_a_429_takes_a_quarter_and_a_round_of_successes_gives_one_back():
    concurrency = full(40)
    concurrency.limited(10.0, 9.0)
    assert concurrency.limit == 30.0
    for _ in range(30):
        concurrency.succeeded()
    assert concurrency.limit == pytest.approx(31, abs=0.05)


def test_many_429s_of_one_round_cut_once():
    concurrency = full(40)
    for _ in range(10):
        concurrency.limited(10.0, 9.0)
    assert concurrency.limit == 30.0
    concurrency.limited(12.0, 11.0)
    assert concurrency.limit == 22.5


def test_it_never_falls_below_one_nor_rises_over_the_ceiling():
    concurrency = full(2)
    for at in range(10):
        concurrency.limited(at + 1.0, float(at + 1))
    assert concurrency.limit == 1.0
    for _ in range(100):
        concurrency.succeeded()
    assert concurrency.limit == 2.0


def test_where_nothing_is_known_each_reply_lets_one_more_in_until_a_429():
    concurrency = Concurrency(None)
    for _ in range(16):
        assert concurrency.has_room
        concurrency.take()
    assert not concurrency.has_room
    for _ in range(84):
        concurrency.succeeded()
    for _ in range(84):
        concurrency.take()
    assert concurrency.limit == concurrency.in_flight == 100
    concurrency.limited(1.0, 0.0)
    assert concurrency.limit == 75.0
    concurrency.succeeded()
    assert concurrency.limit == pytest.approx(75 + 1 / 75)


def test_a_provider_that_names_its_rate_needs_no_probing():
    concurrency = Concurrency(None)
    concurrency.lift()
    for _ in range(1000):
        concurrency.take()
    assert concurrency.has_room
    concurrency.limited(1.0, 0.0)
    concurrency.lift()  # what a 429 has shown stays
    assert concurrency.limit == 750.0


def test_a_ceiling_is_never_lifted():
    concurrency = full(3)
    concurrency.lift()
    assert not concurrency.has_room
