import pytest

from fireact_ray.core.types import Question
from fireact_ray.tasks.guessing import Guesses, guesses


@pytest.mark.parametrize(
    ("text", "gold", "expected"),
    [
        ("Were Ila Dun and Mor Kesh born in the same city?", "no", Guesses(1.0, 0.5)),
        ("Is a penguin a bird?", "yes", Guesses(0.0, 0.5)),
        ("Who was born earlier, Ila Dun or Mor Kesh?", "Mor Kesh", Guesses(None, 0.5)),
        ("Which is deeper, Lake A or Lake B?", "lake b", Guesses(None, 0.5)),
        ("What is 2 or 3 added to?\nA. 4\nB. 5\nC. 6\nD. 7", "C", Guesses(None, 0.25)),
        ("Who directed Red Orrin?", "Ila Dun", Guesses()),
        ("Who wrote Orrin or Ulm?", "Ila Dun", Guesses()),  # the answer is none of both
        ("What does 3+4+5 come to?", "12", Guesses()),
    ],
)
def test_what_a_question_offers_to_a_guess(text: str, gold: str, expected: Guesses) -> None:
    assert guesses(Question("t", "1", text, (gold,))) == expected
