"""A row's fault stays the row's: the rows beside it are read, and it is counted with what is wrong and where."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fireact_ray
from fireact_ray.core.errors import InputError
from fireact_ray.core.json_text import NotJson, parse, parse_list
from fireact_ray.data.formats.files import numbered_rows
from fireact_ray.data.formats.importers import import_trajectories

GOOD = (
    '{"messages": [{"role": "user", "content": "How deep is Lake Tarn?"}, '
    '{"role": "assistant", "content": "Thought: I know.\\nAction: finish[410 m]"}]}'
)
DEEP = '{"messages": ' + "[" * 3000 + "]" * 3000 + "}"
LONG = '{"messages": ' + "9" * 5000 + "}"
ODD = {
    "a line that breaks off": (
        '{"messages": [{"role": "us',
        "no JSON: unterminated string starting in line 2, column 24",
    ),
    "no JSON at all": ("How deep?", "no JSON: expecting value in line 2, column 1"),
    "nested too deeply": (DEEP, "no JSON: lists or objects are nested too deeply in line 2"),
    "an integer of 5,000 digits": (LONG, "no JSON: an integer has too many digits in line 2"),
    "a header": ('{"format": "chat", "version": 2}', "expected 'messages'"),
    "a list": ("[1, 2]", "expected 'messages'"),
    "a word": ('"messages"', "expected 'messages'"),
    "null": ("null", "expected 'messages'"),
}


@pytest.mark.parametrize("fault", ODD)
def test_a_faulty_line_is_one_rejection_with_its_place(fault, tmp_path):
    line, detail = ODD[fault]
    (tmp_path / "x.jsonl").write_text(f"{GOOD}\n{line}\n{GOOD}\n")
    found = import_trajectories(tmp_path / "x.jsonl")
    assert len(found.trajectories) == 2
    ((row, kind, said),) = [(r.row, r.kind, r.detail) for r in found.rejections]
    assert (row, kind) == (2, "unparsable")
    assert said.startswith(detail)


def test_a_file_that_ends_within_a_line_is_said_to_break_off(tmp_path):
    (tmp_path / "x.jsonl").write_text(f"{GOOD}\n{GOOD[:-9]}")
    found = import_trajectories(tmp_path / "x.jsonl")
    assert (len(found.trajectories), found.rejected) == (1, {"breaks_off": 1})
    (tmp_path / "x.jsonl").write_text(f"{GOOD}\n{GOOD}")
    assert import_trajectories(tmp_path / "x.jsonl").rejected == {}


@pytest.mark.parametrize("fault", ODD)
def test_an_odd_first_line_does_not_decide_what_the_file_is(fault, tmp_path):
    (tmp_path / "x.jsonl").write_text(f"{ODD[fault][0]}\n{GOOD}\n")
    found = import_trajectories(tmp_path / "x.jsonl")
    assert (len(found.trajectories), [r.row for r in found.rejections]) == (1, [1])


@pytest.mark.parametrize("fault", ["nested too deeply", "an integer of 5,000 digits", "a header", "null"])
def test_a_faulty_item_of_a_list_is_one_rejection(fault, tmp_path):
    (tmp_path / "x.json").write_text(f"[{GOOD},\n{ODD[fault][0]},\n{GOOD}]")
    found = import_trajectories(tmp_path / "x.json")
    assert (len(found.trajectories), [r.row for r in found.rejections]) == (2, [2])


def test_bytes_that_are_no_utf_8_spoil_their_line_only(tmp_path):
    (tmp_path / "x.jsonl").write_bytes(f"{GOOD}\n".encode() + b'{"messages": "\xe9"}\n' + f"{GOOD}\n".encode())
    found = import_trajectories(tmp_path / "x.jsonl")
    assert (len(found.trajectories), found.rejections[0].detail) == (2, "no JSON: not UTF-8 text (byte 14) in line 2")


def test_a_file_without_any_row_that_could_be_read_is_refused_with_its_first(tmp_path):
    (tmp_path / "x.jsonl").write_text("Question,Answer\nHow deep?,410 m\n")
    with pytest.raises(InputError, match="found no JSON: expecting value in line 1, column 1, in the first one"):
        import_trajectories(tmp_path / "x.jsonl")


def test_a_list_that_breaks_off_is_refused_with_the_place(tmp_path):
    (tmp_path / "x.json").write_text(f'[\n{GOOD},\n{{"messages": [')
    with pytest.raises(InputError, match=r"x\.json is not JSON: expecting value in line 3, column 15\. Mend it"):
        numbered_rows(str(tmp_path / "x.json"))


def test_half_a_character_is_read_as_the_replacement_character_and_counted(tmp_path, caplog):
    half = GOOD.replace("I know.", r"I know \ud83d.")
    whole = GOOD.replace("I know.", r"I know \ud83d\ude00.")
    (tmp_path / "x.jsonl").write_text(f"{half}\n{whole}\n{half}\n")
    found = import_trajectories(tmp_path / "x.jsonl")
    assert [t.steps[0].thought for t in found.trajectories] == ["I know \ufffd.", "I know 😀.", "I know \ufffd."]
    assert "2 texts hold half a character" in caplog.text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r'"\ud83d"', "\ufffd"),
        (r'"\udE00 x"', "\ufffd x"),
        (r'"\\ud83d"', r"\ud83d"),
        (r'{"\ud83d": ["\ud83d\ude00"]}', {"\ufffd": ["😀"]}),
        ('"\ud83d"', "\ufffd"),
        ('{"a": 1}'.encode("utf-16"), {"a": 1}),
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        ('{"a": 1, "a": 2}', {"a": 2}),
        ("-Infinity", float("-inf")),
    ],
)
def test_what_is_read_can_be_written(text, value):
    assert parse(text) == value
    json.dumps(parse(text), ensure_ascii=False).encode()


@given(st.text() | st.binary())
def test_every_text_is_a_value_that_can_be_written_or_not_json(text):
    try:
        json.dumps(parse(text), ensure_ascii=False).encode()
    except NotJson as error:
        assert error.reason


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(st.lists(VALUES), st.integers(0, 3), st.booleans())
def test_a_list_is_read_item_by_item_as_it_is_read_whole(items, indent, as_ascii):
    text = json.dumps(items, indent=indent or None, ensure_ascii=as_ascii)
    assert list(parse_list(text)) == parse(text) == items


@pytest.mark.slow
@given(st.lists(VALUES, max_size=3), st.lists(VALUES, max_size=3))
def test_an_item_with_too_many_digits_costs_no_other_item(before, after):
    items = [*map(json.dumps, before), '{"a": ' + "9" * 5000 + ', "b": "]"}', *map(json.dumps, after)]
    found = list(parse_list(f"[{', '.join(items)}]"))
    assert [value for value in found if not isinstance(value, NotJson)] == before + after
    assert isinstance(found[len(before)], NotJson)


def test_no_other_module_reads_json():
    home = Path(fireact_ray.__file__).parent
    others = ("json.loads", "json.load(", "JSONDecoder", "JSONDecodeError", "orjson", "ujson")
    found = {
        file.relative_to(home).as_posix()
        for file in home.rglob("*.py")
        if any(word in file.read_text(encoding="utf-8") for word in others)
    }
    assert found == {"core/json_text.py"}


def test_a_long_call_within_tags_is_read_in_one_go():
    from fireact_ray.data.formats.conversations import read_conversation
    from fireact_ray.data.formats.transcript import NoTranscript

    text = "<tool_call>" * 10_000 + "x"
    row = {"conversations": [{"from": "human", "value": "Q?"}, {"from": "function_call", "value": text}]}
    with pytest.raises(NoTranscript) as refused:
        read_conversation(row)
    assert refused.value.kind == "unreadable_call"
