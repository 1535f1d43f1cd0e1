"""Text before the first label of an Alpaca `output`: answer choices end the question; other prose is no thought."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fireact_ray.data.formats.choices import are_choices, before_label
from fireact_ray.data.formats.conversations import read_conversation
from fireact_ray.data.formats.importers import Imported, import_trajectories

ASK = "Question: Which of these is a river?"
REPLY = "Thought: The Ossel is a river.\nAction: finish[A]"
RIGHT = "Observation: Episode finished, reward = 1\n"

CHOICES = {
    "dots": "A. Ossel\nB. Mount Tarn\nC. Lake Ulm\nD. Cape Nor",
    "round brackets": "(A) Ossel\n(B) Mount Tarn",
    "one bracket": "A) Ossel\nB) Mount Tarn\nC) Lake Ulm",
    "colons": "A: Ossel\nB: Mount Tarn",
    "small letters": "a. Ossel\nb. Mount Tarn",
    "one line": "A) Ossel B) Mount Tarn C) Lake Ulm",
    "one line in brackets": "(A) Ossel (B) Mount Tarn",
    "a heading": "Options:\nA. Ossel\nB. Mount Tarn",
    "an empty line": "A. Ossel\n\nB. Mount Tarn",
}
PROSE = {
    "the question again": "Yes or no: Is the Ossel a river?",
    "a greeting": "Sure, I can help with that.",
    "one choice": "A. Ossel",
    "letters out of order": "A. Ossel\nC. Lake Ulm",
    "a plan": "1. Search the Ossel.\n2. Answer.",
    "choices and prose": "A. Ossel\nB. Mount Tarn\nI shall think about it.",
}


def imported(tmp_path, output: str) -> Imported:
    (tmp_path / "x.jsonl").write_text(json.dumps({"instruction": ASK, "input": "", "output": output}))
    return import_trajectories(tmp_path / "x.jsonl", "jsonl")


@pytest.mark.parametrize("name", CHOICES)
def test_answer_choices_are_the_end_of_the_question_and_no_thought(name, tmp_path):
    result = imported(tmp_path, f"{CHOICES[name]}\n{REPLY}\n{RIGHT}")
    (trajectory,) = result.trajectories
    assert trajectory.question.text == f"{ASK}\n{CHOICES[name]}"
    assert [(step.thought, step.action.argument) for step in trajectory.steps] == [("The Ossel is a river.", "A")]
    assert result.said == [
        "1 row holds answer choices before the first label of `output`, which are read as the end of its question"
    ]


def test_choices_before_an_action_are_no_thought_either(tmp_path):
    (trajectory,) = imported(tmp_path, f"{CHOICES['dots']}\nAction: finish[A]\n{RIGHT}").trajectories
    assert trajectory.steps[0].thought == ""


@pytest.mark.parametrize("name", PROSE)
def test_other_text_before_a_thought_is_refused_by_a_reason_of_its_own(name, tmp_path):
    result = imported(tmp_path, f"{PROSE[name]}\n{REPLY}\n{RIGHT}")
    assert result.rejected == {"text_before_thought": 1}
    assert PROSE[name][:20].splitlines()[0] in result.rejections[0].detail


def test_prose_before_an_action_is_its_thought(tmp_path):
    (trajectory,) = imported(tmp_path, f"The Ossel is a river.\nAction: finish[A]\n{RIGHT}").trajectories
    assert trajectory.steps[0].thought == "The Ossel is a river."
    assert trajectory.question.text == ASK


def test_the_alpaca_and_the_chat_row_of_an_episode_are_the_same_trajectory(tmp_path):
    (alpaca,) = imported(tmp_path, f"{CHOICES['dots']}\n{REPLY}\n{RIGHT}").trajectories
    turns = [("user", f"{ASK}\n{CHOICES['dots']}"), ("assistant", REPLY), ("user", RIGHT.strip())]
    (tmp_path / "c.jsonl").write_text(json.dumps({"messages": [{"role": r, "content": t} for r, t in turns]}))
    (chat,) = import_trajectories(tmp_path / "c.jsonl", "jsonl").trajectories
    assert alpaca == chat


@given(st.text("ABab.():-\n OT1", max_size=60))
def test_no_text_is_lost_before_a_label(text):
    before, labelled, _ = before_label(f"{text}\n{REPLY}")
    assert "".join((before + labelled).split()) == "".join(f"{text}\n{REPLY}".split())
    if are_choices(before):
        turns = read_conversation({"instruction": ASK, "output": f"{text}\n{REPLY}"}).turns
        assert turns[0].text == f"{ASK}\n{before}"
