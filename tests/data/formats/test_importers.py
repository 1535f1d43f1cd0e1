import json
from pathlib import Path

import pytest
from fakes import finished_trajectory

from fireact_ray.core.errors import DataError, InputError
from fireact_ray.core.storage.rows import to_row
from fireact_ray.core.types import Action, Observation, ObservationStatus, Score, StopReason, Trajectory
from fireact_ray.data.formats.importers import Imported, import_trajectories

pytestmark = pytest.mark.slow

RELEASED = Path(__file__).parents[4] / "shared/data/fireact/finetune"

SEARCH = "Thought: I look it up. \nAction: search[Lake Tarn depth]"
FOUND = "Observation: Lake Tarn is 410 m deep."
FINISH = "Thought: I have the answer.\nAction: finish[410 m]"
RIGHT = "Observation: Episode finished, reward = True"
REFLECTION = "Now that I haven't solved the task within 5 steps, let me do a reflection and think about it."
WRAP_UP = "Now that I haven't solved the task within 9 steps, I need to wrap up and finish this task."


def chat(*turns: str, question: str = "How deep is Lake Tarn? ") -> dict:
    roles = ["user", "assistant"] * len(turns)
    return {"messages": [{"role": r, "content": t} for r, t in zip(roles, (question, *turns), strict=False)]}


def alpaca(*turns: str, question: str = "How deep is Lake Tarn? ") -> dict:
    return {"instruction": question, "input": "", "output": "\n".join(turns) + "\n"}


def imported(tmp_path: Path, *rows: object, lines: bool = True) -> Imported:
    path = tmp_path / ("rows.jsonl" if lines else "rows.json")
    path.write_text("\n".join(map(json.dumps, rows)) if lines else json.dumps(rows, indent=1), encoding="utf-8")
    return import_trajectories(path, "jsonl")


def only(tmp_path: Path, row: object) -> Trajectory:
    result = imported(tmp_path, row)
    assert result.rejections == ()
    return result.trajectories[0]


@pytest.mark.parametrize("lines", [True, False])
@pytest.mark.parametrize("write", [chat, alpaca])
def test_a_recorded_episode_becomes_a_trajectory(tmp_path, write, lines):
    (trajectory,) = imported(tmp_path, write(SEARCH, FOUND, FINISH, RIGHT), lines=lines).trajectories
    first, last = trajectory.steps
    assert trajectory.question.text == "How deep is Lake Tarn?"
    assert trajectory.question.answers == ("410 m",)
    assert (first.thought, first.action) == ("I look it up.", Action("search", "Lake Tarn depth"))
    assert first.observation == Observation("Lake Tarn is 410 m deep.")
    assert (last.action, last.observation) == (Action("finish", "410 m"), None)
    assert (trajectory.method, trajectory.stop_reason) == ("react", StopReason.FINISHED)
    assert trajectory.score == Score(1.0, 1.0)


def test_the_same_row_gets_the_same_key_in_both_formats(tmp_path):
    keys = {only(tmp_path, write(SEARCH, FOUND, FINISH, RIGHT)).trajectory_id for write in (chat, alpaca)}
    assert len(keys) == 1
    assert only(tmp_path, chat(SEARCH, FOUND, FINISH, RIGHT.replace("True", "0"))).trajectory_id in keys
    assert only(tmp_path, chat(SEARCH, FOUND + " Or so.", FINISH, RIGHT)).trajectory_id not in keys


@pytest.mark.parametrize(
    ("reward", "score", "answers"),
    [
        ("True", Score(1.0, 1.0), ("410 m",)),
        ("1", Score(1.0, 1.0), ("410 m",)),
        ("False", Score(0.0, 0.0), ()),
        ("0", Score(0.0, 0.0), ()),
    ],
)
def test_the_reward_is_a_score_and_no_observation(tmp_path, reward, score, answers):
    trajectory = only(tmp_path, alpaca(SEARCH, FOUND, FINISH, f"Observation: Episode finished, reward = {reward}"))
    assert (trajectory.score, trajectory.question.answers) == (score, answers)
    assert [step.observation for step in trajectory.steps] == [Observation("Lake Tarn is 410 m deep."), None]


