"""JSON of any length is read value by value, the same as at once, and what breaks off is never taken for whole."""

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fireact_ray.agent.tools.corpora import json_stream
from fireact_ray.agent.tools.corpora.json_stream import begins_a_list, json_lines, json_list, text_lines
from fireact_ray.agent.tools.corpora.passage import LeftOut
from fireact_ray.core.errors import DataError

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text('ab]}[{,"\\ ', max_size=4), inner, max_size=3),
    max_leaves=6,
)


def stream(data):
    return io.BufferedReader(io.BytesIO(data if isinstance(data, bytes) else data.encode()))


@pytest.mark.parametrize("chunk", [1, 7, 1 << 20])
@given(st.lists(VALUES, max_size=6), st.sampled_from([None, 1]), st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]))
def test_a_list_is_read_as_it_would_be_at_once(chunk, values, indent, encoding):
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(json_stream, "_CHUNK", chunk)
        text = json.dumps(values, indent=indent, ensure_ascii=False)
        assert list(json_list(stream(text.encode(encoding)))) == values


@pytest.mark.parametrize(
    ("text", "n_before", "message"),
    [
        ('[{"a": 1}, {"b": 2', 1, "item 2 is no JSON or not whole"),
        ('[{"a": 1}', 1, "item 1 is followed by ''"),
        ('[{"a": 1},', 1, "item 2 is no JSON or not whole"),
        ('[{"a": 1} {"b": 2}]', 1, "item 1 is followed by '{'"),
        ("[{'a': 1}]", 0, "item 1 is no JSON"),
        ('{"a": 1}', 0, "expected a JSON list"),
        (b'[{"a": 1}, {"b": "\xff"}]', 0, "no UTF-8 text behind item 0"),
    ],
)
def test_a_list_that_breaks_says_where(text, n_before, message):
    items = json_list(stream(text))
    with pytest.raises(DataError, match=message):
        for n in range(9):
            assert n <= n_before
            next(items)


def test_a_value_without_an_end_is_not_read_for_ever(monkeypatch):
    monkeypatch.setattr(json_stream, "MAX_CHARS", 1000)
    monkeypatch.setattr(json_stream, "_CHUNK", 100)
    with pytest.raises(DataError, match="item 1 is no JSON or not whole"):
        list(json_list(stream('["' + "x" * 10_000)))
    with pytest.raises(DataError, match="line 2 has more than 1000 characters"):
        list(text_lines(stream("a\n" + "x" * 10_000)))


def test_lines_keep_their_own_faults():
    text = b'\xef\xbb\xbf{"a": 1}\r\n\n{"b": \n{"c": "\xff"}\n[2]\n"x\xe2\x80\xa8y"'
    assert list(json_lines(stream(text))) == [{"a": 1}, LeftOut.NOT_JSON, LeftOut.NOT_TEXT, [2], "x\u2028y"]


def test_a_last_line_that_breaks_off_is_no_fault_of_its_own():
    values = json_lines(stream('{"a": 1}\n{"b": 2}\n{"c": '))
    assert [next(values), next(values)] == [{"a": 1}, {"b": 2}]
    with pytest.raises(DataError, match="it is not whole: line 3 breaks off"):
        next(values)
    assert list(json_lines(stream('{"a": 1}\n{"b": 2}'))) == [{"a": 1}, {"b": 2}]


def test_lines_of_other_utfs_are_read_too():
    assert list(json_lines(stream('{"a": "ä"}\n{"b": 1}'.encode("utf-16")))) == [{"a": "ä"}, {"b": 1}]


@pytest.mark.parametrize(("head", "is_one"), [(' [\n{"a"', True), ("[", True), ("[1, 2]", False), ('{"a": [', False)])
def test_a_list_of_objects_is_told_by_its_beginning(head, is_one):
    assert begins_a_list(head) == is_one
