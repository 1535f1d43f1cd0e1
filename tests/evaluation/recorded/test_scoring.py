"""Files of others, scored anew."""

import json
import os
import threading

import pytest

from fireact_ray.core.errors import DataError, InputError
from fireact_ray.evaluation.recorded.scoring import score_paths
from fireact_ray.evaluation.viewer.sources import open_sources

from .recordings import TRAJS, alpaca, chat, em, file, output, scored, traj


def test_fireacts_trajs_are_scored_by_the_answers_that_they_hold_and_agree_with_their_marks(tmp_path):
    found = scored(file(tmp_path, TRAJS, "hotpotqa_dev_0_500.json"))
    assert (found.report.n_planned, em(found)) == (3, pytest.approx(100 / 3))
    assert found.report.metrics.f1.percent == pytest.approx(100 * 1.4 / 3)
    assert found.said == ["3 rows scored anew, each as it was recorded"]
    assert found.report.metrics.others["precision"].n == 3


def test_files_of_a_folder_are_recordings_of_their_own_unless_they_are_parts_of_one(tmp_path):
    for name in ("dev_0_500_llama-7b_2023-09-19.json", "dev_0_500_llama-13b_2023-09-18.json"):
        (tmp_path / "trajs").mkdir(exist_ok=True)
        file(tmp_path / "trajs", TRAJS, name)
    found = score_paths([str(tmp_path / "trajs")], [], "dev", None)
    assert [(one.report.name, one.report.n_planned) for one in found] == [
        ("dev_0_500_llama-13b_2023-09-18", 3),
        ("dev_0_500_llama-7b_2023-09-19", 3),
    ]
    (tmp_path / "parts").mkdir()
    for number in range(2):
        file(tmp_path / "parts", [alpaca(f"Who {number}?", "Bo", True)], f"train-0000{number}-of-00002.json")
    whole = scored(str(tmp_path / "parts"))
    assert (whole.report.name, whole.report.n_planned) == ("parts", 2)


def test_a_stored_score_that_is_not_the_computed_one_is_counted_by_mark(tmp_path):
    wrong = {
        "1": traj("Who made it?", "Ada Moe", "ada moe", False, 1.0),
        "2": traj("What else?", "torpedo boats", "torpedoes and boats", False, 0.5),
    }
    found = scored(file(tmp_path, wrong))
    assert em(found) == 50.0
    assert found.verdicts.differing == {"exact match": 1, "F1": 1}
    assert "1 of 2 rows scored anew were recorded with another F1" in found.said


def test_a_part_of_the_planned_rows_is_no_result_of_all_of_them(tmp_path):
    path = file(tmp_path, TRAJS)
    found = scored(path, planned=5)
    assert (found.report.n_planned, em(found), dict(found.report.failed)) == (5, 20.0, {"missing": 2})
    assert {name: metric.n for name, metric in found.report.metrics.others.items()} == {
        "precision": 5,
        "recall": 5,
        "cover_em": 5,
    }
    with pytest.raises(InputError, match="--planned 2: x holds 3 rows"):
        scored(path, planned=2)


def test_a_verdict_counts_where_a_row_names_no_answer_and_the_unfinished_are_then_wrong(tmp_path):
    open_end = {**alpaca("Who?", "Bo"), "output": "Thought: I give up."}
    rows = [alpaca("Who?", "Bo", True), alpaca("Which?", "Bo", "0"), open_end, {"instruction": 1, "output": "x"}, {}]
    found = scored(file(tmp_path, rows))
    report = found.report
    assert (report.n_planned, report.n_finished, dict(report.stopped)) == (3, 2, {"rejected": 1})
    assert (em(found), report.n_unscored) == (pytest.approx(100 / 3), 0)
    assert found.verdicts.as_recorded == 2
    assert "of 2 rows the F1 is their verdict once more: they record none" in found.said
    assert sum(found.unread.values()) == 2


