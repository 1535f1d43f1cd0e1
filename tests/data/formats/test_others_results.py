"""Rows of other evaluators: what was asked and answered, without the steps."""

import pytest

from fireact_ray.core.types import Score
from fireact_ray.data.formats.conversations import read_conversation
from fireact_ray.data.formats.importers import recorded
from fireact_ray.data.formats.results import is_result
from fireact_ray.data.formats.transcript import NoTranscript

FLASHRAG = {
    "id": "test_0",
    "question": "How deep is Lake Tarn?",
    "golden_answers": ["410 m", "410 metres"],
    "output": {
        "retrieval_result": [{"contents": "Tarn"}],
        "pred": "410\nmetres",
        "metric_score": {"em": 1.0, "f1": 0.5},
    },
}


def test_a_result_holds_what_was_asked_answered_and_accepted_and_its_score():
    found = read_conversation(FLASHRAG)
    assert [(turn.role, turn.text) for turn in found.turns] == [
        ("user", "How deep is Lake Tarn?"),
        ("assistant", "410 metres"),
    ]
    assert (found.golds, found.answered, found.recorded) == (("410 m", "410 metres"), "410 metres", Score(1.0, 0.5))


@pytest.mark.parametrize("key", ["pred", "prediction", "predicted_answer"])
def test_beside_a_prediction_the_answer_is_the_accepted_one(key):
    found = read_conversation({"question": "How deep?", "answer": "410 m", key: "411 m", "em": 0})
    assert (found.golds, found.answered, found.recorded, found.tells_f1) == (("410 m",), "411 m", Score(0, 0), False)


def test_a_prediction_that_was_not_made_is_no_answer():
    assert read_conversation({"question": "How deep?", "answer": "410 m", "pred": None}).answered == ""


@pytest.mark.parametrize(
    "row", [{"question": "How deep?", "answer": "410 m"}, {"question": 7, "pred": "x"}, {"pred": "x"}]
)
def test_a_question_alone_and_a_prediction_alone_are_no_results(row):
    assert not is_result(row)


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        ({"question": "How deep?", "pred": ["410 m"]}, "unparsable"),
        ({"question": "How deep?", "pred": "410 m", "answer": "410 m", "gold": "7"}, "unreadable_gold"),
    ],
)
def test_what_cannot_be_read_is_refused_by_its_kind(row, kind):
    with pytest.raises(NoTranscript) as caught:
        read_conversation(row)
    assert caught.value.kind == kind


def test_a_result_is_no_trajectory_even_where_its_answer_looks_like_a_step():
    row = {"question": "How deep?", "pred": "Thought: I know it. Action: finish[410 m]"}
    with pytest.raises(NoTranscript) as caught:
        recorded("jsonl", read_conversation(row))
    assert caught.value.kind == "only_answer"
