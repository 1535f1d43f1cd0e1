import json
from dataclasses import replace

import pytest

from fireact_ray.core.errors import DataError
from fireact_ray.core.types import (
    Action,
    Observation,
    Question,
    Score,
    Step,
    StopReason,
    Trajectory,
    Usage,
)
from fireact_ray.evaluation.report import Report
from fireact_ray.evaluation.tables import comparison_markdown, comparison_table, kinds_markdown, report_page

SEARCH = Step("t", Action("search", "q"), Observation("text"), "", Usage(100, 10), 0.5, 0.25)
FINISH = Step("t", Action("finish", "Tarn"), None, "", Usage(150, 20), 0.75)
RIGHT, WRONG = Score(1.0, 1.0), Score(0.0, 0.5)


def row(key, reason=StopReason.FINISHED, score=RIGHT, *, kind="", cost=None, error=None, answers=("Tarn",)):
    steps = (SEARCH, FINISH) if reason is StopReason.FINISHED else (SEARCH,)
    question = Question("jsonl", f"q-{key}", "Which?", answers, kind)
    return Trajectory(key, question, "react", "m", 0, steps, reason, score, error, cost)


ROWS = [
    row("a", kind="1hop", cost=0.01),
    row("b", kind="1hop", score=WRONG, cost=0.02),
    row("c", StopReason.MAX_STEPS, Score(0.0, 0.0), kind="2hop", cost=0.03),
    row("d", StopReason.MODEL_ERROR, None, kind="2hop", error="ModelUnavailable: 503 five times", cost=0.0),
]


def test_every_planned_row_is_finished_stopped_or_failed():
    report = Report.from_trajectories("base", ROWS)
    assert (report.n_planned, report.n_finished) == (4, 2)
    assert (report.stopped, report.failed) == ({"max_steps": 1}, {"ModelUnavailable": 1})


def test_an_episode_without_an_answer_scores_zero():
    metrics = Report.from_trajectories("base", ROWS).metrics
    assert metrics.n == 4
    assert str(metrics.em) == "25.0 [4.6, 69.9]"  # Wilson, 1 of 4
    assert metrics.f1.percent == 37.5  # (1 + 0.5 + 0 + 0) / 4


def test_questions_without_a_known_answer_are_counted_and_not_scored():
    report = Report.from_trajectories("base", [*ROWS, row("e", score=None, answers=())])
    assert (report.n_planned, report.n_unscored, report.metrics.n) == (5, 1, 4)
    unscored = Report.from_trajectories("base", [row("e", score=None, answers=())])
    assert unscored.to_dict()["em"] is None
    assert "| all       |" in report_page(unscored)


def test_a_question_that_was_asked_four_times_passes_for_one_in_an_interval():
    once = [row(f"q{n}", score=RIGHT if n % 2 else WRONG) for n in range(10)]
    again = [replace(one, trajectory_id=f"{one.trajectory_id}-{n}", attempt=n) for one in once for n in range(4)]
    first, fourfold = (Report.from_trajectories("base", rows).metrics for rows in (once, again))
    assert (first.n, first.n_questions, fourfold.n, fourfold.n_questions) == (10, 10, 40, 10)
    assert (str(first.em), str(fourfold.em)) == ("50.0 [23.7, 76.3]", "50.0 [22.7, 77.3]")
    assert str(fourfold.f1) == str(first.f1)
    assert fourfold.to_dict()["n_questions"] == 10
    assert "| 40 of 10 questions |" in report_page(Report.from_trajectories("base", again))


def test_rows_of_several_methods_are_shown_by_method_too():
    rows = [
        *ROWS,
        *(replace(one, trajectory_id=f"{one.trajectory_id}-cot", method="cot", score=RIGHT) for one in ROWS[:2]),
    ]
    report = Report.from_trajectories("base", rows)
    assert {method: (one.n, one.em.percent) for method, one in report.metrics_by_method.items()} == {
        "cot": (2, 100.0),
        "react": (4, 25.0),
    }
    assert "| cot       |" in report_page(report)
    assert Report.from_trajectories("base", ROWS).to_dict()["by_method"] == {}


