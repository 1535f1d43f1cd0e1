from fakes import finished_trajectory as trajectory

from fireact_ray.core.storage.compaction import compactions_of, drop_compacted
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.trajectories import read_trajectories, write_trajectories

KEYS = [f"{i:02x}{'0' * 14}" for i in range(0, 256, 4)]


def filled(tmp_path) -> Folder:
    folder = Folder(str(tmp_path / "t"))
    for start in range(0, len(KEYS), 10):
        write_trajectories(folder, [trajectory(key) for key in KEYS[start : start + 10]], "w")
    write_trajectories(folder, [trajectory(KEYS[3])], "again")
    return folder


def test_small_parts_become_one_with_each_key_once_in_order(tmp_path):
    folder = filled(tmp_path)
    (merge,) = compactions_of(folder)
    name = merge.run()
    assert folder.read_table(name)["trajectory_id"].to_pylist() == KEYS
    assert len(read_trajectories(folder)) == len(KEYS)  # the old parts stand beside it: still each key once
    drop_compacted(folder, folder.names(".parquet"), [name])
    assert folder.names(".parquet") == [name]
    assert [t.trajectory_id for t in read_trajectories(folder)] == KEYS


def test_what_does_not_fit_into_one_part_is_split_by_key(tmp_path):
    folder = filled(tmp_path)
    n_bytes = sum(folder.size(name) for name in folder.names(".parquet"))
    merges = compactions_of(folder, max_part_bytes=n_bytes // 4 + 1)
    parts = [folder.read_table(merge.run())["trajectory_id"].to_pylist() for merge in merges]
    assert len(parts) == 4
    assert [key for part in parts for key in part] == KEYS
    assert max(map(len, parts)) <= 20


def test_an_empty_folder_needs_no_merge(tmp_path):
    assert compactions_of(Folder(str(tmp_path / "nowhere"))) == []
