"""A corpus file is read row by row and named by its content; the name is remembered until the file changes."""

import os

import pytest

from fireact_ray.agent.tools.corpus import corpus_key, read_corpus
from fireact_ray.core.errors import InputError
from fireact_ray.core.types import Hit

LONG_AGO_NS = 10**18


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "corpus.jsonl"
    path.write_text('{"title": "Orr", "text": "A lake."}\n\n{"contents": "Zem\\nA city."}\n{"text": "No title."}\n')
    os.utime(path, ns=(LONG_AGO_NS, LONG_AGO_NS))
    return path


def change(path, text, time_ns):
    path.write_text(text)
    os.utime(path, ns=(time_ns, time_ns))


def test_rows_of_both_layouts_are_read(path):
    assert list(read_corpus(path)) == [Hit("Orr", "A lake."), Hit("Zem", "A city."), Hit("", "No title.")]


@pytest.mark.parametrize("row", ["no json", "[1]", '{"title": "Orr"}', '{"contents": "no line break"}'])
def test_a_row_without_text_is_refused_by_file_and_line(path, row):
    path.write_text('{"text": "good"}\n' + row)
    with pytest.raises(InputError, match=r"corpus.jsonl, line 2: expected a JSON object with 'title' and 'text'"):
        list(read_corpus(path))


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        corpus_key(tmp_path / "none.jsonl", tmp_path)


def test_the_key_is_the_content_wherever_the_file_lies(path, tmp_path):
    copy = tmp_path / "copy.jsonl"
    copy.write_bytes(path.read_bytes())
    assert corpus_key(copy, tmp_path) == corpus_key(path, tmp_path)


def test_a_known_file_is_not_read_again(path, tmp_path):
    key = corpus_key(path, tmp_path)
    change(path, "x" * path.stat().st_size, LONG_AGO_NS)  # what nobody could notice without reading it
    assert corpus_key(path, tmp_path) == key


@pytest.mark.parametrize(("more", "later_ns"), [("", 1), ("x", 0)])
def test_a_file_of_another_size_or_time_is_read_again(path, tmp_path, more, later_ns):
    key = corpus_key(path, tmp_path)
    change(path, "x" * path.stat().st_size + more, LONG_AGO_NS + later_ns)
    assert corpus_key(path, tmp_path) != key


def test_a_file_that_was_written_just_now_is_not_remembered(path, tmp_path):
    path.touch()
    now_ns = path.stat().st_mtime_ns
    key = corpus_key(path, tmp_path)
    change(path, "x" * path.stat().st_size, now_ns)
    assert corpus_key(path, tmp_path) != key


def test_a_cache_that_cannot_be_written_costs_no_more_than_time(path, tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    assert corpus_key(path, tmp_path / "cache") == corpus_key(path, tmp_path)
