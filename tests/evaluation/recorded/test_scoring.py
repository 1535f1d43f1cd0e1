"""Files and run folders of recorded trajectories, scored anew."""

import json

import pytest

from fireact_ray.core.errors import DataError, InputError
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.trajectories import read_trajectories, write_trajectories
from fireact_ray.core.types import Action, Observation, Question, Score, Step, StopReason, Trajectory, Usage
from fireact_ray.evaluation.episodes import episode_of, stored_episodes
from fireact_ray.evaluation.recorded.scoring import score_paths, scores_dict, scores_text


def output(answer: str, reward: object = None) -> str:
    end = "" if reward is None else f"\nObservation: Episode finished, reward = {reward}"
    return f"Thought: I have it.\nAction: finish[{answer}]{end}"


def alpaca(question: str, answer: str, reward: object = None, **about: object) -> dict:
    return {"instruction": question, "input": "", "output": output(answer, reward), **about}


def traj(question: str, answer: str, gt: str, em: bool, f1: float) -> dict:
    text = f"### Instruction:\n{question}\n\n### Response:\n{output(answer, em)}\n"
    return {"reward": em, "em": em, "f1": f1, "gt": gt, "pred": answer.lower(), "prompt": "", "traj": text}


def chat(question: str, answer: str, **about: object) -> dict:
    turns = [{"role": "user", "content": question}, {"role": "assistant", "content": output(answer)}]
    return {"messages": turns, **about}


def file(tmp_path, content: object, name: str = "x.json") -> str:
    text = "\n".join(map(json.dumps, content)) if name.endswith("l") else json.dumps(content, indent=1)
    (tmp_path / name).write_text(text)
    return str(tmp_path / name)


def scored(path: str, *against: str, planned: int | None = None):
    (found,) = score_paths([path], against, "dev", planned)
    return found


def em(found) -> float:
    return found.report.metrics.em.percent


TRAJS = {
    "6238": traj("Who made it?", "The Ada Moe", "ada moe", True, 1.0),
    "12": traj("What else?", "torpedo boats", "torpedoes and boats", False, 0.4),
    "77": traj("Which?", "Bo", "ada moe", False, 0.0),
}


def test_fireacts_trajs_are_scored_by_the_answers_that_they_hold_and_agree_with_their_marks(tmp_path):
    found = scored(file(tmp_path, TRAJS, "hotpotqa_dev_0_500.json"))
    assert (found.report.n_planned, em(found)) == (3, pytest.approx(100 / 3))
    assert found.report.metrics.f1.percent == pytest.approx(100 * 1.4 / 3)
    assert found.said == ["3 rows scored anew, each as it was recorded"]
    assert found.report.metrics.others["precision"].n == 3


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


def test_what_holds_no_trajectory_is_refused(tmp_path):
    with pytest.raises(InputError, match="no such file or folder"):
        scored(str(tmp_path / "none"))
    with pytest.raises(InputError, match="expected rows with 'messages'"):
        scored(file(tmp_path, [{"a": 1}]))
    with pytest.raises(DataError, match=r"no row is a trajectory \(no_question 1\)"):
        scored(file(tmp_path, [alpaca("", "Bo")]))


# --- our own rows ----------------------------------------------------------------------------------------------------


def ours(key: str, answer: str | None = "Ada Moe", score: Score | None = None, **about) -> Trajectory:
    search = Step("t", Action("search", "q"), Observation("text"), "", Usage(100, 10), 0.5, 0.25)
    end = Step("t", Action("finish", answer), None, "", Usage(150, 20), 0.75) if answer else None
    reason = StopReason.FINISHED if answer else StopReason.MAX_STEPS
    asked = Question("jsonl", f"q-{key}", "Who?", ("Ada Moe",), "1hop")
    steps = (search, end) if end else (search,)
    model = about.pop("model", "m")
    return Trajectory(key, about.pop("question", asked), "react", model, 0, steps, reason, score, **about)


