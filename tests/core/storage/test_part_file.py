"""A file is there whole or not at all; what an interrupted command left is gone on with only where that is wanted."""

import os
import resource
import stat

import pytest

from fireact_ray.core.errors import InputError, WriteFailed
from fireact_ray.core.storage.part_file import part_file, part_of, write_whole


def test_a_file_comes_to_its_place_when_it_is_whole(tmp_path):
    path = tmp_path / "folder" / "file"
    with part_file(path) as part:
        part.write(b"whole")
        assert not path.exists()
    assert path.read_bytes() == b"whole"
    assert not part_of(path).exists()
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~_umask()


@pytest.mark.parametrize(("goes_on", "left"), [(False, None), (True, b"before, half")])
def test_an_error_leaves_the_place_alone_and_the_part_only_where_one_goes_on(tmp_path, goes_on, left):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    part_of(path).write_bytes(b"before, ")
    with pytest.raises(KeyError), part_file(path, goes_on=goes_on) as part:
        part.seek(0, os.SEEK_END)
        part.write(b"half")
        raise KeyError
    assert path.read_bytes() == b"old"
    assert (part_of(path).read_bytes() if part_of(path).exists() else None) == left


def test_what_was_left_is_not_mixed_into_what_begins_anew(tmp_path):
    part_of(tmp_path / "file").write_text("a longer text of a killed command")
    write_whole(tmp_path / "file", "new")
    assert (tmp_path / "file").read_text() == "new"


def test_one_process_at_a_time_writes_it(tmp_path):
    with part_file(tmp_path / "file") as part:
        part.write(b"first")
        with (
            pytest.raises(InputError, match=r"file\.part is being written by another command"),
            part_file(tmp_path / "file"),
        ):
            pass
    assert (tmp_path / "file").read_bytes() == b"first"


def test_where_nothing_can_be_written_says_so(tmp_path):
    (tmp_path / "a file").write_text("")
    with pytest.raises(WriteFailed, match=r"file\.part: cannot be written \(File exists\)"):
        write_whole(tmp_path / "a file" / "file", "x")
    (tmp_path / "folder").mkdir()
    with pytest.raises(WriteFailed, match=r"folder\.part: cannot be written"):
        write_whole(tmp_path / "folder", "x")
    assert not (tmp_path / "folder.part").exists()


@pytest.mark.parametrize(("goes_on", "left"), [(False, []), (True, ["file.part"])])
def test_a_disk_that_is_full_is_told_once(tmp_path, goes_on, left):
    allowed = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, allowed[1]))
        with (
            pytest.raises(WriteFailed, match=r"file\.part: cannot be written \(File too large\)\. Make room there"),
            part_file(tmp_path / "file", goes_on=goes_on) as part,
        ):
            part.write(b"x" * 9_000)
            part.write(b"x" * 2_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, allowed)
    assert [path.name for path in tmp_path.iterdir()] == left


def test_an_empty_part_is_no_beginning(tmp_path):
    with pytest.raises(KeyError), part_file(tmp_path / "file", goes_on=True):
        raise KeyError
    assert list(tmp_path.iterdir()) == []


def _umask():
    old = os.umask(0)
    os.umask(old)
    return old
