import pytest

from fireact_ray.core.types import Score
from fireact_ray.tasks.scoring import best_score, exact_match, f1, normalise


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The Eiffel Tower", "eiffel tower"),
        ("  an   Apple,\ta Day! ", "apple day"),
        ("U.S.A.", "usa"),
        ("rock-n-roll", "rocknroll"),  # punctuation is dropped, not turned into a space
        ("Theatre of the Absurd", "theatre of absurd"),  # only whole words are articles
        ("O'Neill", "oneill"),
        ("St. Mary's (2nd) Church", "st marys 2nd church"),
        ("1,024", "1024"),
        ("The The", ""),
        ("", ""),
        ("Élan vital", "élan vital"),
        ("50 %", "50"),
        ("“The” Elbe", "“ ” elbe"),  # beyond ASCII, words are parted by more than spaces
        ("the\x00Elbe", "\x00elbe"),
    ],
)
def test_answers_are_normalised_as_squad_does(text, expected):
    assert normalise(text) == expected


@pytest.mark.parametrize(
    ("answer", "gold", "em", "f1_expected"),
    [
        ("the Elbe", "Elbe", 1.0, 1.0),
        ("River Elbe", "Elbe", 0.0, 2 / 3),  # precision 1/2, recall 1
        ("Otto Hahn of Frankfurt", "Otto Hahn", 0.0, 2 / 3),  # precision 2/4, recall 1
        (
            "new york new york",
            "New York City",
            0.0,
            4 / 7,
        ),  # two of four against two of three, counted once each
        ("Vienna", "Graz", 0.0, 0.0),
        ("", "Graz", 0.0, 0.0),
    ],
)
def test_exact_match_is_all_or_nothing_and_f1_counts_shared_words(answer, gold, em, f1_expected):
    assert exact_match(answer, gold) == em
    assert f1(answer, gold) == pytest.approx(f1_expected)


@pytest.mark.parametrize(("answer", "gold"), [("yes it is", "yes"), ("no", "no one"), ("noanswer given", "noanswer")])
def test_yes_and_no_get_no_partial_credit(answer, gold):
    assert f1(answer, gold) == 0.0


def test_the_best_of_all_accepted_answers_counts():
    assert best_score("J. R. R. Tolkien", ["John Tolkien", "J.R.R. Tolkien"]).exact_match == 0.0
    assert best_score("JRR Tolkien", ["John Tolkien", "J.R.R. Tolkien"]) == Score(1.0, 1.0)


def test_no_answer_scores_zero():
    assert best_score(None, ["Elbe"]) == Score(0.0, 0.0)
