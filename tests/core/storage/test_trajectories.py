from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fakes import finished_trajectory as trajectory

from fireact_ray.core.errors import DataError
from fireact_ray.core.storage.compaction import compactions_of
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.rows import TRAJECTORY_SCHEMA, to_row
from fireact_ray.core.storage.trajectories import (
    ROWS_PER_GROUP,
    finished_keys,
    read_trajectories,
    set_aside_broken,
    write_trajectories,
)
from fireact_ray.core.types import Trajectory, Usage
from fireact_ray.evaluation.episodes import episode_of, stored_episodes


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


def test_cached_tokens_are_kept_where_they_are_known_and_null_where_they_are_not(tmp_path):
    folder, known = Folder(str(tmp_path)), trajectory("a")
    steps = tuple(
        replace(step, usage=Usage(10, 5, cached)) for step, cached in zip(known.steps, (7, None), strict=False)
    )
    known = replace(known, steps=(*steps, *known.steps[2:]))
    write_trajectories(folder, [known, trajectory("b")], "w")
    assert read_trajectories(folder) == [known, trajectory("b")]
    assert (known.usage.cached_tokens, trajectory("b").usage.cached_tokens) == (7, None)
    assert "cached_tokens" not in str(trajectory("b").to_dict())  # what rows of providers that do not tell hold


def test_parts_of_versions_that_knew_no_cached_tokens_are_read_scored_and_compacted(tmp_path):
    folder = Folder(str(tmp_path))
    usage = pa.struct([("prompt_tokens", pa.int64()), ("completion_tokens", pa.int64())])
    step = TRAJECTORY_SCHEMA.field("steps").type.value_type
    before = pa.struct([pa.field(f.name, usage) if f.name == "usage" else f for f in step])
    schema = pa.schema([pa.field("steps", pa.list_(before)) if f.name == "steps" else f for f in TRAJECTORY_SCHEMA])
    table = pa.Table.from_pylist([to_row(trajectory("a"))], schema=schema)
    name = folder.write_part("part-old", [table], schema)
    assert read_trajectories(folder) == [trajectory("a")]
    assert list(stored_episodes(folder, name)) == [episode_of(trajectory("a"))]
    write_trajectories(folder, [trajectory("b")], "w")
    (merge,) = compactions_of(folder).made
    merged = merge.run()
    for old in folder.names(".parquet"):
        if old != merged:
            folder.delete(old)
    assert read_trajectories(folder) == [trajectory("a"), trajectory("b")]


def test_overhead_is_kept_and_parts_of_versions_without_it_are_read_scored_and_compacted(tmp_path):
    folder, timed = Folder(str(tmp_path)), replace(trajectory("b"), overhead_s=1.5)
    schema = pa.schema([field for field in TRAJECTORY_SCHEMA if field.name != "overhead_s"])
    folder.write_part("part-old", [pa.Table.from_pylist([to_row(trajectory("a"))], schema=schema)], schema)
    write_trajectories(folder, [timed], "w")
    assert [row.overhead_s for row in read_trajectories(folder)] == [None, 1.5]
    assert [one.overhead_s for name in folder.names(".parquet") for one in stored_episodes(folder, name)] == [None, 1.5]
    (merge,) = compactions_of(folder).made
    merged = merge.run()
    assert [one.overhead_s for one in stored_episodes(folder, merged)] == [None, 1.5]
    assert "overhead_s" not in trajectory("a").to_dict()
    assert Trajectory.from_dict(timed.to_dict()).overhead_s == 1.5
