import pytest
from fakes import finished_trajectory as trajectory

from fireact_ray.core.storage.compaction import Compactions, compactions_of, drop_compacted
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.trajectories import read_trajectories, write_trajectories

KEYS = [f"{i:02x}{'0' * 14}" for i in range(0, 256, 4)]


def filled(tmp_path) -> Folder:
    folder = Folder(str(tmp_path / "t"))
    for start in range(0, len(KEYS), 10):
        write_trajectories(folder, [trajectory(key) for key in KEYS[start : start + 10]], "w")
    write_trajectories(folder, [trajectory(KEYS[3])], "again")
    return folder


def keys_in(folder: Folder, name: str) -> list[str]:
    return folder.read_table(name)["trajectory_id"].to_pylist()


def test_small_parts_become_one_with_each_key_once_in_order(tmp_path):
    folder = filled(tmp_path)
    (merge,) = compactions_of(folder).made
    name = merge.run()
    assert keys_in(folder, name) == KEYS
    assert len(read_trajectories(folder)) == len(KEYS)  # the old parts stand beside it: still each key once
    drop_compacted(folder, folder.names(".parquet"), [name])
    assert folder.names(".parquet") == [name]
    assert [t.trajectory_id for t in read_trajectories(folder)] == KEYS
    assert compactions_of(folder) == Compactions(kept=(name,))


@pytest.mark.slow
def test_what_does_not_fit_into_one_part_becomes_several_and_each_old_part_is_read_for_one_of_them(tmp_path):
    folder = filled(tmp_path)
    old = folder.names(".parquet")
    largest = max(folder.size(name) for name in old)
    todo = compactions_of(folder, max_part_bytes=4 * largest + 1)
    assert todo.kept == ()
    assert sorted(part for merge in todo.made for part in merge.parts) == old
    new = [keys_in(folder, merge.run()) for merge in todo.made]
    assert 2 <= len(new) <= 3
    assert all(part == sorted(part) for part in new)
    assert sorted(key for part in new for key in part) == KEYS, "also the one that stands in two old parts"


def test_a_large_part_is_not_written_again_unless_a_key_of_it_stands_elsewhere_or_it_has_no_order(tmp_path):
    folder = Folder(str(tmp_path / "t"))
    large = write_trajectories(folder, [trajectory(key) for key in KEYS[:20]], "a")
    twice = write_trajectories(folder, [trajectory(key) for key in KEYS[19:40]], "b")
    unsorted = write_trajectories(folder, [trajectory(key) for key in reversed(KEYS[40:])], "c")
    write_trajectories(folder, [trajectory(key) for key in KEYS[30:50]], "d")  # all of which stand in the others
    todo = compactions_of(folder, max_part_bytes=folder.size(large))
    assert todo.kept == (large,)
    assert [merge.parts for merge in todo.made] == [(twice,), (unsorted,)]
    assert [keys_in(folder, merge.run()) for merge in todo.made] == [KEYS[20:40], KEYS[40:]]


def test_an_empty_folder_needs_no_merge(tmp_path):
    assert compactions_of(Folder(str(tmp_path / "nowhere"))) == Compactions()
