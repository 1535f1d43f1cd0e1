"""The rows of a copy are those of the Parquet files: ids, masks, order, fingerprints."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fireact_ray.core.errors import DataError
from fireact_ray.core.storage.fingerprint import dataset_fingerprint, earlier_of_keys, earlier_of_rows, row_digest
from fireact_ray.training.batching import plan_steps
from fireact_ray.training.config import TrainConfig
from fireact_ray.training.mapped.loading import load_dataset

pytestmark = pytest.mark.torch

KEYS = st.text(st.characters(codec="utf-8"), max_size=4) | st.sampled_from(["a", "a\x00", "ab", "ä", "\U0001f525"])
IDS = st.lists(st.integers(0, 2**31 - 1), min_size=2, max_size=6)


@st.composite
def a_row(draw) -> tuple[str, list[int], list[int]]:
    ids = draw(IDS)
    return draw(KEYS), ids, [draw(st.integers(0, 1)), *([1] * (len(ids) - 1))]


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture], max_examples=40)
@given(rows=st.lists(a_row(), min_size=1, max_size=8), n_first=st.integers(0, 8))
def test_mapped_rows_are_those_in_memory(tmp_path: Path, write_dataset, rows, n_first: int):
    """In two files, of which one may be empty; also where keys, or keys and ids, are alike."""
    write_dataset(tmp_path, rows[n_first:])
    (tmp_path / "part-000.parquet").rename(tmp_path / "part-001.parquet")
    write_dataset(tmp_path, rows[:n_first])
    data = load_dataset(tmp_path)
    arrays = [(key, np.array(ids, np.int32), np.array(mask, np.int8)) for key, ids, mask in rows]
    arrays.sort(key=lambda row: (row[0], row[1].tobytes()))  # the order of versions that held all rows in memory
    found = [(row.trajectory_id, row.input_ids.tolist(), row.loss_mask.tolist()) for row in data.rows]
    assert found == [(key, ids.tolist(), mask.tolist()) for key, ids, mask in arrays]
    assert data.rows.sizes.lengths.tolist() == [len(ids) for _, ids, _ in arrays]
    assert data.rows.sizes.trained.tolist() == [row.n_trained for row in data.rows]
    assert data.rows.largest_id == max(max(ids) for _, ids, _ in rows)
    assert data.fingerprint == dataset_fingerprint((row_digest(*row) for row in arrays), "f00d")
    assert data.earlier_of_keys == earlier_of_keys((key for key, _, _ in arrays), "f00d")
    assert data.earlier_of_rows == earlier_of_rows(arrays, "f00d")


def test_order_and_numbers_are_those_of_the_version_that_held_all_rows_in_memory(
    tmp_path: Path, write_dataset, counting_rows
):
    """What that version gave for these rows: checkpoints and run folders remember it."""
    rows = counting_rows(11)
    data = load_dataset(write_dataset(tmp_path, [*rows[5:], *rows[:5]]))
    assert [row.trajectory_id for row in data.rows] == [f"t{i:03d}" for i in range(11)]
    assert data.fingerprint == "7d49905dc3556657"
    assert data.earlier_of_keys == "f708a0ce62cbda5b"
    assert data.earlier_of_rows == "3eeb27ee6fe6d241"
    config = TrainConfig(base_model="b", epochs=2, global_batch_size=4, seed=3)
    steps = plan_steps(data.rows.sizes, config)
    assert [sorted(i for batch in step.share.micro_batches for pack in batch for i in pack) for step in steps] == [
        [2, 3, 4, 5],
        [0, 1, 7, 9],
        [6, 8, 10],
        [4, 7, 8, 10],
        [0, 1, 3, 5],
        [2, 6, 9],
    ]


def test_a_key_that_is_missing_is_called_none_as_it_was(tmp_path: Path, write_dataset):
    write_dataset(tmp_path, [(None, [5, 6], [0, 1]), ("a", [8, 9], [0, 1])])
    assert [row.trajectory_id for row in load_dataset(tmp_path).rows] == ["None", "a"]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("x", [5, None], [0, 1]), "row x has a null among its input_ids"),
        (("x", [5, 6], [0, None]), "row x has a null in its loss_mask"),
        (("x", [5, -6], [0, 1]), "row x has a token id below 0"),
        (("x", [], []), "row x has no trained token"),
        (("x", [5, 6], None), "row x has no input_ids or no loss_mask"),
    ],
)
def test_a_row_with_a_hole_is_named(tmp_path: Path, write_dataset, row, message: str):
    write_dataset(tmp_path, [("good", [5, 6], [0, 1]), row, ("better", [5, 6, 7], [0, 1, 1])])
    with pytest.raises(DataError, match=rf"part-000\.parquet: {message}"):
        load_dataset(tmp_path)


def test_a_file_that_is_no_parquet_is_named(tmp_path: Path, write_dataset, counting_rows):
    write_dataset(tmp_path, counting_rows(2))
    (tmp_path / "part-001.parquet").write_bytes(b"torn")
    with pytest.raises(
        DataError, match=r"part-001\.parquet: cannot be read as a dataset's rows \(.*\)\. Convert again"
    ):
        load_dataset(tmp_path)


def test_a_manifest_of_other_rows_is_refused_also_where_they_are_copied_already(
    tmp_path: Path, write_dataset, counting_rows
):
    write_dataset(tmp_path, counting_rows(2))
    load_dataset(tmp_path)
    about = {"renderer": "plain", "renderer_fingerprint": "f00d", "fingerprint": "7fd877c0e16fffd7"}
    (tmp_path / "manifest.json").write_text(json.dumps(about))
    for _ in range(2):
        with pytest.raises(DataError, match=r"not those that its manifest\.json names"):
            load_dataset(tmp_path)
