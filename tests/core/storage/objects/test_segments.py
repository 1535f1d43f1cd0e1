"""Files that grow, as segments in a bucket."""

import pytest
from object_store import behind

from fireact_ray.core.errors import WriteFailed
from fireact_ray.core.storage.appending import MERGED_SEGMENTS, AppendedSegments, appended_lines
from fireact_ray.core.storage.folder import Folder

pytestmark = pytest.mark.slow


def test_lines_are_kept_in_segments_that_are_merged_and_each_read_once(run, store):
    writer = AppendedSegments(run, "w0-x")
    for number in range(MERGED_SEGMENTS + 2):
        writer.append(b"%d\n" % number)
        writer.keep()
    expected = [b"%d" % number for number in range(MERGED_SEGMENTS + 2)]
    assert list(appended_lines(run)) == expected
    assert run.names() == ["w0-x-000000-000099.jsonl", "w0-x-000100.jsonl", "w0-x-000101.jsonl"]
    run.write("w0-x-000007.jsonl", "7\n")  # which a writer that died had not deleted yet
    assert list(appended_lines(run)) == expected
    writer.append(b"last\n")
    writer.close()
    assert list(appended_lines(run)) == [*expected, b"last"]
    assert "w0-x-000100-000102.jsonl" in run.names()


def test_a_reader_that_listed_segments_before_they_were_merged_reads_each_line_once(run, monkeypatch):
    writer = AppendedSegments(run, "w0-x")
    for number in range(3):
        writer.append(b"%d\n" % number)
        writer.keep()
    names, calls = run.names(), []

    def listed(folder, suffix=""):
        calls.append(suffix)
        if len(calls) > 1:
            return Folder.names(folder, suffix)
        writer.close()
        return names

    class Late(Folder):
        names = listed

    assert list(appended_lines(Late(run.uri))) == [b"0", b"1", b"2"]
    assert len(calls) == 2


def test_what_could_not_be_written_is_kept_by_the_next_write(run, door):
    there = behind(door, run)
    writer = AppendedSegments(there, "w0-x")
    writer.append(b"a\n")
    there.exists("x")
    door.trouble = lambda method, path: "denied" if method == "PUT" else None
    with pytest.raises(WriteFailed):
        writer.keep()
    door.trouble = lambda method, path: None
    writer.append(b"b\n")
    writer.close()
    assert list(appended_lines(there)) == [b"a", b"b"]
