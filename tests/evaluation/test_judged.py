"""What a judge says beside exact match; the calls themselves are those of a run (tests/stages/test_judge.py)."""

import json

import pytest

from fireact_ray.core.errors import InputError
from fireact_ray.evaluation.judged import Judged, Verdict, judged, to_be_judged
from fireact_ray.evaluation.recorded.places import recordings
from fireact_ray.evaluation.recorded.reading import Reader
from fireact_ray.evaluation.recorded.rescore import answered
from fireact_ray.tasks import load_questions


def row(answer: str | None, gold: str | None = "Ada Moe") -> dict:
    said = "Thought: So." if answer is None else f"Thought: So.\nAction: finish[{answer}]"
    turns = [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": said}]
    return {"messages": turns, **({"gold": gold} if gold else {})}


@pytest.fixture
def reader(tmp_path) -> Reader:
    rows = [row("Ada Moe"), row("A. Moe"), row("A. Moe"), row("Bo"), row(None), row("Bo", None)]
    (tmp_path / "x.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (found,) = recordings(str(tmp_path / "x.jsonl"))
    return Reader(found)


def test_each_answer_is_asked_about_once_and_only_where_there_is_something_to_compare_it_with(reader, tmp_path):
    asked = {question.text: line for question, line in to_be_judged(answered(reader, None))}
    assert list(asked) == [
        f"Asked: Who?\nAccepted: Ada Moe\nAnswered: {answer}" for answer in ("Ada Moe", "A. Moe", "Bo")
    ]
    (tmp_path / "questions.jsonl").write_text("".join(json.dumps(line) + "\n" for line in asked.values()))
    questions = load_questions("judge", str(tmp_path), "train")
    assert questions == [question for question, _ in to_be_judged(answered(reader, None))]  # as the run reads them


def test_what_the_judge_says_is_counted_beside_exact_match_and_the_unanswered_are_wrong(reader):
    ids = {line["answer"]: question.id for question, line in to_be_judged(answered(reader, None))}
    said = {ids["Ada Moe"]: Verdict(False, 0.25), ids["A. Moe"]: Verdict(True, 0.5), ids["Bo"]: Verdict(None, 0.25)}
    found = judged("m", answered(reader, None), said)
    assert found == Judged(
        "m", both_right=0, only_judge=2, only_exact=1, both_wrong=2, no_verdict=1, n_asked=3, cost_usd=1.0
    )
    assert (found.n, found.right.measure.percent, found.agreement) == (5, 40.0, 40.0)
    assert found.sentence.startswith(
        "m judges 40.0 [11.8, 76.9] % of 5 rows right and agrees with exact match on 40.0 %"
    )


def test_what_a_verdict_cost_is_unknown_where_one_price_is_and_is_counted_once_an_answer(reader):
    ids = {line["answer"]: question.id for question, line in to_be_judged(answered(reader, None))}
    said = {ids["Ada Moe"]: Verdict(True, 0.25), ids["A. Moe"]: Verdict(True, None)}
    found = judged("m", answered(reader, None), said)
    assert (found.n_asked, found.no_verdict, found.cost_usd) == (3, 1, None)
    assert "for unknown $" in found.sentence


def test_rows_without_an_accepted_answer_have_no_judge(tmp_path):
    (tmp_path / "x.jsonl").write_text(json.dumps(row("Bo", None)))
    (found,) = recordings(str(tmp_path / "x.jsonl"))
    assert judged("m", answered(Reader(found), None), {}) is None


def test_what_is_no_answer_to_be_judged_is_refused_by_row(tmp_path):
    (tmp_path / "questions.jsonl").write_text('{"question": "Who?", "accepted": "Bo", "answer": "Bo"}\n')
    with pytest.raises(InputError, match='row 1: expected an object with "question", "accepted" and "answer"'):
        load_questions("judge", str(tmp_path), "train")
