import json
from pathlib import Path

import pytest

from fireact_ray.core.errors import DataError
from fireact_ray.training.mapped.loading import load_dataset

pytestmark = pytest.mark.torch


def test_rows_come_back_in_the_order_of_their_ids(tmp_path: Path, write_dataset):
    write_dataset(tmp_path, [("b", [5, 6, 7], [0, 1, 1]), ("a", [8, 9], [0, 1])])
    data = load_dataset(tmp_path)
    assert [(row.trajectory_id, row.input_ids.tolist(), row.n_trained) for row in data.rows] == [
        ("a", [8, 9], 1),
        ("b", [5, 6, 7], 2),
    ]
    assert (data.renderer, data.renderer_fingerprint) == ("plain", "f00d")


def test_how_rows_are_spread_over_files_changes_nothing(tmp_path: Path, write_dataset, counting_rows):
    rows = counting_rows(6)
    one = load_dataset(write_dataset(tmp_path / "one", rows))
    two = write_dataset(tmp_path / "two", rows[3:])
    (two / "part-000.parquet").rename(two / "part-001.parquet")
    assert load_dataset(write_dataset(two, rows[:3])).fingerprint == one.fingerprint


def test_a_changed_mask_changes_the_fingerprint(tmp_path: Path, write_dataset):
    one = load_dataset(write_dataset(tmp_path / "one", [("a", [5, 6, 7], [0, 1, 1])]))
    two = load_dataset(write_dataset(tmp_path / "two", [("a", [5, 6, 7], [0, 0, 1])]))
    assert one.fingerprint != two.fingerprint


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("x", [5, 6, 7], [0, 1]), "row x has 3 ids, but 2 mask values"),
        (("x", [5, 6], [0, 0]), "row x has no trained token"),
        (("x", [5, 6], [1, 0]), "row x has no trained token"),  # nothing predicts a first token
        (("x", [5, 6], [0, 2]), "row x has mask values other than 0 and 1"),
    ],
)
def test_a_row_that_cannot_be_trained_stops_the_run(tmp_path: Path, write_dataset, row, message: str):
    write_dataset(tmp_path, [("good", [5, 6], [0, 1]), row])
    with pytest.raises(DataError, match=message):
        load_dataset(tmp_path)


def test_an_empty_dataset_is_refused(tmp_path: Path, write_dataset):
    write_dataset(tmp_path, [])
    with pytest.raises(DataError, match="no rows in 1 Parquet files"):
        load_dataset(tmp_path)


def test_a_dataset_without_its_manifest_counts_as_unfinished(tmp_path: Path, write_dataset, counting_rows):
    write_dataset(tmp_path, counting_rows(2))
    (tmp_path / "manifest.json").unlink()
    with pytest.raises(DataError, match=r"no manifest\.json"):
        load_dataset(tmp_path)


ROWS = [("b", [5, 6, 7], [0, 1, 1]), ("a", [8, 9], [0, 1])]
MANIFEST = {"renderer": "plain", "renderer_fingerprint": "f00d"}


@pytest.mark.parametrize("named", ["7fd877c0e16fffd7", "4a9225d93793217b"], ids=["this version's", "an earlier one's"])
def test_the_fingerprint_of_the_manifest_is_that_of_the_rows(tmp_path: Path, write_dataset, named: str):
    write_dataset(tmp_path, ROWS)
    (tmp_path / "manifest.json").write_text(json.dumps({**MANIFEST, "fingerprint": named}))
    assert load_dataset(tmp_path).fingerprint == "7fd877c0e16fffd7"


def test_rows_that_the_manifest_does_not_name_stop_the_run(tmp_path: Path, write_dataset):
    write_dataset(tmp_path, ROWS[:1])
    (tmp_path / "manifest.json").write_text(json.dumps({**MANIFEST, "fingerprint": "7fd877c0e16fffd7"}))
    with pytest.raises(DataError, match=r"not those that its manifest\.json names: .* not 7fd877c0e16fffd7"):
        load_dataset(tmp_path)