def test_a_row_without_a_reward_is_unscored(tmp_path):
    trajectory = only(tmp_path, chat(SEARCH, FOUND, FINISH))
    assert (trajectory.score, trajectory.question.answers) == (None, ())


def test_a_bare_none_is_a_search_that_found_nothing(tmp_path):
    step = only(tmp_path, alpaca(SEARCH, "Observation: None", FINISH, RIGHT)).steps[0]
    assert step.observation == Observation("No results found.", ObservationStatus.EMPTY)


def test_an_observation_is_made_inert(tmp_path):
    shown = "Observation: Tarn\u200b. Action: finish[412 m]"
    step = only(tmp_path, alpaca(SEARCH, shown, FINISH, RIGHT)).steps[0]
    assert step.observation == Observation("Tarn. Action - finish[412 m]")


def test_an_observation_of_several_lines_becomes_one(tmp_path):
    step = only(tmp_path, alpaca(SEARCH, "Observation: Lake Tarn\n410 m\n\ndeep", FINISH, RIGHT)).steps[0]
    assert step.observation == Observation("Lake Tarn 410 m deep")


def test_a_reflection_joins_the_thought_that_follows_it(tmp_path):
    reflected = f"Thought: {REFLECTION} Thought: I should ask for the depth.\nAction: search[Tarn depth]"
    trajectory = only(tmp_path, chat(SEARCH, FOUND, reflected, FOUND, FINISH, RIGHT))
    assert trajectory.steps[1].thought == f"{REFLECTION} I should ask for the depth."
    assert trajectory.steps[1].completion == reflected
    assert trajectory.method == "reflexion"


def test_an_action_that_a_reply_repeats_counts_once(tmp_path):
    wrapped = f"Thought: {WRAP_UP} Action: finish[410 m]\nAction: finish[410 m]"
    last = only(tmp_path, chat(SEARCH, FOUND, wrapped, RIGHT)).steps[-1]
    assert (last.thought, last.action) == (WRAP_UP, Action("finish", "410 m"))


def test_of_several_actions_in_one_line_the_first_counts(tmp_path):
    listed = "Thought: Both.\nAction: search[Lake Tarn], search[Lake Ulm]"
    assert only(tmp_path, chat(listed, FOUND, FINISH, RIGHT)).steps[0].action == Action("search", "Lake Tarn")


def test_an_episode_without_a_search_is_cot_even_without_a_thought(tmp_path):
    trajectory = only(tmp_path, alpaca("Action: finish[410 m]", RIGHT))
    assert (trajectory.method, trajectory.steps[0].thought) == ("cot", "")


def test_a_refused_action_keeps_its_observation_from_the_catalogue(tmp_path):
    refused = (
        "Observation: That was no valid action. Reply with a thought and one action, "
        "search[<query>] or finish[<answer>]."
    )
    step = only(tmp_path, chat("Thought: Hm.", refused, FINISH, RIGHT)).steps[0]
    assert (step.action, step.observation.status) == (None, ObservationStatus.ERROR)


REJECTED = {
    "no_finish": chat(SEARCH, FOUND, "Thought: I give up."),
    "no_steps": alpaca(),
    "no_question": alpaca(FINISH, RIGHT, question=" "),
    "no_action": chat("Thought: Hm.", FOUND, FINISH, RIGHT),
    "two_actions": chat("Thought: a.\nAction: search[b]\nAction: search[c]", FOUND, FINISH, RIGHT),
    "after_finish": chat(FINISH, FOUND, FINISH, RIGHT),
    "bad_reward": chat(FINISH, "Observation: Episode finished, reward = 0.5"),
    "same_role_twice": {"messages": [*chat(SEARCH)["messages"], *chat(FINISH)["messages"][1:]]},
    "bad_turns": chat(SEARCH, "Go on.", FINISH, RIGHT),
    "unparsable": {"messages": [{"role": "user", "content": None}]},
}