def test_costs_are_per_planned_question():
    report = Report.from_trajectories("base", ROWS)
    assert report.searches_per_question == 1.0
    assert report.steps_per_question == 1.5
    assert report.seconds_per_question == 1.125  # (1.5 + 1.5 + 0.75 + 0.75) / 4
    assert report.tokens_per_question == 195.0  # (280 + 280 + 110 + 110) / 4
    assert report.cost_usd == pytest.approx(0.06)


def test_an_unknown_price_makes_the_cost_unknown_and_not_zero():
    assert Report.from_trajectories("base", [row("a", cost=0.01), row("b")]).cost_usd is None


def test_time_and_tokens_that_nobody_measured_are_unknown():
    step = Step("t", Action("finish", "Tarn"), None)
    imported = Trajectory("a", Question("jsonl", "q", "?", ("Tarn",)), "react", "m", 0, (step,), StopReason.FINISHED)
    for rows in ([imported], [imported, row("b")]):  # and are no zeros among those that somebody did
        report = Report.from_trajectories("base", rows)
        assert (report.seconds_per_question, report.tokens_per_question) == (None, None)


def test_kinds_have_their_own_marks():
    by_kind = Report.from_trajectories("base", ROWS).metrics_by_kind
    assert {kind: (metrics.n, metrics.em.percent) for kind, metrics in by_kind.items()} == {
        "1hop": (2, 50.0),
        "2hop": (2, 0.0),
    }


def test_other_metrics_are_computed_from_the_answers_of_the_rows():
    metrics = Report.from_trajectories("base", ROWS).to_dict()["metrics"]
    assert {name: (metric["n"], metric["percent"]) for name, metric in metrics.items()} == {
        "precision": (4, 50.0),  # both that finished answer "Tarn", whatever was stored
        "recall": (4, 50.0),
        "cover_em": (4, 50.0),
    }
    asked = [row("y", answers=("yes",), score=WRONG), *ROWS]
    yes_no = Report.from_trajectories("base", asked).metrics.others["yes_no_accuracy"]
    assert (yes_no.n, yes_no.measure.percent) == (1, 0.0)
    assert "0.0 [0.0, 79.3] of 1" in report_page(Report.from_trajectories("base", asked))


def test_several_tasks_have_their_own_marks_and_name_their_kinds():
    ours = row("a", kind="1hop")
    verdict = Question("strategyqa", "s", "Is it?", ("no",))
    other = replace(row("s", score=Score(0.0, 0.0)), question=verdict)
    report = Report.from_trajectories("base", [ours, other])
    assert {task: metrics.em.percent for task, metrics in report.metrics_by_task.items()} == {
        "jsonl": 100.0,
        "strategyqa": 0.0,
    }
    assert list(report.metrics_by_kind) == ["jsonl/1hop"]
    assert report.metrics_by_task["strategyqa"].others["yes_no_accuracy"].n == 1
    assert Report.from_trajectories("base", ROWS).metrics_by_task == {}


def test_lost_and_repeated_rows_are_refused():
    with pytest.raises(DataError, match="5 rows planned, 4 accounted for"):
        Report.from_trajectories("base", ROWS, n_planned=5)
    with pytest.raises(DataError, match="row a occurs twice"):
        Report.from_trajectories("base", [*ROWS, ROWS[0]])
    with pytest.raises(DataError, match="no trajectory"):
        Report.from_trajectories("base", [])


def test_a_report_is_json_with_keys_in_one_order_and_digits_in_any():
    forwards = json.dumps(Report.from_trajectories("base", ROWS).to_dict())
    backwards = json.dumps(Report.from_trajectories("base", ROWS[::-1]).to_dict())
    assert forwards == backwards
    assert list(json.loads(forwards)) == [
        "version",
        "name",
        "n_planned",
        "n_finished",
        "stopped",
        "failed",
        "n_unscored",
        "em",
        "f1",
        "searches_per_question",
        "steps_per_question",
        "seconds_per_question",
        "tokens_per_question",
        "cost_usd",
        "by_kind",
        "metrics",
        "by_task",
        "by_method",
        "per_trial",
    ]


