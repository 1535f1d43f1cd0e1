import pyarrow.parquet as pq
import pytest
from fakes import finished_trajectory as trajectory

from fireact_ray.core.errors import DataError
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.trajectories import (
    ROWS_PER_GROUP,
    finished_keys,
    read_trajectories,
    set_aside_broken,
    write_trajectories,
)


def test_trajectories_read_back_as_they_were_written_in_the_order_of_their_keys(tmp_path):
    folder = Folder(str(tmp_path / "t"))
    rows = [trajectory("b"), trajectory("a", score=None, error="ModelRefused: x", cost_usd=0.5)]
    write_trajectories(folder, rows, "w")
    assert read_trajectories(folder) == [rows[1], rows[0]]


def test_a_key_that_was_written_twice_counts_once(tmp_path):
    folder = Folder(str(tmp_path / "t"))
    write_trajectories(folder, [trajectory("a"), trajectory("b")], "w1")
    write_trajectories(folder, [trajectory("a")], "w2")
    assert [t.trajectory_id for t in read_trajectories(folder)] == ["a", "b"]
    assert finished_keys(folder) == {"a", "b"}


def test_row_groups_are_what_can_be_read_by_itself(tmp_path):
    folder = Folder(str(tmp_path / "t"))
    write_trajectories(folder, [trajectory(f"a{i:05d}") for i in range(ROWS_PER_GROUP + 1)], "w1")
    write_trajectories(folder, [trajectory("b")], "w2")
    groups = folder.row_groups()
    assert [(group.number, group.n_rows) for group in groups] == [(0, ROWS_PER_GROUP), (1, 1), (0, 1)]
    last, other = (group.read()["trajectory_id"].to_pylist() for group in groups[1:])
    assert (last, other) == ([f"a{ROWS_PER_GROUP:05d}"], ["b"])


def test_parts_hold_plain_types_and_flat_columns_for_filtering(tmp_path):
    folder = Folder(str(tmp_path / "t"))
    name = write_trajectories(folder, [trajectory()], "w")
    row = pq.read_table(tmp_path / "t" / name).to_pylist()[0]
    assert (row["answer"], row["n_steps"], row["n_searches"]) == ("Ila Dun", 3, 1)
    assert (row["prompt_tokens"], row["completion_tokens"], row["wall_time_s"]) == (7, 3, 0.85)
    assert row["cost_usd"] is None


def test_a_missing_folder_is_an_empty_one(tmp_path):
    assert read_trajectories(Folder(str(tmp_path / "nowhere"))) == []


def test_a_broken_part_stops_with_its_name(tmp_path):
    (tmp_path / "part-x.parquet").write_bytes(b"not parquet")
    with pytest.raises(DataError, match=r"part-x\.parquet: not a readable Parquet file"):
        read_trajectories(Folder(str(tmp_path)))


def test_a_part_with_another_checksum_than_its_name_says_is_set_aside(tmp_path):
    folder = Folder(str(tmp_path))
    write_trajectories(folder, [trajectory("a")], "w1")
    name = write_trajectories(folder, [trajectory("b")], "w2")
    (tmp_path / name).rename(tmp_path / "part-w2-00000000.parquet")
    assert set_aside_broken(folder) == ["part-w2-00000000.parquet"]
    assert finished_keys(folder) == {"a"}
    assert set_aside_broken(folder) == []
