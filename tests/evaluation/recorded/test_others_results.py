"""Results without steps are scored by their answers; accepted answers that a row names count wherever it is read."""

from fireact_ray.data.formats.importers import import_trajectories
from fireact_ray.data.formats.records import read_records
from fireact_ray.data.lint.outcome import unscored, wrong_answer

from .recordings import chat, em, file, scored


def flashrag(question: str, pred: str, exact: float, f1: float, *golds: str) -> dict:
    output = {"pred": pred, "prompt": "...", "metric_score": {"em": exact, "f1": f1}}
    return {"id": question, "question": question, "golden_answers": list(golds), "output": output}


def test_results_of_flashrag_are_scored_anew_and_their_steps_are_unknown(tmp_path):
    rows = [
        flashrag("Who?", "Ila Dun", 1.0, 1.0, "Ila Dun", "Dun"),
        flashrag("Where?", "in Zem", 0.0, 0.5, "Zem"),  # it is 2/3
        flashrag("When?", "", 0.0, 0.0, "1954"),
    ]
    found = scored(file(tmp_path, rows))
    assert (found.report.n_planned, found.report.n_finished, round(em(found), 1)) == (3, 2, 33.3)
    assert found.report.searches_per_question is None
    assert found.said == [
        "1 of 3 rows scored anew were recorded with another F1",
        "3 rows count by their answer, and not every step of them is read: only_answer",
    ]


def test_an_exact_match_alone_is_not_compared_with_an_f1(tmp_path):
    rows = [{"question": "Who?", "answer": "Ila Dun", "pred": "Ila", "em": False}]
    assert scored(file(tmp_path, rows)).said[0] == "1 rows scored anew, each as it was recorded"


def test_rows_that_name_accepted_answers_are_imported_with_them_and_judged_by_them(tmp_path):
    rows = [
        chat("How deep is Lake Tarn?", "410 metres", golden_answers=["410 m", "410 metres"]),
        chat("How deep is Lake Ulm?", "7 m", ground_truth="70 m"),
        chat("How deep is Lake Ossel?", "9 m", gold={"depth": 9}),
    ]
    found = import_trajectories(file(tmp_path, rows, "x.jsonl"), "jsonl")
    assert [(one.question.answers, one.score.exact_match) for one in found.trajectories] == [
        (("410 m", "410 metres"), 1.0),
        (("70 m",), 0.0),
    ]
    assert found.rejected == {"unreadable_gold": 1}
    assert found.said == []


def test_they_are_wrong_for_lint_and_shown_as_expected(tmp_path):
    (record,) = read_records(file(tmp_path, [chat("How deep is Lake Ulm?", "7 m", golden_answers=["70 m"])], "x.jsonl"))
    assert record.trajectory.question.answers == ("70 m",)
    assert (wrong_answer(record), unscored(record)) == (True, False)
