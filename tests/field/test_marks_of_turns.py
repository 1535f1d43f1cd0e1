"""Marks of a chat template that a server or a recorder left in a reply: they are no part of what the model said."""

import json

import pytest
from fakes import agent, question
from hypothesis import given
from hypothesis import strategies as st

from fireact_ray.agent.methods.answers import read_answered
from fireact_ray.agent.models.base import Completion, spoken
from fireact_ray.core.turn_marks import own_turn
from fireact_ray.core.types import Action
from fireact_ray.data.formats.importers import import_trajectories

SAID = "Thought: It is the capital.\nAnswer: Rome"
MARKED = {
    "ChatML": f"{SAID}<|im_end|>",
    "ChatML with its head": f"<|im_start|>assistant\n{SAID}<|im_end|>\n",
    "ChatML that goes on": f"{SAID}<|im_end|>\n<|im_start|>user\nNext?<|im_end|>\n<|im_start|>assistant\nMadrid",
    "Llama 3": f"<|start_header_id|>assistant<|end_header_id|>\n\n{SAID}<|eot_id|>",
    "Llama 3 that begins a text": f"<|begin_of_text|>{SAID}<|eot_id|><|end_of_text|>",
    "Llama 2": f"<s> {SAID} </s>",
    "Mistral that goes on": f"{SAID}</s><s>[INST] And of Spain? [/INST] Madrid</s>",
    "Mistral that ends the question": f" [/INST] {SAID}</s>",
    "Gemma": f"<start_of_turn>model\n{SAID}<end_of_turn>\n<eos>",
    "Phi": f"<|assistant|>\n{SAID}<|end|>\n<|endoftext|>",
    "DeepSeek": f"<\uff5cAssistant\uff5c>{SAID}<\uff5cend\u2581of\u2581sentence\uff5c>",
    "a user after a space": f"{SAID}<|im_end|> <|im_start|>user\nx",
    "spaces alone": f"\n<|im_start|>assistant\n\n{SAID}\n\n<|im_end|>  \n",
}
QUOTED = [
    SAID,
    "",
    "Thought: <|endoftext|> is a token of GPT-2.\nAnswer: 50256",
    "Thought: The price was <s>5</s> 4.\nAnswer: 4",
    "Thought: `</s>` ends a sequence, and [/INST] a question.\nAnswer: 2",
    "Answer: 1 < 2",
]


@pytest.mark.parametrize("text", MARKED.values(), ids=MARKED)
def test_marks_of_the_models_turn_are_no_part_of_it(text):
    assert own_turn(text) == SAID


@pytest.mark.parametrize("text", QUOTED)
def test_a_mark_that_begins_and_ends_nothing_is_a_quotation(text):
    assert own_turn(text) is text


_PIECES = ["<s>", "</s>", "<|im_start|>", "assistant", "<|im_end|>", "<|eot_id|>", "[INST]", "[/INST]", "\n", " ", "a"]


@given(st.lists(st.sampled_from(_PIECES), max_size=12).map("".join))
def test_any_text_is_read_and_only_its_ends_are_cut(text):
    assert own_turn(text) in text


def test_a_long_row_of_marks_is_read_in_linear_time():
    assert own_turn("<|im_end|> " * 200_000 + "a") == "<|im_end|> " * 200_000 + "a"
    assert own_turn("a" + "<|im_end|> " * 200_000) == "a"


def test_an_answer_is_read_without_them():
    text = spoken(Completion("<s>Answer: Rome</s>")).text
    assert read_answered(text).answer == "Rome"
    assert spoken(Completion("<s><think>Or Ulm?</think>\nAnswer: Rome<|eot_id|>")) == Completion(
        "Answer: Rome", reasoning="Or Ulm?"
    )


async def test_an_agents_thought_holds_none():
    replies = [
        "<|im_start|>assistant\nThought: I look.\nAction: search[Zem]<|im_end|>",
        "<s>Thought: So.\nFinal Answer: Dar</s>",
    ]
    trajectory = await agent(*replies).run(question())
    assert [step.thought for step in trajectory.steps] == ["I look.", "So."]
    assert [step.action for step in trajectory.steps] == [Action("search", "Zem"), Action("finish", "Dar")]


def test_a_recording_is_trained_without_them(tmp_path):
    turns = [
        ("user", "Who?"),
        ("assistant", "<s>Thought: I look.\nAction: search[Zem]</s>"),
        ("user", "Observation: It is by Ila Dun."),
        ("assistant", "Thought: So.<|im_end|>\nAction: finish[Ila Dun]<|im_end|>"),
    ]
    output = "<s>Thought: I look.\nAction: search[Zem]\nObservation: It is.\nThought: So.\nAction: finish[Ila Dun]</s>"
    rows = [
        {"messages": [{"role": role, "content": text} for role, text in turns]},
        {"instruction": "Who?", "output": output},
    ]
    (tmp_path / "x.jsonl").write_text("\n".join(map(json.dumps, rows)))
    chat, alpaca = import_trajectories(tmp_path / "x.jsonl").trajectories
    assert [step.thought for step in chat.steps] == ["I look.", "So.<|im_end|>"]
    assert [step.thought for step in alpaca.steps] == ["I look.", "So."]
    assert (chat.answer, alpaca.answer) == ("Ila Dun", "Ila Dun")
