"""Two systems on the same questions."""

from fireact_ray.evaluation.viewer.pairs import Change, Entry, Pair, changes, n_facing, opening, pair_rows
from fireact_ray.evaluation.viewer.rows import Verdict

RIGHT, WRONG, UNSCORED, UNREADABLE = Verdict


def entries(start, *verdicts):
    return [Entry(start + number, number, verdict, "react") for number, verdict in enumerate(verdicts)]


def test_a_pair_says_what_the_second_system_made_of_it():
    first = entries(0, WRONG, RIGHT, RIGHT, WRONG, UNSCORED, RIGHT)
    second = entries(10, RIGHT, WRONG, RIGHT, WRONG, RIGHT, UNREADABLE)
    pairs = pair_rows(first, second)
    assert [pair.change for pair in pairs] == ["fixed", "broke", "both right", "both wrong", "unscored", "unscored"]
    assert pairs[0] == Pair(0, 10, Change.FIXED)
    assert changes(pairs) == {"fixed": 1, "broke": 1, "both right": 1, "both wrong": 1, "unscored": 2}


def test_what_only_one_of_them_was_asked_stands_alone():
    pairs = pair_rows(entries(0, RIGHT, RIGHT)[:1], entries(10, RIGHT, WRONG)[1:])
    assert pairs == [Pair(0, None, Change.ONLY_FIRST), Pair(None, 11, Change.ONLY_SECOND)]
    assert n_facing(pairs) == 0


def test_rows_of_a_question_face_each_other_by_method_and_attempt_then_in_order():
    first = [Entry(0, 0, RIGHT, "cot"), Entry(1, 0, RIGHT, "react"), Entry(2, 0, RIGHT, "react", 1)]
    second = [Entry(3, 0, WRONG, "react", 1), Entry(4, 0, WRONG, "react", 0)]
    assert [(pair.first, pair.second) for pair in pair_rows(first, second)] == [(0, None), (1, 4), (2, 3)]
    other_method = [Entry(5, 0, WRONG, "reflexion")]
    assert [(pair.first, pair.second) for pair in pair_rows(first, other_method)] == [(0, 5), (1, None), (2, None)]


def test_every_row_stands_in_exactly_one_pair():
    first = [Entry(place, place % 3, RIGHT, f"m{place % 2}", place % 4) for place in range(20)]
    second = [Entry(100 + place, place % 5, WRONG, f"m{place % 3}", place % 2) for place in range(17)]
    pairs = pair_rows(first, second)
    assert sorted(pair.first for pair in pairs if pair.first is not None) == list(range(20))
    assert sorted(pair.second for pair in pairs if pair.second is not None) == list(range(100, 117))


def test_a_page_opens_with_what_one_wants_to_see_first():
    one = [("r", "trajectories"), ("r", "base"), ("r", "finetuned"), ("r", "teacher")]
    assert opening(one, {(1, 2): 50, (1, 3): 50, (2, 3): 50}) == (1, 2)
    assert opening(one[:1], {}) == (0, None)
    two = [("a", "base"), ("a", "finetuned"), ("b", "base"), ("b", "finetuned")]
    facing = {(a, b): 50 for a in range(4) for b in range(a + 1, 4)}
    assert opening(two, facing) == (1, 3)
    assert opening([("a", "trajectories"), ("b.json", "b.json")], {(0, 1): 7}) == (0, 1)