def test_the_page_of_a_report_says_what_became_of_its_rows():
    page = report_page(Report.from_trajectories("base", ROWS))
    assert page.startswith(
        "# base\n\n4 planned: 2 finished, 1 stopped (1 max_steps), 1 failed (1 ModelUnavailable). 0 without a known"
    )
    assert "| 1hop      |" in page
    assert "| steps             |     1.50 |     0.58 |     1.00 |     1.50 |     2.00 |     6.00 |    4 |" in page
    assert "| cost $            | 0.015000 | 0.012910 | 0.000000 | 0.015000 | 0.030000 | 0.060000 |    4 |" in page
    assert "| cached tokens     |        - |        - |        - |        - |        - |        - |    0 |" in page
    assert "steps: 1 in 2 rows, 2 in 2 rows" in page


def test_systems_stand_side_by_side_and_are_compared_question_by_question():
    base = Report.from_trajectories("base", [row(f"{i}", score=WRONG if i < 8 else RIGHT) for i in range(10)])
    tuned = Report.from_trajectories("tuned", [row(f"{i}", score=WRONG if i < 1 else RIGHT) for i in range(10)])
    first, second = comparison_table([base, tuned])
    assert list(first) == [
        "system",
        "em",
        "f1",
        "searches_per_question",
        "seconds_per_question",
        "n",
        "versus_first",
    ]
    assert first["versus_first"] is None
    assert second["versus_first"]["points"] == pytest.approx(70.0)
    assert second["versus_first"]["p_value"] == 2 / 128
    lines = comparison_markdown([base, tuned]).splitlines()
    assert lines[0].split("|")[1:4] == [" system ", "        EM % [95%] ", "         F1 % [95%] "]
    assert "20.0 [5.7, 51.0]" in lines[2]
    assert "+70.0 [+40.0, +100.0] | 0.0156 |" in lines[3]


def test_systems_with_other_questions_are_shown_without_a_comparison():
    reports = [Report.from_trajectories(name, [row(name)]) for name in ("base", "tuned")]
    assert comparison_table(reports)[1]["versus_first"] is None
    assert comparison_markdown(reports).splitlines()[3].endswith("|   1 |          - |   - |")


def test_guesses_stand_beside_every_kind_of_which_something_can_be_guessed():
    def asked(key, text, gold, kind, score=WRONG):
        return replace(row(key, score=score), question=Question("jsonl", f"q-{key}", text, (gold,), kind))

    rows = [
        asked("a", "Who is older, Ila or Mor?", "Mor", "comparison", RIGHT),
        asked("b", "Is Ila older?", "no", "yesno", RIGHT),
        asked("c", "Is Mor older?", "yes", "yesno"),
        asked("d", "Who directed Red Orrin?", "Ila", "1hop"),
    ]
    report = Report.from_trajectories("finetuned", rows)
    assert report.to_dict()["by_kind"]["yesno"]["guesses"] == {"always_no": 50.0, "coin": 50.0}
    assert "guesses" not in report.to_dict()["by_kind"]["1hop"]
    assert report.metrics.guesses == {"always_no": 25.0, "coin": 37.5}  # of all four; what offers nothing is wrong
    worse = Report.from_trajectories("base", [replace(one, score=WRONG) for one in rows])
    assert kinds_markdown([worse, report]).splitlines() == [
        "| EM % by kind | base | finetuned | finetuned - base | always no % | coin % |   n |",
        "| ------------ | ---: | --------: | ---------------: | ----------: | -----: | --: |",
        "| 1hop         |  0.0 |       0.0 |             +0.0 |           - |      - |   1 |",
        "| comparison   |  0.0 |     100.0 |           +100.0 |           - |   50.0 |   1 |",
        "| yesno        |  0.0 |      50.0 |            +50.0 |        50.0 |   50.0 |   2 |",
    ]
    fewer = Report.from_trajectories("base", [replace(one, score=WRONG) for one in rows[:2]])
    assert (
        kinds_markdown([fewer, report])
        .splitlines()[-1]
        .startswith("| yesno        |  0.0 |      50.0 |                - |")
    )
    assert kinds_markdown([report]).splitlines()[0] == "| EM % by kind | finetuned | always no % | coin % |   n |"
    assert kinds_markdown([Report.from_trajectories("base", [row("e")])]) == ""
