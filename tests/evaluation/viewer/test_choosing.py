"""Which rows a page holds where there are more than it may."""

from fireact_ray.evaluation.viewer.choosing import choose_rows, question_key

ASKED = [f"q{number}" for number in range(100)]


def test_all_rows_are_taken_where_they_fit():
    assert choose_rows([["a", "b", "a"], ["b"]], 4) == [[0, 1, 2], [0]]


def test_a_page_never_holds_more_than_its_limit_and_always_as_many_as_it_may():
    for limit in (1, 2, 7, 50, 150, 199, 200, 1000):
        taken = choose_rows([ASKED, ASKED[::-1]], limit)
        assert sum(map(len, taken)) == min(limit, 200)


def test_a_small_system_is_taken_whole_and_larger_ones_share_what_is_left():
    assert [len(places) for places in choose_rows([ASKED, ["x", "y"], ASKED], 42)] == [20, 2, 20]


def test_systems_that_are_cut_are_cut_to_the_same_questions():
    first, second = choose_rows([ASKED, ASKED[::-1]], 20)
    assert {ASKED[place] for place in first} == {ASKED[::-1][place] for place in second}
    assert first == sorted(first)
    assert first != list(range(10))  # those that were written first are no sample


def test_the_same_question_is_told_whatever_its_spaces():
    assert question_key(" Who  wrote\nit? ") == question_key("Who wrote it?")
