import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fireact_ray.training.packing import pack

CAPACITY = 64
LENGTHS = st.lists(st.integers(1, CAPACITY), max_size=200)


def test_each_row_goes_where_it_leaves_the_least_space():
    # 7 and 6 open packs; 3 closes the first; 4 closes the second; 2 opens a third, which 2 joins.
    assert pack([2, 3, 6, 7, 4, 2], capacity=10) == [(3, 1), (2, 4), (0, 5)]


@settings(deadline=None)  # no speed is asserted
@given(LENGTHS)
def test_every_row_is_in_one_pack_and_no_pack_is_too_long(lengths):
    packs = pack(lengths, CAPACITY)
    assert sorted(row for rows in packs for row in rows) == list(range(len(lengths)))
    assert all(0 < sum(lengths[row] for row in rows) <= CAPACITY for rows in packs)


@settings(deadline=None)  # no speed is asserted
@given(LENGTHS)
def test_no_two_packs_would_have_fitted_into_one(lengths):
    totals = sorted(sum(lengths[row] for row in rows) for rows in pack(lengths, CAPACITY))
    assert len(totals) < 2 or totals[0] + totals[1] > CAPACITY


@settings(deadline=None)  # no speed is asserted
@given(st.lists(st.integers(1, 60), min_size=1, max_size=60), st.randoms(use_true_random=False))
def test_rows_cut_from_full_packs_need_few_packs_more(cuts, draw):
    """Packs of CAPACITY are cut in two and shuffled: best fit puts each pair together again."""
    lengths = [length for cut in cuts for length in (cut, CAPACITY - cut)]
    draw.shuffle(lengths)
    assert len(pack(lengths, CAPACITY)) == len(cuts)


@pytest.mark.parametrize("lengths", [[3, 11], [0, 4]])
def test_a_row_that_fits_no_pack_is_refused(lengths):
    with pytest.raises(ValueError, match=r"Lengths must be 1 to 10, found"):
        pack(lengths, capacity=10)


def test_nothing_gives_no_pack():
    assert pack([], capacity=10) == []
