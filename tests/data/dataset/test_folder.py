"""Prepared blocks in, the folder of a dataset out."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
from fakes import ByteTokenizer, finished_trajectory

from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.rows import EXAMPLE_SCHEMA, to_table
from fireact_ray.data.dataset import folder as dataset
from fireact_ray.data.dataset.folder import histograms, manifest, read_facts, write_rows
from fireact_ray.data.dataset.prepare import prepare, prepared_schema
from fireact_ray.data.selection.config import ConvertConfig
from fireact_ray.data.selection.selection import lines
from fireact_ray.rendering import make_renderer
from fireact_ray.training.mapped.loading import load_dataset


def block(*keys: str, dropped: str | None = None) -> pa.Table:
    rows = [
        {"trajectory_id": key, "dropped": dropped, "input_ids": [1, 2], "loss_mask": [0, 1], "length": 2 + i}
        for i, key in enumerate(keys)
    ]
    return pa.Table.from_pylist(rows, schema=prepared_schema())


def of(*tables: pa.Table):
    return [lambda table=table: table for table in tables]


def test_facts_are_everything_but_ids_and_masks():
    one, two = read_facts(of(block("a", "b"), block("c")))
    assert set(prepared_schema().names) - set(one.column_names) == {"input_ids", "loss_mask"}
    assert one["trajectory_id"].to_pylist() + two["trajectory_id"].to_pylist() == ["a", "b", "c"]


def test_rows_that_are_picked_are_written_in_order_in_parts_of_whole_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr(dataset, "_ROWS_PER_PART", 40)
    folder = Folder(str(tmp_path / "dataset"))
    folder.write("part-007.parquet", "of an older dataset")
    folder.write("manifest.json", "{}")
    tables = [block(f"{i:02d}a", f"{i:02d}b") for i in range(45)]
    write_rows(folder, of(*tables), [np.array([i % 2 == 0, True]) for i in range(45)])
    assert folder.names() == ["part-000.parquet", "part-001.parquet", "part-002.parquet"]
    parts = list(folder.read_tables())
    assert all(part.schema.equals(EXAMPLE_SCHEMA) for part in parts)
    keys = [key for part in parts for key in part["trajectory_id"].to_pylist()]
    assert keys == [f"{i:02d}{c}" for i in range(45) for c in ("ab" if i % 2 == 0 else "b")]
    assert parts[2]["input_ids"].to_pylist()[0] == [1, 2]


def test_lengths_are_counted_of_rows_in_the_dataset_and_of_those_that_are_too_long():
    kept, long = block("a", "b"), block("c", dropped="too_long")
    assert histograms(pa.concat_tables([kept, long, block("d", dropped="n")]), kept) == {
        "kept": {"64": 2},
        "too_long": {"64": 1},
    }


def test_the_manifest_names_the_fingerprint_that_training_finds_in_the_rows(tmp_path):
    renderer, config = make_renderer("plain", ByteTokenizer()), ConvertConfig()
    whole = finished_trajectory()
    rows = [replace(whole, trajectory_id=key, steps=whole.steps[1:]) for key in "cab"]
    tables = [prepare(to_table(part), lines(config), config, renderer) for part in (rows[:2], rows[2:])]
    folder = Folder(str(tmp_path))
    write_rows(folder, of(*tables), [np.array([True, True]), np.array([True])])
    folder.write_json("manifest.json", manifest(pa.concat_tables(read_facts(of(*tables))), renderer))
    data = load_dataset(tmp_path)
    assert data.fingerprint == folder.read_json("manifest.json")["fingerprint"]
    assert [row.trajectory_id for row in data.rows] == ["a", "b", "c"]
