"""One copy of a dataset on each machine: who makes it, when it is made anew, what is read of it."""

import logging
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from object_store import Door, behind, door_to, object_store

from fireact_ray.core.errors import DataError, InputError, WriteFailed
from fireact_ray.core.storage.folder import Folder
from fireact_ray.training.mapped.loading import load_dataset

pytestmark = pytest.mark.torch

OPEN = """
import logging, sys
logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
from fireact_ray.training.mapped.loading import load_dataset
print(load_dataset(sys.argv[1]).rows[1].input_ids.tolist())
"""
OPEN_AND_STOP_WITHIN = """
import sys
from fireact_ray.training.mapped import loading, making
read_rows = making.read_rows
def and_stop(*args):
    yield from read_rows(*args)
    print("in the middle", flush=True)
    sys.stdin.read()
making.read_rows = and_stop
loading.load_dataset(sys.argv[1])
"""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FIREACT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "rows"


@pytest.fixture
def dataset(tmp_path: Path, write_dataset) -> Path:
    return write_dataset(tmp_path / "dataset", [("b", [5, 6, 7], [0, 1, 1]), ("a", [8, 9], [0, 1])])


def started(code: str, dataset: Path | str) -> subprocess.Popen:
    command = [sys.executable, "-c", code, str(dataset)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def ids(dataset: Path | str) -> list[list[int]]:
    return [row.input_ids.tolist() for row in load_dataset(dataset).rows]


def copy_in(cache: Path) -> Path:
    (copy,) = cache.glob("*/copy")
    return copy


def test_of_processes_that_open_at_once_one_makes_the_copy_and_all_read_it(cache: Path, dataset: Path):
    both = [started(OPEN, dataset) for _ in range(2)]
    said = [process.communicate(timeout=600)[0] for process in both]
    assert [text.splitlines()[-1] for text in said] == ["[5, 6, 7]"] * 2
    assert sorted("copied for this machine" in text for text in said) == [False, True]


def test_what_a_killed_maker_left_is_replaced(cache: Path, dataset: Path):
    with started(OPEN_AND_STOP_WITHIN, dataset) as maker:
        assert maker.stdout is not None
        assert maker.stdout.readline() == "in the middle\n"
        assert len(list(cache.glob("*/.copy.tmp/rows.bin"))) == 1
        maker.kill()
    assert ids(dataset) == [[8, 9], [5, 6, 7]]
    assert sorted(path.name for path in copy_in(cache).parent.iterdir()) == ["copy", "lock"]


def test_a_copy_is_found_again_and_nothing_is_read_of_the_dataset(cache: Path, dataset: Path, caplog):
    with caplog.at_level(logging.INFO):
        for _ in range(2):
            ids(dataset)
    assert len([message for message in caplog.messages if "copied for this machine" in message]) == 1


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ("rows.bin", r"rows\.bin has 3 of \d+ bytes"),
        ("index.bin", r"index\.bin has 3 of \d+ bytes"),
        ("manifest.json", r"manifest\.json cannot be read"),
    ],
)
def test_a_torn_copy_is_made_anew_with_a_word(cache: Path, dataset: Path, caplog, file: str, reason: str):
    ids(dataset)
    (copy_in(cache) / file).write_bytes(b"[1]")
    assert ids(dataset) == [[8, 9], [5, 6, 7]]
    (word,) = (message for message in caplog.messages if "it is made anew" in message)
    assert re.search(reason, word)


def test_a_missing_file_and_an_altered_index_are_noticed(cache: Path, dataset: Path, caplog):
    ids(dataset)
    (copy_in(cache) / "rows.bin").unlink()
    assert ids(dataset) == [[8, 9], [5, 6, 7]]
    index = copy_in(cache) / "index.bin"
    content = bytearray(index.read_bytes())
    content[-30] ^= 1
    index.write_bytes(content)
    assert ids(dataset) == [[8, 9], [5, 6, 7]]
    assert "rows.bin is missing" in caplog.text
    assert "index.bin is not what was written" in caplog.text