RIGHT, WRONG = Score(1.0, 1.0), Score(0.0, 0.0)


@pytest.fixture
def run(tmp_path) -> str:
    rows = [
        ours("a", score=RIGHT, cost_usd=0.5),
        ours("b", "Bo", score=WRONG),
        ours("c", None, score=WRONG, cost_usd=0.25),
        Trajectory("d", ours("d").question, "react", "m", 0, (), StopReason.MODEL_ERROR, None, "ModelRefused: no"),
    ]
    folder = Folder(str(tmp_path / "run"))
    write_trajectories(folder / "trajectories", rows, "w")
    write_trajectories(folder / "evaluations/base/trajectories", [ours("a", "Bo", score=RIGHT), ours("b")], "w")
    return str(tmp_path / "run")


def test_the_columns_of_a_stored_row_say_what_the_trajectory_does(run):
    folder = Folder(run) / "trajectories"
    (name,) = folder.names(".parquet")
    assert list(stored_episodes(folder, name)) == [episode_of(row) for row in read_trajectories(folder)]


def test_a_run_folder_is_scored_by_its_generation_and_each_evaluation(run):
    generated, base = score_paths([run], [], "dev", None)
    assert (generated.report.name, base.report.name) == ("run", "run/base")
    assert (generated.report.n_finished, dict(generated.report.failed)) == (2, {"ModelRefused": 1})
    assert (em(generated), em(base)) == (25.0, 50.0)
    assert generated.report.per_trial["cost_usd"].n == 2
    assert generated.report.per_trial["model_seconds"].total == 3.0
    assert base.verdicts.differing == {"exact match": 1, "F1": 1}
    text = scores_text([generated, base])
    assert "run/base: 2 planned: 2 finished." in text
    written = json.loads(json.dumps(scores_dict([generated, base])))
    assert [one["name"] for one in written["recordings"]] == ["run", "run/base"]
    assert written["comparison"][1]["versus_first"] is None  # of other questions


def test_a_row_that_stands_in_two_parts_counts_once(run):
    write_trajectories(Folder(run) / "trajectories", [ours("a", score=RIGHT)], "again")
    generated, _ = score_paths([run], [], "dev", None)
    assert (generated.report.n_planned, generated.repeated) == (4, 1)


def test_a_single_part_is_scored_alone_and_compared_with_another_of_the_same_questions(run, tmp_path):
    folder = Folder(str(tmp_path / "other"))
    name = write_trajectories(folder, [ours("a"), ours("b")], "w")
    parts = [f"{tmp_path}/other/{name}", f"{run}/evaluations/base/trajectories"]
    first, second = score_paths(parts, [], "dev", None)
    assert (em(first), em(second)) == (100.0, 50.0)
    assert scores_dict([first, second])["comparison"][1]["versus_first"]["points"] == -50.0


def test_the_answer_of_a_rewarded_import_is_no_accepted_answer_to_score_it_by(tmp_path):
    folder = Folder(str(tmp_path / "run")) / "trajectories"
    rewarded = Question("hotpotqa", "q1", "Who?", ("Bo",))
    rows = [ours("a", "Bo", RIGHT, model="imported", question=rewarded)]
    rows.append(ours("b", "Bo", WRONG, model="imported", question=Question("hotpotqa", "q2", "Who?", ())))
    write_trajectories(folder, rows, "import")
    found = scored(str(tmp_path / "run"))
    assert (found.verdicts.as_recorded, found.verdicts.anew, em(found)) == (2, 0, 50.0)


def test_a_damaged_part_is_said(run):
    folder = Folder(run) / "trajectories"
    (name,) = folder.names(".parquet")
    folder.write(name, folder.read(name)[:200])
    with pytest.raises(DataError, match="not a readable Parquet file"):
        score_paths([run], [], "dev", None)


# --- the command -----------------------------------------------------------------------------------------------------


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
        "not_among_the_questions": 0,
        "recorded_otherwise": {},
        "unread": {},
        "repeated": 0,
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
