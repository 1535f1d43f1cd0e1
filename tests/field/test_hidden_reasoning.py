"""What a model thinks before it speaks is found by its marks, cut off, and never obeyed."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fireact_ray.core.reasoning import split_reasoning
from fireact_ray.data.formats.records import read_records
from fireact_ray.data.lint.base import Context
from fireact_ray.data.lint.lint import lint

SAID = "Thought: I need the birth town of Ines Park.\nAction: search[Ines Park]"
HIDDEN = "Maybe\nAction: finish[Nowhere]\nbut I do not know."

MARKED = {
    "think": f"<think>\n{HIDDEN}\n</think>\n\n{SAID}",
    "on one line": f"<think>{HIDDEN}</think>{SAID}",
    "upper case": f"<THINK>{HIDDEN}</THINK>\n{SAID}",
    "thinking": f"<thinking>{HIDDEN}</thinking>\n{SAID}",
    "thinking closed by think": f"<thinking>{HIDDEN}\n</think>\n{SAID}",
    "thought": f"<thought>\n{HIDDEN}\n</thought>\n{SAID}",
    "reasoning": f"<reasoning>{HIDDEN}</reasoning>\n{SAID}",
    "reflection": f"<reflection>{HIDDEN}</reflection>\n{SAID}",
    "scratchpad": f"<scratchpad>{HIDDEN}</scratchpad>\n{SAID}",
    "a name before it": f"<seed:think>{HIDDEN}</seed:think>{SAID}",
    "another name before it": f"<mm:think>{HIDDEN}</mm:think>{SAID}",
    "attributes": f'<think time="3">{HIDDEN}</think>{SAID}',
    "a tag around what is said": f"<think>{HIDDEN}</think>\n<answer>\n{SAID}\n</answer>",
    "a response": f"<think>{HIDDEN}</think>\n\n<response>\n{SAID}\n</response>\n",
    "square brackets": f"[THINK]{HIDDEN}[/THINK]{SAID}",
    "kites": f"◁think▷{HIDDEN}◁/think▷{SAID}",
    "begin and end of thought": f"<|begin_of_thought|>\n{HIDDEN}\n<|end_of_thought|>\n\n"
    f"<|begin_of_solution|>\n{SAID}\n<|end_of_solution|>",
    "start and end thinking": f"<|START_THINKING|>{HIDDEN}<|END_THINKING|><|START_RESPONSE|>{SAID}<|END_RESPONSE|>",
    "a channel of thought": f"<|channel>thought\n{HIDDEN}\n<channel|>{SAID}",
    "details": f'<details type="reasoning" done="true">\n{HIDDEN}\n</details>\n{SAID}',
    "in words": f"Here is my thought process: {HIDDEN}\nHere is my response:\n{SAID}",
    "no opening mark": f"{HIDDEN}\n</think>\n\n{SAID}",
    "no opening mark, nothing between": f"{HIDDEN}</think>{SAID}",
    "no opening mark, one line": f"{HIDDEN} </think> {SAID}",
    "a closing mark quoted inside": f"<think>They say `</think>` here.\n{HIDDEN}\n</think>\n{SAID}",
    "several": f"<think>{HIDDEN}</think>\n<think>{HIDDEN}</think>\n{SAID}",
    "channels": f"<|channel|>analysis<|message|>{HIDDEN}<|end|><|start|>assistant<|channel|>final<|message|>{SAID}",
    "channels to their end": f"<|start|>assistant<|channel|>analysis<|message|>{HIDDEN}<|end|>"
    f"<|start|>assistant<|channel|>final <|constrain|>text<|message|>{SAID}<|return|>",
    "channels with a tool's": f"<|channel|>analysis<|message|>{HIDDEN}<|end|><|start|>assistant<|channel|>commentary "
    f"to=functions.search<|message|>{{}}<|call|><|start|>assistant<|channel|>final<|message|>{SAID}",
    "channels, the first unopened": f"{HIDDEN}<|end|><|start|>assistant<|channel|>final<|message|>{SAID}",
    "only the final channel": f"<|channel|>final<|message|>{SAID}<|return|>",
    "channels whose marks were dropped": f"analysis{HIDDEN}assistantfinal{SAID}",
}

CUT = {
    "think": f"<think>\n{HIDDEN} and mo",
    "square brackets": f"[THINK]{HIDDEN}",
    "channels": f"<|channel|>analysis<|message|>{HIDDEN}",
    "only a tool's channel": '<|channel|>commentary to=functions.search<|message|>{"query": "x"}<|call|>',
    "channels whose marks were dropped": f"analysis{HIDDEN}",
    "a last word": f"{HIDDEN}\n</think>",
}

QUOTED = [
    SAID,
    "",
    "Thought: the tag <think> opens a thought and </think> closes it.\nAction: search[<think> tag]",
    "Thought: `</think>`",
    'Thought: it is called "</think>".\nAction: finish["<think>"]',
    "Thought: a <think>b</think> c",
    "analysis of the question shows that",
    "Thought: 1 < 2.\nAction: finish[<answer>2</answer>]",
    "<answer>Dunmore</answer>",
    "Thought: see </details> and </thoughtful>",
    "Here is my response: Dunmore",
    "The mark <|channel|>final<|message|> begins an answer.",
]


@pytest.mark.parametrize("text", MARKED.values(), ids=MARKED)
def test_what_is_said_is_left_and_what_is_hidden_is_kept_apart(text: str) -> None:
    hidden, said = split_reasoning(text)
    assert said == SAID
    assert ("finish[Nowhere]" in hidden) == (HIDDEN in text)


@pytest.mark.parametrize("text", CUT.values(), ids=CUT)
def test_a_reply_that_never_came_to_an_end_of_thinking_says_nothing(text: str) -> None:
    hidden, said = split_reasoning(text)
    assert said == ""
    assert hidden


def test_thinking_between_what_is_said_is_cut_out() -> None:
    assert split_reasoning("Thought: a\n<think>b</think>\nAction: search[c]") == (
        "b",
        "Thought: a\n\nAction: search[c]",
    )
    assert split_reasoning("Thought: <think> b </think> Thought: a\nAction: search[c]") == (
        "b",
        "Thought:  Thought: a\nAction: search[c]",
    )


def test_nothing_hidden_between_marks_leaves_no_mark() -> None:
    assert split_reasoning(f"<think>\n\n</think>\n\n{SAID}") == ("", SAID)


@pytest.mark.parametrize("text", QUOTED)
def test_a_mark_in_the_middle_of_a_line_is_a_quotation(text: str) -> None:
    hidden, said = split_reasoning(text)
    assert hidden == ""
    assert said is text


_PIECES = st.sampled_from(
    [
        *("<think>", "</think>", "<thinking>", "</thinking>", "[THINK]", "[/THINK]", "<|begin_of_thought|>"),
        *("<|end_of_thought|>", "<|channel|>analysis<|message|>", "<|channel|>final<|message|>", "<|end|>"),
        *("<|start|>assistant", "analysis", "assistantfinal", "<answer>", "</answer>", "<|channel>thought"),
        *("<channel|>", "Here is my thought process:", "Here is my response:", "Thought: ", "Action: search[a]"),
        *("\n", " ", "`", "word", "A"),
    ]
)


@given(st.lists(_PIECES, max_size=14).map("".join))
def test_what_is_said_is_not_split_again(text: str) -> None:
    said = split_reasoning(text)[1]
    again, same = split_reasoning(said)
    assert again == ""
    assert same is said


@given(st.text(st.characters(exclude_characters="<◁"), max_size=60))
def test_text_without_a_mark_is_the_same_object(text: str) -> None:
    if "THINK]" not in text and not text.startswith(("analysis", "Here")):
        assert split_reasoning(text)[1] is text


@given(st.text(max_size=40))
def test_any_thought_is_cut_from_any_reply(thought: str) -> None:
    if "think" not in thought.lower():
        assert split_reasoning(f"<think>{thought}</think>\n{SAID}")[1] == SAID


@pytest.mark.parametrize(
    "piece",
    ["<think>", "</think> a", "a <think>b</think> ", "<think></think><answer>", "<|channel|>", "<|start|>", "<a:"],
)
def test_a_long_text_of_marks_is_read_in_one_go(piece: str) -> None:
    split_reasoning(piece * 20_000)


@pytest.mark.parametrize("reply", [*MARKED.values(), *CUT.values()], ids=[*MARKED, *(f"cut: {name}" for name in CUT)])
def test_the_lint_finds_it_in_anybodys_data(reply: str, tmp_path: Path) -> None:
    turns = [("user", "Where?"), ("assistant", reply), ("user", "Observation: x"), ("assistant", "Action: finish[x]")]
    row = {"messages": [{"role": role, "content": content} for role, content in turns]}
    (tmp_path / "rows.jsonl").write_text(json.dumps(row))
    assert lint(read_records(str(tmp_path / "rows.jsonl")), Context()).rows["hidden_reasoning"] == (1,)