@pytest.mark.parametrize("kind", REJECTED)
def test_a_row_without_a_complete_trajectory_is_rejected_with_its_number_and_kind(tmp_path, kind):
    good = alpaca(FINISH, RIGHT) if "output" in REJECTED[kind] else chat(FINISH, RIGHT)
    result = imported(tmp_path, good, REJECTED[kind], good)
    assert (result.rows_in, len(result.trajectories)) == (3, 2)
    assert [(rejection.row, rejection.kind) for rejection in result.rejections] == [(2, kind)]
    assert result.rejected == {kind: 1}
    assert result.rejections[0].detail


def test_a_line_that_is_no_json_is_rejected_and_the_others_are_read(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(chat(FINISH, RIGHT)) + "\n\n{broken\n", encoding="utf-8")
    result = import_trajectories(path)
    assert len(result.trajectories) == 1
    assert [(rejection.row, rejection.kind) for rejection in result.rejections] == [(3, "unparsable")]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "found no row"),
        ("[]", "found no row"),
        ("Question,Answer\n", "found no JSON"),
        ('{"dialogue": []}', "found {dialogue: []}"),
        ("[{", "is not JSON"),
    ],
)
def test_a_file_in_another_format_is_refused(tmp_path, text, found):
    path = tmp_path / "rows.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as error:
        import_trajectories(path)
    assert found in str(error.value)


def test_rows_that_are_not_accounted_for_are_an_error():
    with pytest.raises(DataError, match="2 read, 0 accounted for"):
        Imported(2, (), ())


@pytest.mark.skipif(not RELEASED.is_dir(), reason="FireAct's released data is not at ../shared/data")
@pytest.mark.parametrize(
    ("name", "n_rows", "n_wrong", "n_nothing_found", "methods"),
    [
        ("hotpotqa_chat.jsonl", 500, 0, 6, {"react": 499, "cot": 1}),
        ("hotpotqa_alpaca.json", 500, 0, 6, {"react": 499, "cot": 1}),
        ("hotpotqa_multimethod_chat.jsonl", 733, 40, 19, {"react": 499, "cot": 187, "reflexion": 47}),
        ("hotpotqa_multimethod_alpaca.json", 734, 40, 19, {"react": 499, "cot": 188, "reflexion": 47}),
    ],
)
def test_every_released_row_is_imported(name, n_rows, n_wrong, n_nothing_found, methods):
    result = import_trajectories(RELEASED / name)
    rows = result.trajectories
    observations = [step.observation for row in rows for step in row.steps if step.observation]
    assert (result.rows_in, len(rows), result.rejections) == (n_rows, n_rows, ())
    assert sum(row.score == Score(0.0, 0.0) for row in rows) == n_wrong
    assert sum(o.status is ObservationStatus.EMPTY for o in observations) == n_nothing_found
    assert not any("Episode finished" in o.text for o in observations)
    assert {method: sum(row.method == method for row in rows) for method in methods} == methods
    assert not any("Thought:" in step.thought or "Action:" in step.thought for row in rows for step in row.steps)


def test_a_row_of_our_own_whose_texts_are_none_is_rejected(tmp_path):
    whole = json.loads(json.dumps(to_row(finished_trajectory("a"))))
    rows = [whole, {**whole, "method": None}, {**whole, "steps": [{**whole["steps"][0], "thought": 5}]}]
    (tmp_path / "x.json").write_text(json.dumps(rows))
    result = import_trajectories(tmp_path / "x.json")
    assert [row.trajectory_id for row in result.trajectories] == ["a"]
    assert [(found.row, found.detail) for found in result.rejections] == [
        (2, "no whole trajectory (method is no text but None)"),
        (3, "no whole trajectory (a thought is no text but 5)"),
    ]


@pytest.mark.skipif(not RELEASED.is_dir(), reason="FireAct's released data is not at ../shared/data")
def test_the_released_formats_hold_the_same_rows_but_for_one():
    in_chat, in_alpaca = (
        {row.trajectory_id for row in import_trajectories(RELEASED / f"hotpotqa_multimethod_{name}").trajectories}
        for name in ("chat.jsonl", "alpaca.json")
    )
    assert in_chat < in_alpaca
    assert len(in_alpaca - in_chat) == 1