def test_an_altered_row_is_noticed_when_it_is_read(cache: Path, dataset: Path):
    rows = load_dataset(dataset).rows
    file = copy_in(cache) / "rows.bin"
    with file.open("r+b") as stream:  # in place: what is mapped sees it
        stream.write(b"\x01")  # of the first row that was read, the second in order
    assert rows[0].input_ids.tolist() == [8, 9]
    with pytest.raises(
        DataError, match=r"rows\.bin: row 1 is not what was written there\. Delete .*, and run the same"
    ):
        rows[1]


def test_another_dataset_at_the_same_place_is_copied_anew_and_what_is_open_stays_readable(
    cache: Path, dataset: Path, write_dataset
):
    before = load_dataset(dataset).rows
    write_dataset(dataset, [("b", [5, 6, 4], [0, 1, 1]), ("a", [8, 9], [0, 1])])  # of the very same size
    assert ids(dataset) == [[8, 9], [5, 6, 4]]
    assert before[1].input_ids.tolist() == [5, 6, 7]


def test_copies_that_nobody_opened_for_a_month_go_when_another_is_made(
    cache: Path, tmp_path: Path, write_dataset, counting_rows
):
    old, new, newest = (write_dataset(tmp_path / name, counting_rows(2)) for name in ("old", "new", "newest"))
    ids(old)
    os.utime(copy_in(cache).parent / "lock", (0, 0))
    ids(new)
    assert len(list(cache.glob("*/copy"))) == 1
    ids(newest)
    assert len(list(cache.glob("*/copy"))) == 2


def test_a_bad_row_leaves_nothing_behind_and_the_row_can_be_mended(cache: Path, dataset: Path, write_dataset):
    write_dataset(dataset, [("a", [8, 9], [0, 0])])
    with pytest.raises(DataError, match="row a has no trained token"):
        load_dataset(dataset)
    assert [path.name for path in cache.glob("*/*")] == ["lock"]
    write_dataset(dataset, [("a", [8, 9], [0, 1])])
    assert ids(dataset) == [[8, 9]]


def test_a_full_disk_is_one_sentence(cache: Path, dataset: Path, monkeypatch: pytest.MonkeyPatch):
    """/dev/full takes nothing, as a full disk."""
    from fireact_ray.training.mapped import making

    monkeypatch.setattr(making, "ROWS", "/dev/full")
    with pytest.raises(
        WriteFailed, match=r"copy of .*/dataset cannot be written \(No space left on device\)\. It takes 5 b"
    ):
        load_dataset(dataset)


def test_a_cache_that_cannot_be_written_is_one_sentence(tmp_path: Path, dataset: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("FIREACT_CACHE", str(tmp_path / "file"))
    with pytest.raises(InputError, match=r"cannot write .*: set FIREACT_CACHE to a folder on a local disk"):
        load_dataset(dataset)


@pytest.fixture
def door():
    with object_store() as store, door_to(store.endpoint) as found:
        store.bucket("data")
        yield found


def uploaded(dataset: Path, door: Door) -> str:
    """Where the bucket has it; a URI that names a key and its secret."""
    there = behind(door, Folder("s3://a-name:a-secret@data/dataset"))
    for file in dataset.iterdir():
        there.write_file(file.name, file)
    door.asked.clear()
    return there.uri


def contents_read(door: Door) -> list[str]:
    """Since it was asked last."""
    found = [path.rpartition("/")[2] for method, path in door.asked if method == "GET" and "list-type" not in path]
    door.asked.clear()
    return found


def test_a_dataset_in_a_bucket_is_fetched_once_for_a_machine(cache: Path, dataset: Path, door: Door):
    uri = uploaded(dataset, door)
    assert ids(uri) == [[8, 9], [5, 6, 7]]
    assert set(contents_read(door)) == {"manifest.json", "part-000.parquet"}
    assert ids(uri) == [[8, 9], [5, 6, 7]]
    assert contents_read(door) == ["manifest.json"]
    with started(OPEN, uri) as other:
        assert other.communicate(timeout=600)[0] == "[5, 6, 7]\n"
    assert contents_read(door) == ["manifest.json"]


def test_a_key_of_a_bucket_is_in_no_log_line(cache: Path, dataset: Path, door: Door, caplog):
    with caplog.at_level(logging.INFO):
        ids(uploaded(dataset, door))
    assert "copied for this machine" in caplog.text
    assert "a-secret" not in caplog.text