def test_rows_of_a_file_without_answers_or_verdicts_are_not_scored(tmp_path):
    open_end = {**alpaca("Who?", "Bo"), "output": "Thought: I give up."}
    found = scored(file(tmp_path, [alpaca("Who?", "Bo"), open_end]))
    assert (found.report.metrics, found.report.n_unscored) == (None, 2)


BY_SEARCH_R1 = (
    "<think>I look.</think>\n<search> Who made it? </search>\n<information>Doc 1(Title: It) Ada Moe.</information>\n"
)
TOLD = {
    "Ada Moe": 100.0,
    "It is old.\nAnswer: Ada Moe": 100.0,
    "Thought: It is old.\n**Answer:** Ada Moe": 100.0,
    "So it is \\boxed{Ada Moe}.": 100.0,
    "<think>Bo?</think>\n<answer> Ada Moe </answer>": 100.0,
    f"{BY_SEARCH_R1}<think>So.</think>\n<answer> Ada Moe </answer>": 100.0,
    "Bo": 0.0,
}
NOT_TOLD = [
    "Thought: It may be Ada Moe.",
    BY_SEARCH_R1,
    '<function=search>{"query": "Ada Moe"}</function>',
    "1. Action: look",
]


@pytest.mark.parametrize("reply", TOLD)
def test_one_reply_that_asks_no_tool_is_scored_by_its_answer(tmp_path, reply):
    row = {
        "messages": [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": reply}],
        "gold": "Ada Moe",
    }
    found = scored(file(tmp_path, [row], "x.jsonl"))
    assert (found.report.n_finished, em(found)) == (1, TOLD[reply])
    assert found.said == ["1 rows scored for the first time: they hold no score of their own"]


@pytest.mark.parametrize("reply", NOT_TOLD)
def test_one_reply_that_goes_on_is_no_answer(tmp_path, reply):
    found = scored(file(tmp_path, [{"instruction": "Who?", "output": reply, "gold": "Ada Moe"}]))
    assert (found.report.n_finished, em(found), dict(found.report.stopped)) == (0, 0.0, {"rejected": 1})


def test_how_often_search_r1_searched_is_not_known(tmp_path):
    row = {"instruction": "Who?", "output": f"{BY_SEARCH_R1}<answer>Ada Moe</answer>", "gold": "Ada Moe"}
    assert scored(file(tmp_path, [row])).report.per_trial["searches"] is None


@pytest.mark.parametrize("name", ["gold", "golden_answers", "ground_truth", "correct_answer"])
def test_a_rows_own_accepted_answers_are_read_under_names_that_mean_nothing_else(tmp_path, name):
    rows = [chat("Who?", "A. Moe", **{name: ["Ada Moe", "A. Moe"]}), chat("Who else?", "Bo", **{name: "Ada Moe"})]
    found = scored(file(tmp_path, rows, "x.jsonl"))
    assert (em(found), found.verdicts.anew) == (50.0, 2)


def test_what_was_answered_is_not_taken_for_what_is_accepted(tmp_path):
    found = scored(file(tmp_path, [{**chat("Who?", "Bo"), "answer": "Bo"}], "x.jsonl"))
    assert found.report.metrics is None


BOTH = "Thought: Both.\nAction: search[it]\nAction: search[that]\nObservation: Ada Moe.\n"


def test_a_row_with_a_step_that_cannot_be_read_counts_by_the_answer_of_its_last_reply(tmp_path):
    rows = [
        {"instruction": "Who?", "output": BOTH + output("Ada Moe"), "gold": "Ada Moe"},
        {"instruction": "Which?", "output": BOTH + output("Bo", False)},
        {"instruction": "What?", "output": BOTH, "gold": "Ada Moe"},
    ]
    found = scored(file(tmp_path, rows))
    assert (found.report.n_planned, found.report.n_finished, em(found)) == (2, 2, 50.0)
    assert found.report.per_trial["searches"] is None
    assert found.said == [
        "1 rows name no accepted answer and count as recorded",
        "of 1 rows the F1 is their verdict once more: they record none",
        "1 rows scored for the first time: they hold no score of their own",
        "2 rows count by their answer, and not every step of them is read: two_actions",
        "1 rows not read, and in no number: two_actions",
    ]


def test_a_record_of_fireact_counts_by_the_answer_that_it_names(tmp_path):
    unclear = {**traj("Who?", "Ada Moe", "ada moe", True, 1.0), "traj": f"Who?\n{BOTH}"}
    given_up = {**traj("Which?", "", "ada moe", False, 0.0), "pred": ""}
    found = scored(file(tmp_path, {"1": unclear, "2": given_up}))
    assert (found.report.n_finished, dict(found.report.stopped), em(found)) == (1, {"rejected": 1}, 50.0)
    assert found.said == [
        "2 rows scored anew, each as it was recorded",
        "1 rows count by their answer, and not every step of them is read: two_actions",
    ]


def test_the_searches_of_an_unfinished_row_are_counted(tmp_path):
    search = "Thought: I look.\nAction: search[it]\nObservation: It is old.\n"
    rows = [
        {"instruction": "Who?", "output": f"{search * 3}Thought: I give up.", "gold": "Ada Moe"},
        {"instruction": "Which?", "output": f"{search}Thought: So.\nAction: finish[]", "gold": "Ada Moe"},
    ]
    report = scored(file(tmp_path, rows)).report
    assert (dict(report.stopped), report.metrics.em.percent) == ({"rejected": 2}, 0.0)
    assert (report.per_trial["searches"].total, report.per_trial["steps"].total) == (4.0, 6.0)


def test_a_row_that_ends_with_a_call_of_an_unknown_tool_is_unfinished_and_the_tool_is_named(tmp_path):
    submitted = chat("Who?", "Bo", gold="Bo")
    submitted["messages"][-1]["content"] = "Thought: I have it.\nAction: submit[Bo]"
    found = scored(file(tmp_path, [submitted, chat("Where?", "Zem", gold="Zem")]))
    assert em(found) == 50.0
    assert found.to_dict()["rows"]["unknown_ends"] == {"submit": 1}
    assert found.said[-1].startswith("1 rows end with a call of `submit`, which is no known way to answer")


def test_an_unfinished_row_belongs_to_the_task_that_its_question_and_accepted_answer_show(tmp_path):
    asked = "Which is a river?\nA. Ossel\nB. Tarn\nC. Ulm\nD. Zem"
    rows = [chat(asked, "A", gold="A"), {**chat(asked, "", gold="A"), "gold": "A"}, chat("Who?", "Bo", gold="Bo")]
    report = scored(file(tmp_path, rows, "x.jsonl")).report
    assert {task: (one.n, one.em.percent) for task, one in report.metrics_by_task.items()} == {
        "jsonl": (1, 100.0),
        "mmlu": (2, 50.0),
    }


def test_a_file_that_holds_each_row_twice_is_no_surer(tmp_path):
    rows = [alpaca(f"Who {n}?", "Bo", gold="Bo" if n % 2 else "Ada") for n in range(10)]
    twice = scored(file(tmp_path, [*rows, *rows])).report.metrics
    assert (twice.n, twice.n_questions, str(twice.em)) == (20, 10, "50.0 [22.7, 77.3]")


QUESTIONS = [
    {"_id": "h1", "question": "Who made it?", "answer": "Ada Moe", "type": "bridge"},
    {"_id": "h2", "question": "Is it “green”?", "answer": "no", "type": "comparison"},
]


def test_given_questions_are_what_answers_are_compared_with_by_task_and_kind(tmp_path):
    asked = file(tmp_path, QUESTIONS, "q.json")
    (tmp_path / "s.json").write_text(json.dumps([{"qid": "s1", "question": "Does it float?", "answer": True}]))
    rows = [
        alpaca("Question: who made it", "Ada Moe", False),
        alpaca('Is it "green"?', "No, blue.", True),
        alpaca("Does it float?", "Yes, on water.", 1),
        alpaca("What is this?", "Bo", True),
    ]
    found = scored(file(tmp_path, rows), f"hotpotqa={asked}", f"strategyqa={tmp_path / 's.json'}")
    report = found.report
    assert {task: one.em.percent for task, one in report.metrics_by_task.items()} == {
        "hotpotqa": 50.0,
        "strategyqa": 100.0,
    }
    assert {kind: one.em.percent for kind, one in report.metrics_by_kind.items()} == {
        "hotpotqa/bridge": 100.0,
        "hotpotqa/comparison": 0.0,  # exact match wants the bare word
    }
    assert report.metrics.others["yes_no_accuracy"].measure.percent == 100.0  # the verdict is right, though
    assert (found.verdicts.unmatched, report.n_unscored, found.verdicts.differing) == (1, 1, {"exact match": 2})


@pytest.mark.parametrize(
    ("against", "said"),
    [
        ("q.json", "say of which task it is, as in hotpotqa=q.json"),
        ("hotpot=q.json", "Unknown task 'hotpot'. Did you mean 'hotpotqa'"),
        ("hotpotqa=none.json", "none.json does not exist"),
        ("jsonl={open}", "no question names an answer"),
    ],
)
def test_questions_that_cannot_be_compared_with_are_refused(tmp_path, against, said):
    (tmp_path / "open.jsonl").write_text('{"question": "Who?"}\n')
    with pytest.raises(InputError, match=said.replace("?", r"\?")):
        scored(file(tmp_path, TRAJS), against.format(open=tmp_path / "open.jsonl"))


def test_what_a_shell_pipes_in_is_scored_and_makes_no_page_which_reads_twice(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    rows = json.dumps([traj("Who?", "Ila Dun", "Ila Dun", True, 1.0)])
    writing = threading.Thread(target=(tmp_path / "pipe").write_text, args=(rows,))
    writing.start()
    assert em(scored(str(tmp_path / "pipe"))) == 100.0
    writing.join()
    with pytest.raises(InputError, match="a pipe is read once"):
        open_sources(str(tmp_path / "pipe"))


def test_what_holds_no_trajectory_is_refused(tmp_path):
    with pytest.raises(InputError, match="no such file or folder"):
        scored(str(tmp_path / "none"))
    with pytest.raises(InputError, match="expected rows with 'messages'"):
        scored(file(tmp_path, [{"a": 1}]))
    with pytest.raises(DataError, match=r"no row is a trajectory \(no_question 1\)"):
        scored(file(tmp_path, [alpaca("", "Bo")]))


def test_the_command_prints_a_page_and_writes_all_numbers(tmp_path, capsys):
    from fireact_ray.cli.commands.score import score

    score([file(tmp_path, TRAJS)], json_file=tmp_path / "out.json")
    printed = capsys.readouterr().out
    assert "3 planned: 3 finished. 0 without a known answer, not scored." in printed
    assert "- 3 rows scored anew, each as it was recorded." in printed
    written = json.loads((tmp_path / "out.json").read_text())["recordings"][0]
    assert written["rows"] == {
        "scored_anew": 3,
        "as_recorded": 0,
        "without_f1": 0,
        "not_among_the_questions": 0,
        "recorded_otherwise": {},
        "unread": {},
        "answer_only": {},
        "unknown_ends": {},
        "repeated": 0,
        "pending": 0,
        "unplanned": 0,
    }
    assert written["per_trial"]["prompt_tokens"] is None


def test_the_command_shows_no_control_characters_of_a_file(tmp_path, capsys):
    from fireact_ray.cli.commands.score import score

    questions = [{"question": "Who?", "answer": "Bo", "kind": "\x1b[31mred\x07"}]
    path = file(tmp_path, questions, "q.jsonl")
    score([file(tmp_path, [alpaca("Who?", "Bo", True)])], against=[f"jsonl={path}"])
    printed = capsys.readouterr().out
    assert "\ufffd[31mred\ufffd" in printed
    assert "\x1b" not in printed
