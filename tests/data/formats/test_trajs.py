"""FireAct's trajs/*.json, in the shapes in which they are written."""

import json

import pytest

from fireact_ray.core.errors import InputError
from fireact_ray.core.types import Action, Score
from fireact_ray.data.formats.importers import import_trajectories

TEMPLATE = (
    "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n"
    "### Instruction:\n{question}\n\n### Response:\n"
)
SEARCH = "Thought: I look it up.\nAction: search[Lake Tarn depth]\nObservation: Lake Tarn is 410 m deep.\n"
QUESTION = "How deep is Lake Tarn?"


def finish(answer: str, reward: object = True) -> str:
    return f"Thought: I have it.\nAction: finish[{answer}]\nObservation: Episode finished, reward = {reward}\n"


def record(traj: object, **about: object) -> dict:
    lines = traj.split("\n") if isinstance(traj, str) else None
    marks = {"reward": True, "em": True, "f1": 1.0, "gt": "410 m", "pred": "410 m"}
    return {**marks, "prompt": "", "traj": traj, **({"traj_by_line": lines} if lines else {}), **about}


CHAT = [
    {"role": "user", "content": QUESTION},
    {"role": "assistant", "content": "Thought: I look it up.\nAction: search[Lake Tarn depth]"},
    {"role": "user", "content": "Observation: Lake Tarn is 410 m deep."},
    {"role": "assistant", "content": "Thought: I have it.\nAction: finish[410 m]"},
    {"role": "user", "content": "Observation: Episode finished, reward = True"},
]
SHAPES = {
    "behind a template": TEMPLATE.format(question=QUESTION) + SEARCH + finish("410 m"),
    "behind the question": f"{QUESTION}\n" + SEARCH + finish("410 m"),
    "as messages": CHAT,
}


def imported(tmp_path, records: dict, name: str = "trajs.json", **options):
    (tmp_path / name).write_text(json.dumps(records, indent=2))
    return import_trajectories(tmp_path / name, **options)


@pytest.mark.parametrize("shape", SHAPES)
def test_an_episode_is_read_in_each_shape_with_its_answer_and_its_marks(tmp_path, shape):
    found = imported(tmp_path, {"6238": record(SHAPES[shape]), "12": record(SHAPES[shape], f1=0.5, em=False)})
    assert found.rejections == ()
    first, second = found.trajectories
    assert (first.question.text, first.question.answers) == (QUESTION, ("410 m",))
    assert [step.action for step in first.steps] == [Action("search", "Lake Tarn depth"), Action("finish", "410 m")]
    assert (first.score, second.score) == (Score(1.0, 1.0), Score(0.0, 0.5))
    assert found.notes == {}


def test_a_verdict_is_the_accepted_answer_of_strategyqa(tmp_path):
    row = record(f"Is it?\n{finish('No', 1)}", reward=1, em=1, gt=False, pred="no")
    del row["f1"]
    (trajectory,) = imported(tmp_path, {"3": row}, "strategyqa_dev_0_229_gpt-4.json").trajectories
    assert trajectory.question.answers == ("no", "false")
    assert (trajectory.question.task, trajectory.score) == ("strategyqa", Score(1.0, 1.0))


def test_a_few_shot_prompt_is_not_read_and_said_so(tmp_path):
    found = imported(tmp_path, {"3": record(SHAPES["as messages"], prompt=[{"role": "user", "content": "x"}])})
    assert found.said == ["1 row holds `prompt`, which is not read"]


def test_what_is_no_episode_is_rejected_by_kind(tmp_path):
    bad = {
        "0": record(SHAPES["as messages"]),
        "1": record(7),
        "2": record(f"{QUESTION}\n" + SEARCH),
        "3": record(SHAPES["as messages"], gt={"other": 1}),
    }
    assert imported(tmp_path, bad).rejected == {"no_finish": 1, "unparsable": 2}


def test_an_object_of_records_of_another_kind_is_refused_with_the_formats_that_there_are(tmp_path):
    with pytest.raises(InputError, match=r"'traj' \(FireAct's trajs\)"):
        imported(tmp_path, {"1": {"reward": True}})


# --- the task of each row --------------------------------------------------------------------------------------------


def alpaca(question: str, answer: str, **about: object) -> dict:
    return {"instruction": question, "input": "", "output": finish(answer), **about}


def test_each_row_keeps_the_task_that_it_says_or_shows_and_the_others_are_counted(tmp_path):
    rows = [
        alpaca("Which floats?\nA. lead\nB. cork\nC. iron\nD. gold", "B"),
        alpaca("Is it green?", "no", dataset="strategy_qa"),
        alpaca("Is it blue?", "no"),
        alpaca("Who?", "Bo", task="qa"),
    ]
    (tmp_path / "multitask.json").write_text(json.dumps(rows))
    found = import_trajectories(tmp_path / "multitask.json", "hotpotqa")
    assert [row.question.task for row in found.trajectories] == ["mmlu", "strategyqa", "hotpotqa", "hotpotqa"]
    assert found.n_assumed == 2
    assert found.notes == {"`task`, which is not read": 1}


def test_a_row_has_the_same_key_whatever_its_task_is_found_to_be(tmp_path):
    rows = [alpaca("Is it green?", "no", dataset=said) for said in ("strategyqa", "hotpotqa", "")]
    (tmp_path / "x.json").write_text(json.dumps(rows))
    assert len({row.trajectory_id for row in import_trajectories(tmp_path / "x.json", "jsonl").trajectories}) == 1


def test_the_name_of_a_file_says_the_task_of_rows_that_say_none(tmp_path):
    (tmp_path / "bamboogle_125.json").write_text(json.dumps([alpaca("Who?", "Bo"), alpaca("W?", "B", task="mmlu")]))
    found = import_trajectories(tmp_path / "bamboogle_125.json", "hotpotqa")
    assert [row.question.task for row in found.trajectories] == ["bamboogle", "mmlu"]
    assert found.n_assumed == 0
