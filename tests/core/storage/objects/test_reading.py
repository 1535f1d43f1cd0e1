"""How many requests a resume and a compaction take of a bucket, and how many of them wait at once."""

from collections import Counter
from itertools import count
from threading import Barrier

import pytest
from fakes import finished_trajectory
from object_store import Door, behind

from fireact_ray.core.errors import DataError
from fireact_ray.core.storage.appending import MERGED_SEGMENTS, AppendedSegments, appended_lines
from fireact_ray.core.storage.compaction import compactions_of, drop_compacted
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.trajectories import set_aside_broken, write_trajectories
from fireact_ray.rollouts.completed import read_totals, read_written
from fireact_ray.rollouts.retries import read_failures

pytestmark = pytest.mark.slow


def filled(there: Folder, n_parts: int) -> Folder:
    folder = there / "trajectories"
    for part in range(n_parts):
        write_trajectories(folder, [finished_trajectory(f"{part:04x}{row}") for row in range(4)], f"w{part:02}")
    return folder


def reads(door: Door, suffix: str) -> Counter[str]:
    """Of each object that was asked for since."""
    asked = Counter(path.rpartition("/")[2] for method, path in door.asked if method in ("GET", "HEAD"))
    door.asked.clear()
    return Counter({name: n for name, n in asked.items() if name.endswith(suffix)})


def test_a_resume_reads_each_part_by_one_request_a_pass(run, door):
    there = behind(door, run)
    folder = filled(there, 6)
    passes = [
        (lambda: set_aside_broken(folder), 1),
        (lambda: read_written(folder), 1),
        (lambda: read_failures(there), 1),
        (lambda: read_totals(folder), 2),
        (folder.row_groups, 1),
    ]
    door.asked.clear()
    for one, expected in passes:
        one()
        assert reads(door, ".parquet") == dict.fromkeys(folder.names(".parquet"), expected)


def test_sixteen_parts_are_waited_for_at_once_and_come_in_their_order(run, door):
    folder = filled(behind(door, run), 20)
    arrived, all_there = count(), Barrier(16)

    def meets(method: str, path: str) -> None:
        if path.endswith(".parquet") and next(arrived) < 16:
            all_there.wait(30)

    door.trouble = meets
    tables = list(folder.read_tables(["trajectory_id"]))
    assert [table["trajectory_id"][0].as_py() for table in tables] == sorted(f"{part:04x}0" for part in range(20))


@pytest.mark.parametrize("n_parts", [12, 24])
def test_a_compaction_reads_keys_once_and_rows_once_however_many_new_parts_there_are(run, door, n_parts):
    folder = filled(behind(door, run), n_parts)
    old = folder.names(".parquet")
    six = 6 * max(map(folder.size, old))
    door.asked.clear()
    todo = compactions_of(folder, max_part_bytes=six)
    assert reads(door, ".parquet") == dict.fromkeys(old, 1)
    assert len(todo.made) == n_parts // 6
    new = [one.run() for one in todo.made]
    assert reads(door, ".parquet") == dict.fromkeys(old, 1)
    drop_compacted(folder, old, new)
    assert [method for method, _ in door.asked if method in ("POST", "DELETE")] == ["POST"]


def test_a_journal_takes_a_request_for_each_of_its_objects(run, door):
    there = behind(door, run)
    writer = AppendedSegments(there, "w0-x")
    for number in range(2 * MERGED_SEGMENTS + 2):
        writer.append(b"%d\n" % number)
        writer.keep()
    door.asked.clear()
    assert list(appended_lines(there)) == [b"%d" % number for number in range(2 * MERGED_SEGMENTS + 2)]
    assert list(reads(door, ".jsonl").values()) == [1] * 4


def test_a_store_that_fails_while_parts_are_read_breaks_no_part(run, door):
    folder = filled(behind(door, run), 2)
    door.trouble = lambda method, path: "denied" if path.endswith(".parquet") else None
    for reading in (read_written, read_totals, set_aside_broken):
        with pytest.raises(OSError, match="AccessDenied"):
            reading(folder)
    door.trouble = lambda method, path: None
    folder.write("part-w9-00000000.parquet", b"PAR1 torn")
    with pytest.raises(DataError, match="not a readable Parquet file"):
        read_written(folder)
