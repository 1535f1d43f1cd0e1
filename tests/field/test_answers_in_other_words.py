"""Replies of one answer, as IO and CoT ask for them, in other forms than `Answer: ...`."""

import pytest

from fireact_ray.agent.methods import make_method
from fireact_ray.core.grammar import Parsed
from fireact_ray.core.types import Action


@pytest.mark.parametrize(
    ("reply", "answer", "repairs"),
    [
        ("Thought: It is deep.\nAnswer: 410 m", "410 m", ()),
        ("It is deep.\nAnswer: 410 m\nAnswer: 9", "410 m", ()),
        ("**Thought:** It is deep.\n\n**Answer:** 410 m", "410 m", ("bold_label",)),
        ("It is deep.\n**Answer: 410 m**", "410 m", ("bold_label",)),
        ("It is deep.\nAnswer: **410 m**", "410 m", ("bold_label",)),
        ("It is deep.\nFinal Answer: 410 m", "410 m", ("final_answer",)),
        ("It is deep.\n### Final Answer:\n410 m\n\nAsk me more!", "410 m", ("bullet", "final_answer")),
        ("It is deep.\nANSWER: 410 m", "410 m", ("letter_case",)),
        ("It is deep.\nAnswer：410 m", "410 m", ("full_width",)),
        ("It is deep.\n- Answer: 410 m", "410 m", ("bullet",)),
        ("It is deep.\nAnswer:\n410 m", "410 m", ("line_break",)),
        ("```\nThought: It is deep.\nAnswer: 410 m\n```", "410 m", ("code_fence",)),
        ("It is deep.\nAnswer: $\\boxed{\\text{410 m}}$", "410 m", ("boxed",)),
        ("It is deep.\n<answer>410 m</answer>", "410 m", ("answer_tag",)),
        ("Thought: It is deep.\nAction: finish[410 m]", "410 m", ("finish_action",)),
    ],
)
def test_an_unmistakable_answer_is_taken_and_its_form_is_named(reply, answer, repairs):
    assert make_method("cot", "jsonl").parse(reply) == Parsed("It is deep.", Action("finish", answer), repairs)
    assert make_method("io", "jsonl").parse(reply).action == Action("finish", answer)


def test_a_boxed_answer_within_a_sentence_is_taken():
    parsed = make_method("cot", "jsonl").parse("So it is \\boxed{410 [m]} deep.")
    assert parsed.action == Action("finish", "410 [m]")
    assert parsed.repairs == ("boxed",)


@pytest.mark.parametrize(
    "reply",
    [
        "It is 410 m.",
        "**Answer:** 410 m\n**Answer:** 9 m",
        "\\boxed{410 m} or \\boxed{9 m}",
        "<answer>1</answer><answer>2</answer>",
        "The answer: 410 m",
        '"Answer: 410 m"',
        "\\boxed{410",
        "**Answer:**",
        "Action: search[410 m]",
    ],
)
def test_several_answers_or_none_are_no_answer(reply):
    parsed = make_method("io", "jsonl").parse(reply)
    assert (parsed.action, parsed.repairs) == (None, ())
