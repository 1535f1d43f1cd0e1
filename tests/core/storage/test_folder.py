import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fakes import finished_trajectory as trajectory

from fireact_ray.core.errors import DataError, InputError
from fireact_ray.core.storage.folder import ROWS_PER_GROUP, Folder, finished_keys, read_trajectories, write_trajectories
from fireact_ray.core.storage.inputs import lock_inputs


def test_trajectories_read_back_as_they_were_written_in_the_order_of_their_keys(tmp_path):
    folder = Folder(str(tmp_path / "t"))
    rows = [trajectory("b"), trajectory("a", score=None, error="ModelRefused: x", cost_usd=0.5)]
    write_trajectories(folder, rows, "w")
    assert read_trajectories(folder) == [rows[1], rows[0]]


def test_a_key_that_was_landed_twice_counts_once(tmp_path):
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


def test_the_digest_is_of_contents_not_of_names(tmp_path):
    one, two = Folder(str(tmp_path / "one")), Folder(str(tmp_path / "two"))
    for folder, names in ((one, "ab"), (two, "cb")):
        for name, content in zip(names, ("x", "y"), strict=True):
            folder.write(f"{name}.json", content)
    assert one.digest((".json",)) == two.digest((".json",))
    two.write("other.txt", "z")
    assert one.digest((".json",)) == two.digest((".json",)) != two.digest((".json", ".txt"))
    two.write("b.json", "z")
    assert one.digest((".json",)) != two.digest((".json",))


def test_parts_hold_plain_types_and_flat_columns_for_filtering(tmp_path):
    folder = Folder(str(tmp_path / "t"))
    name = write_trajectories(folder, [trajectory()], "w")
    row = pq.read_table(tmp_path / "t" / name).to_pylist()[0]
    assert (row["answer"], row["n_steps"], row["n_searches"]) == ("Ila Dun", 3, 1)
    assert (row["prompt_tokens"], row["completion_tokens"], row["wall_time_s"]) == (7, 3, 0.85)
    assert row["cost_usd"] is None


def test_a_missing_folder_is_an_empty_one(tmp_path):
    assert read_trajectories(Folder(str(tmp_path / "nowhere"))) == []


def test_a_large_part_is_whole_while_none_of_its_bytes_has_changed(tmp_path):
    table = pa.table({"noise": [random.Random(0).randbytes(9_000_000)]})
    name = Folder(str(tmp_path)).write_part("part-w", [table], table.schema)
    assert Folder(str(tmp_path)).is_whole(name)
    content = bytearray((tmp_path / name).read_bytes())
    content[100] ^= 1
    (tmp_path / name).write_bytes(content)
    assert not Folder(str(tmp_path)).is_whole(name)


def test_a_broken_part_stops_with_its_name(tmp_path):
    (tmp_path / "part-x.parquet").write_bytes(b"not parquet")
    with pytest.raises(DataError, match=r"part-x\.parquet: not a readable Parquet file"):
        read_trajectories(Folder(str(tmp_path)))


def test_nothing_half_written_is_visible(tmp_path):
    folder = Folder(str(tmp_path))
    (tmp_path / ".part-1.parquet.abc").write_bytes(b"torn")
    assert folder.names() == []


def test_other_inputs_in_an_old_folder_are_refused_by_field_name(tmp_path):
    folder = Folder(str(tmp_path / "t"))
    inputs = {"seed": 0, "teacher": {"sampling": {"temperature": 0.0}}}
    lock_inputs(folder, inputs, is_empty=True)
    lock_inputs(folder, inputs, is_empty=False)
    with pytest.raises(InputError, match=r"teacher\.sampling\.temperature: was 0\.0, now 0\.7"):
        lock_inputs(folder, {"seed": 0, "teacher": {"sampling": {"temperature": 0.7}}}, is_empty=False)


def test_a_folder_in_which_nothing_landed_takes_other_inputs(tmp_path):
    folder = Folder(str(tmp_path / "t"))
    lock_inputs(folder, {"model": "a typo"}, is_empty=True)
    lock_inputs(folder, {"model": "right"}, is_empty=True)
    assert folder.read_json("inputs.json") == {"model": "right"}


def test_a_remote_folder_has_no_local_path():
    folder = Folder("mock://bucket/run/trajectories")
    assert not folder.is_local
    with pytest.raises(InputError, match="needs a local or mounted folder"):
        _ = folder.local_path


def test_an_unknown_filesystem_is_a_clear_error():
    with pytest.raises(InputError, match="nosuch://x/y: not a folder that can be opened"):
        Folder("nosuch://x/y").names()
