import json

import pytest

from fireact_ray.core.types import Action, Observation
from fireact_ray.data.formats.conversations import read_conversation, read_rows
from fireact_ray.data.formats.files import numbered_rows
from fireact_ray.data.formats.importers import import_trajectories
from fireact_ray.data.formats.messages import Message
from fireact_ray.data.formats.transcript import NoTranscript

ASK = "How deep is Lake Tarn?"
SEARCH = "Thought: I look it up.\nAction: search[Lake Tarn depth]"
FOUND = "Lake Tarn is 410 m deep."
FINISH = "Thought: I have it.\nAction: finish[410 m]"

TURNS = (
    Message("user", ASK),
    Message("assistant", SEARCH),
    Message("observation", FOUND),
    Message("assistant", FINISH),
)


def read_turns(row: object) -> tuple[Message, ...]:
    return read_conversation(row).turns


def tool_call(name: str, arguments: str) -> dict:
    return {"id": "c1", "type": "function", "function": {"name": name, "arguments": arguments}}


ROWS = {
    "alpaca": {"instruction": ASK, "input": "", "output": f"{SEARCH}\nObservation: {FOUND}\n{FINISH}\n"},
    "chat": {
        "messages": [
            {"role": "user", "content": ASK},
            {"role": "assistant", "content": SEARCH},
            {"role": "user", "content": f"Observation: {FOUND}"},
            {"role": "assistant", "content": FINISH},
        ]
    },
    "tools": {
        "messages": [
            {"role": "user", "content": ASK},
            {
                "role": "assistant",
                "content": "Thought: I look it up.",
                "tool_calls": [tool_call("search", '{"query": "Lake Tarn depth"}')],
            },
            {"role": "tool", "content": FOUND, "tool_call_id": "c1"},
            {
                "role": "assistant",
                "content": "Thought: I have it.",
                "tool_calls": [tool_call("finish", '{"answer": "410 m"}')],
            },
        ]
    },
    "sharegpt": {
        "conversations": [
            {"from": "human", "value": ASK},
            {"from": "gpt", "value": SEARCH},
            {"from": "observation", "value": FOUND},
            {"from": "gpt", "value": FINISH},
        ]
    },
}


@pytest.mark.parametrize("name", ROWS)
def test_an_episode_reads_the_same_in_every_format(name):
    turns = read_turns(ROWS[name])
    assert [(turn.role, turn.written) for turn in turns] == [(turn.role, turn.text) for turn in TURNS]


@pytest.mark.parametrize("name", ROWS)
def test_every_format_is_imported(name, tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(ROWS[name]))
    (trajectory,) = import_trajectories(path).trajectories
    first, last = trajectory.steps
    assert (first.thought, first.action) == ("I look it up.", Action("search", "Lake Tarn depth"))
    assert first.observation == Observation("Lake Tarn is 410 m deep.")
    assert (last.thought, last.action, trajectory.answer) == ("I have it.", Action("finish", "410 m"), "410 m")


def test_with_tools_a_plain_reply_is_the_answer_and_a_query_is_told_from_the_numbers_beside_it():
    calls = [tool_call("search", '{"query": "a", "k": 3}'), tool_call("search", "no json")]
    row = {
        "messages": [
            {"role": "system", "content": "Use tools."},
            {"role": "user", "content": ASK},
            {"role": "assistant", "content": None, "tool_calls": calls},
            {"role": "tool", "content": FOUND},
            {"role": "assistant", "content": "410 m"},
        ]
    }
    assert read_turns(row) == (
        Message("system", "Use tools."),
        Message("user", ASK),
        Message("assistant", "", (Action("search", "a"), Action("search", "no json"))),
        Message("observation", FOUND),
        Message("assistant", "", (Action("finish", "410 m"),)),
    )


def test_sharegpt_has_calls_of_its_own_and_a_system_field():
    row = {
        "system": "Use tools.",
        "conversations": [
            {"from": "human", "value": ASK},
            {"from": "function_call", "value": '{"name": "search", "arguments": {"query": "Lake Tarn"}}'},
        ],
    }
    assert read_turns(row) == (
        Message("system", "Use tools."),
        Message("user", ASK),
        Message("assistant", "", (Action("search", "Lake Tarn"),)),
    )


@pytest.mark.parametrize(
    ("row", "detail"),
    [
        (3, "expected 'messages'"),
        ({"messages": "x"}, "'messages' is no list"),
        ({"messages": [{"role": "user", "content": None}]}, "message 1 has no text"),
        ({"messages": [{"role": "narrator", "content": "x"}]}, "unknown role 'narrator'"),
        ({"messages": [{"role": "assistant", "content": "", "tool_calls": [{}]}]}, "has no name"),
        ({"conversations": [{"from": "gpt"}]}, "message 1 has no text"),
        ({"conversations": [{"from": "function_call", "value": "search"}]}, "is no JSON"),
        ({"instruction": "x", "output": 3}, "'output' is no text"),
    ],
)
def test_a_row_that_cannot_be_read_says_why(row, detail):
    with pytest.raises(NoTranscript) as caught:
        read_turns(row)
    assert caught.value.kind == "unparsable"
    assert detail in caught.value.detail


def test_row_numbers_are_lines_in_json_lines_and_places_in_a_list(tmp_path):
    row = json.dumps(ROWS["chat"])
    (tmp_path / "x.jsonl").write_text(f"\n{row}\n\n{row}\n")
    (tmp_path / "x.json").write_text(f"[\n{row},\n\n{row}]")
    assert [number for number, _ in read_rows(str(tmp_path / "x.jsonl"))] == [2, 4]
    assert [number for number, _ in numbered_rows(str(tmp_path / "x.json"))] == [1, 2]
