"""How many workers are wanted: by the rows that are open, by the quota, and not at every flicker."""

from fireact_ray.rollouts.elastic import Load, Sizing


def test_as_many_are_wanted_as_have_a_row_for_each_slot():
    sizing = Sizing(1, 6, slots=8)
    assert [sizing.wanted(Load(n_open, n_joined=1), 0) for n_open in (0, 8, 9, 40, 1000)] == [1, 1, 2, 5, 6]


def test_fewer_are_wanted_only_after_fewer_were_enough_for_a_while():
    sizing = Sizing(1, 4, slots=8)
    assert sizing.wanted(Load(32, 1), 0) == 4
    assert sizing.wanted(Load(3, 4), 6) == 4
    assert sizing.wanted(Load(25, 4), 8) == 4  # they are needed again
    assert sizing.wanted(Load(3, 4), 17) == 4
    assert sizing.wanted(Load(3, 4), 18) == 1


def test_none_are_added_while_calls_wait_for_the_quota():
    sizing = Sizing(1, 8, slots=4)
    assert sizing.wanted(Load(100, n_joined=2, n_held_up=3), 0) == 2
    assert sizing.wanted(Load(100, n_joined=2), 29) == 2
    assert sizing.wanted(Load(100, n_joined=2), 30) == 8


def test_those_that_have_not_come_are_no_longer_asked_for_where_the_quota_holds_up_those_that_have():
    sizing = Sizing(1, 8, slots=4)
    assert sizing.wanted(Load(100, n_joined=0), 0) == 8
    assert sizing.wanted(Load(100, n_joined=3, n_held_up=1), 5) == 8
    assert sizing.wanted(Load(100, n_joined=3, n_held_up=1), 10) == 3


def test_a_fixed_number_stays():
    sizing = Sizing(3, 3, slots=8)
    assert sizing.is_fixed
    assert {sizing.wanted(Load(n_open, 3, n_held_up), n_open) for n_open in range(100) for n_held_up in (0, 9)} == {3}
