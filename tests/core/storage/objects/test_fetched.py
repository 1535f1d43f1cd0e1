"""What libraries want on a disk, and what is read as files of anybody."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from object_store import behind

from fireact_ray.core.errors import InputError
from fireact_ray.core.storage import source
from fireact_ray.core.storage.fetched import fetched, fetched_while

pytestmark = pytest.mark.slow


def test_a_folder_of_a_bucket_is_fetched_once_for_a_machine_and_anew_when_it_changes(run, tmp_path, monkeypatch, door):
    monkeypatch.setenv("FIREACT_CACHE", str(tmp_path))
    there = behind(door, run) / "base"
    there.write("config.json", "{}")
    (there / "sub").write("a.safetensors", b"x" * 9_000_000)
    copy = Path(fetched(there.uri))
    assert (copy.name, (copy / "config.json").read_text()) == ("base", "{}")
    assert (copy / "sub/a.safetensors").stat().st_size == 9_000_000
    door.asked.clear()
    assert fetched(there.uri) == str(copy)
    assert all("list-type" in path for _, path in door.asked), "a copy is only looked for"
    assert [path.name for path in Path(fetched(there.uri, without=(".safetensors",))).iterdir()] == ["config.json"]
    there.write("README.md", "for people")
    assert fetched(there.uri) == str(copy)
    there.write("config.json", "{ }")
    assert Path(fetched(there.uri), "config.json").read_text() == "{ }"
    assert (copy / "config.json").read_text() == "{}", "who has it open keeps it"


def test_one_object_is_fetched_as_a_file_and_a_path_is_its_own_place(run, tmp_path, monkeypatch):
    monkeypatch.setenv("FIREACT_CACHE", str(tmp_path))
    run.write("corpus.jsonl", '{"text": "t"}\n')
    assert Path(fetched((run / "corpus.jsonl").uri)).read_text() == '{"text": "t"}\n'
    assert fetched("/some/place") == "/some/place"
    with pytest.raises(InputError, match="nothing is there"):
        fetched((run / "nothing").uri)


def test_what_is_read_once_is_shared_while_it_is_read_and_goes_with_its_last_reader(run, tmp_path, monkeypatch, door):
    monkeypatch.setenv("FIREACT_CACHE", str(tmp_path))
    (behind(door, run) / "checkpoint_1").write("state.pt", b"weights")
    place = (behind(door, run) / "checkpoint_1").uri
    with fetched_while(place) as first:
        door.asked.clear()
        with fetched_while(place) as second:
            assert second == first
            assert (first.name, (first / "state.pt").read_bytes()) == ("checkpoint_1", b"weights")
        assert all("list-type" in path for _, path in door.asked), "fetched once"
        assert (first / "state.pt").exists()
    assert list((tmp_path / "passing").iterdir()) == []
    with fetched_while("/some/place") as itself:
        assert itself == Path("/some/place")


def test_what_a_killed_reader_left_goes_when_another_copy_is_made_and_what_is_read_stays(run, tmp_path, monkeypatch):
    monkeypatch.setenv("FIREACT_CACHE", str(tmp_path))
    run.write("a.pt", b"a")
    run.write("b.pt", b"b")
    left = tmp_path / "passing" / "of-a-killed-process"
    (left / "copy").mkdir(parents=True)
    with fetched_while((run / "a.pt").uri) as a, fetched_while((run / "b.pt").uri) as b:
        assert (a.read_bytes(), b.read_bytes()) == (b"a", b"b")
        assert not left.exists()


def test_readers_that_come_and_go_at_once_all_find_it(run, tmp_path, monkeypatch):
    monkeypatch.setenv("FIREACT_CACHE", str(tmp_path))
    (run / "checkpoint_1").write("state.pt", b"weights")
    place = (run / "checkpoint_1").uri

    def read(_: int) -> bytes:
        with fetched_while(place) as copy:
            return (copy / "state.pt").read_bytes()

    with ThreadPoolExecutor(8) as readers:
        assert set(readers.map(read, range(40))) == {b"weights"}
    assert list((tmp_path / "passing").iterdir()) == []


def test_a_fetch_that_is_cut_off_leaves_no_copy(run, tmp_path, monkeypatch, door):
    monkeypatch.setenv("FIREACT_CACHE", str(tmp_path))
    there = behind(door, run) / "base"
    there.write("a.safetensors", b"x")
    door.trouble = lambda method, path: "denied" if method == "GET" and "list-type" not in path else None
    with pytest.raises(InputError, match=r"could not be fetched \(.*AccessDenied\)"):
        fetched(there.uri)
    door.trouble = lambda method, path: None
    assert Path(fetched(there.uri), "a.safetensors").read_bytes() == b"x"


def test_questions_and_packed_files_are_read_from_a_bucket(run):
    import gzip

    run.write("a.jsonl.gz", gzip.compress(b'{"q": 1}\n'))
    (run / "sub").write("b.txt", "\ufefftext")
    assert source.read_text((run / "a.jsonl.gz").uri) == '{"q": 1}\n'
    assert source.kind_of(run.uri) == "folder"
    assert source.kind_of((run / "nothing").uri) is None
    assert source.names_in(run.uri) == ["a.jsonl.gz", "sub/"]
    assert source.size_of((run / "sub/b.txt").uri) == 7
