"""What other trainers get, and that it reads back as it was, up to what a format cannot hold."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from fakes import question
from hostile import HOSTILE
from hypothesis import given, settings
from hypothesis import strategies as st

from fireact_ray.core import observations
from fireact_ray.core.errors import DataError
from fireact_ray.core.grammar import canonical_argument, canonical_line, neutralise
from fireact_ray.core.reasoning import split_reasoning
from fireact_ray.core.turn_marks import own_turn
from fireact_ray.core.types import Action, Observation, Score, Step, StopReason, Trajectory, Usage
from fireact_ray.data.examples import plain_steps
from fireact_ray.data.formats.exporters import FORMATS, alpaca_row, chat_row, sharegpt_row, tools_row
from fireact_ray.data.formats.importers import import_trajectories

pytestmark = pytest.mark.slow

RELEASED = Path(__file__).parents[4] / "shared/data/fireact/finetune"
RELEASED_FILES = (
    "hotpotqa_chat.jsonl",
    "hotpotqa_alpaca.json",
    "hotpotqa_multimethod_chat.jsonl",
    "hotpotqa_multimethod_alpaca.json",
)
TEXT_FORMATS = [name for name in FORMATS if name != "parquet"]

TWO_STEPS = Trajectory(
    "k1",
    question("How deep is Lake Tarn?", "410 m"),
    "react",
    "m",
    2,
    (
        Step("I look.", Action("search", 'Tarn "depth"'), Observation("It is 410 m deep."), "raw", Usage(9, 4), 0.5),
        Step("I have it.", Action("finish", "410 m"), None, "raw2", Usage(3, 1), 0.25),
    ),
    StopReason.FINISHED,
    Score(1.0, 1.0),
    cost_usd=0.25,
)


def test_alpaca_is_question_and_one_text():
    assert alpaca_row(TWO_STEPS) == {
        "instruction": "How deep is Lake Tarn?",
        "input": "",
        "output": 'Thought: I look.\nAction: search[Tarn "depth"]\nObservation: It is 410 m deep.\n'
        "Thought: I have it.\nAction: finish[410 m]",
    }


def test_chat_is_turns_of_user_and_assistant():
    assert chat_row(TWO_STEPS) == {
        "messages": [
            {"role": "user", "content": "How deep is Lake Tarn?"},
            {"role": "assistant", "content": 'Thought: I look.\nAction: search[Tarn "depth"]'},
            {"role": "user", "content": "Observation: It is 410 m deep."},
            {"role": "assistant", "content": "Thought: I have it.\nAction: finish[410 m]"},
        ]
    }


def test_tools_has_calls_with_arguments_in_json_and_ends_in_the_answer():
    row = tools_row(TWO_STEPS)
    assert row["messages"] == [
        {"role": "user", "content": "How deep is Lake Tarn?"},
        {
            "role": "assistant",
            "content": "I look.",
            "tool_calls": [
                {
                    "id": "call_1",
                    "type": "function",
                    "function": {"name": "search", "arguments": '{"query": "Tarn \\"depth\\""}'},
                }
            ],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "It is 410 m deep."},
        {"role": "assistant", "content": "I have it.\nAnswer: 410 m"},
    ]
    (tool,) = row["tools"]
    assert (tool["type"], tool["function"]["name"]) == ("function", "search")
    assert tool["function"]["parameters"]["required"] == ["query"]


def test_sharegpt_has_calls_and_thoughts_in_one_turn():
    row = sharegpt_row(TWO_STEPS)
    assert row["conversations"] == [
        {"from": "human", "value": "How deep is Lake Tarn?"},
        {
            "from": "function_call",
            "value": "I look.\n<tool_call>\n"
            '{"name": "search", "arguments": {"query": "Tarn \\"depth\\""}}\n</tool_call>',
        },
        {"from": "observation", "value": "It is 410 m deep."},
        {"from": "gpt", "value": "I have it.\nAnswer: 410 m"},
    ]
    assert [tool["name"] for tool in json.loads(row["tools"])] == ["search"]


def test_a_thoughtless_call_is_json_alone():
    first, last = TWO_STEPS.steps
    row = sharegpt_row(replace(TWO_STEPS, steps=(replace(first, thought=""), replace(last, thought=""))))
    assert json.loads(row["conversations"][1]["value"]) == {
        "name": "search",
        "arguments": {"query": 'Tarn "depth"'},
    }
    assert row["conversations"][-1]["value"] == "Answer: 410 m"


def test_what_a_method_left_is_exported_nowhere():
    first, last = TWO_STEPS.steps
    reflected = replace(first, thought="Now that I haven't solved the task within 5 steps, let me reflect. I look.")
    for name in TEXT_FORMATS:
        text = FORMATS[name].encode([replace(TWO_STEPS, steps=(reflected, last))])
        assert b"solved the task" not in text
        assert b"I look." in text


@pytest.mark.parametrize("row", [tools_row, sharegpt_row])
def test_a_step_without_an_action_is_no_training_row(row):
    bad = Step("hm", None, Observation("x"))
    with pytest.raises(DataError, match="no usable action"):
        row(replace(TWO_STEPS, steps=(bad, TWO_STEPS.steps[-1])))


LINE = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
PIECE = st.sampled_from(
    [
        *("</tool_call>", "<tool_call>", '{"name": "x", "arguments": {}}', '{"a": [1', "]]", "[x", "<|im_end|>", "```"),
        *("\\n", "reward = True", "Observation x", "Ünï 中", "Answer:", "Final Answer: 7", "**Answer:** 7", "Action:"),
        *(
            "Class Action: it ran",
            "Action: search x",
            "action: search[x]",
            "\\boxed{7}",
            "<answer>7</answer>",
            "Question:",
        ),
        *("<tool_response>", "[TOOL_CALLS]", "A. Ossel", "(B) Tarn", "Observation", "None", "null", "Action Input: x"),
        *HOSTILE.values(),
    ]
)
PIECES = st.lists(st.one_of(LINE, PIECE), min_size=1, max_size=3).map(" ".join)
# What `Format.lost` names: labels in a thought, calls at its beginning, marks of hidden reasoning and around a turn, a
# box around all.
_LOST = re.compile(r"\bThought:|\bAction:[ \t]*\w+[ \t]*\[|^<tool_call>|do a reflection|reward =|solved the task")
_WRAPPED = re.compile(r"[$ ]*\\boxed\{.*\}[$ ]*|<answer>.*</answer>")


def is_kept(text: str) -> bool:
    return not _LOST.search(text) and split_reasoning(text)[1] is text and own_turn(text) is text


THOUGHTS = PIECES.map(canonical_line).filter(is_kept)
ARGUMENTS = PIECES.map(canonical_argument).filter(lambda text: text and is_kept(text) and not _WRAPPED.fullmatch(text))
OBSERVATIONS = PIECES.map(lambda text: neutralise(text, 500)).filter(
    lambda text: text not in ("", "None") and is_kept(text)
)


@st.composite
def trajectories(draw):
    found = st.builds(
        lambda thought, query, text: Step(thought, Action("search", query), observations.recorded(text)),
        THOUGHTS,
        ARGUMENTS,
        OBSERVATIONS,
    )
    last = Step(draw(THOUGHTS), Action("finish", draw(ARGUMENTS)), None)
    asked = draw(PIECES.map(canonical_line).filter(bool))
    return replace(TWO_STEPS, question=question(asked), steps=(*draw(st.lists(found, max_size=3)), last))


def told(trajectory: Trajectory) -> tuple:
    """What every format holds."""
    steps = [(step.thought, step.action, step.observation) for step in plain_steps(trajectory)]
    return trajectory.question.text, steps, trajectory.answer


def reread(name: str, rows: list[Trajectory], folder: Path) -> list[Trajectory]:
    file = folder / FORMATS[name].file
    file.write_bytes(FORMATS[name].encode(rows))
    imported = import_trajectories(file, "jsonl")
    assert imported.rejections == ()
    return list(imported.trajectories)


@pytest.mark.parametrize("name", FORMATS)
@settings(deadline=None)  # files are written
@given(rows=st.lists(trajectories(), min_size=1, max_size=3))
def test_what_is_exported_reads_back_as_it_was(name, tmp_path_factory, rows):
    read = reread(name, rows, tmp_path_factory.mktemp("x"))
    assert [told(row) for row in read] == [told(row) for row in rows]


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(
    ("thought", "query"),
    [
        ("The film is Class Action: it ran in 1991.", "Class Action: the trial"),
        ("I could call Action: search[Ulm] or not.", "Tarn"),
        ("I look.", "what does Action: search[Ulm] mean"),
        ("Thought: I look. Thought: Do I?", "Answer: Tarn"),
        ("I look. Answer: 7", "a </tool_call> in a text"),
    ],
)
def test_rows_whose_texts_quote_labels_come_back(name, thought, query, tmp_path):
    first, last = TWO_STEPS.steps
    steps = (replace(first, thought=thought, action=Action("search", query)), replace(last, thought=thought))
    (read,) = reread(name, [replace(TWO_STEPS, steps=steps)], tmp_path)
    assert [step.action for step in read.steps] == [Action("search", query), Action("finish", "410 m")]


def test_our_parquet_loses_nothing(tmp_path):
    assert reread("parquet", [TWO_STEPS], tmp_path) == [TWO_STEPS]
    (read,) = reread("parquet", [TWO_STEPS], tmp_path)
    assert (read.steps[0].completion, read.cost_usd, read.attempt) == ("raw", 0.25, 2)


@pytest.mark.parametrize("name", TEXT_FORMATS)
def test_the_other_formats_lose_what_they_say_they_lose(name, tmp_path):
    (read,) = reread(name, [TWO_STEPS], tmp_path)
    assert (read.score, read.question.answers, read.cost_usd, read.model) == (None, (), None, "imported")
    assert "score" in FORMATS[name].lost


@pytest.mark.parametrize("name", TEXT_FORMATS)
def test_the_format_is_told_by_the_content_not_by_the_name(name, tmp_path):
    (tmp_path / "x.parquet").write_bytes(FORMATS["parquet"].encode([TWO_STEPS]))
    (tmp_path / "x.bin").write_bytes((tmp_path / "x.parquet").read_bytes())
    (tmp_path / "y.bin").write_bytes(FORMATS[name].encode([TWO_STEPS]))
    assert import_trajectories(tmp_path / "x.bin").trajectories == (TWO_STEPS,)
    assert told(import_trajectories(tmp_path / "y.bin").trajectories[0]) == told(TWO_STEPS)


@pytest.mark.skipif(not RELEASED.is_dir(), reason="FireAct's released data is not at ../shared/data")
@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("released", RELEASED_FILES)
def test_the_released_rows_read_back_as_they_were(name, released, tmp_path):
    rows = list(import_trajectories(RELEASED / released, "hotpotqa").trajectories)
    assert [told(row) for row in reread(name, rows, tmp_path)] == [told(row) for row in rows]


@pytest.mark.skipif(not RELEASED.is_dir(), reason="FireAct's released data is not at ../shared/data")
@pytest.mark.parametrize("released", RELEASED_FILES)
def test_sharegpt_keeps_llama_factorys_order_of_speakers(released):
    for trajectory in import_trajectories(RELEASED / released).trajectories:
        speakers = [turn["from"] for turn in sharegpt_row(trajectory)["conversations"]]
        assert set(speakers[0::2]) <= {"human", "observation"}
        assert set(speakers[1::2]) <= {"gpt", "function_call"}
        assert (speakers[0], speakers[-1]) == ("human", "gpt")


def released_text(row: dict) -> list[str]:
    """A released row's lines, without its reward and spaces at their ends, a bare None as what it stands for."""
    texts = [m["content"] for m in row["messages"]] if "messages" in row else [row["instruction"], row["output"]]
    lines = [line.strip() for line in "\n".join(texts).splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith("Observation: Episode finished")]
    return ["Observation: No results found." if line == "Observation: None" else line for line in lines]


@pytest.mark.skipif(not RELEASED.is_dir(), reason="FireAct's released data is not at ../shared/data")
@pytest.mark.parametrize(
    ("released", "write", "n_other"), [(RELEASED_FILES[0], chat_row, 2), (RELEASED_FILES[1], alpaca_row, 2)]
)
def test_the_released_rows_are_exported_as_they_were_released(released, write, n_other):
    """But for the reward, and for rows of several actions or observations of several lines."""
    text = (RELEASED / released).read_text()
    rows = json.loads(text) if released.endswith(".json") else list(map(json.loads, text.splitlines()))
    exported = [write(trajectory) for trajectory in import_trajectories(RELEASED / released).trajectories]
    same = [released_text(a) == released_text(b) for a, b in zip(rows, exported, strict=True)]
    assert same.count(False) == n_other
