"""Exports as Hugging Face's `datasets` loads them: the folder by its card, the Parquet as it is."""

import json

import pyarrow as pa
import pytest
from fakes import finished_trajectory

from fireact_ray.core.storage.rows import from_row, to_table
from fireact_ray.data.dataset.card import Dataset, dataset_card, lint_training_rows
from fireact_ray.data.formats.exporters import FORMATS

pytestmark = pytest.mark.torch  # datasets loads torch where it finds it

WHOLE = finished_trajectory("a", cost_usd=0.25)
ROW = finished_trajectory("a", cost_usd=0.25, steps=WHOLE.steps[1:])
MANIFEST = {"tokens": 9, "trained_tokens": 3, "renderer": "plain", "renderer_fingerprint": "p-1", "fingerprint": "f"}


@pytest.fixture
def load(tmp_path):
    datasets = pytest.importorskip("datasets")
    cache = str(tmp_path / "cache")
    return lambda *args, **kwargs: datasets.load_dataset(*args, split="train", cache_dir=cache, **kwargs)


def write(name: str, folder) -> None:
    folder.mkdir()
    drops = {"n_in": 1, "n_kept": 1, "dropped": {}}
    rows = to_table([ROW]).append_column("length", pa.array([9]))
    dataset = Dataset("lakes", rows, 0.25, drops, MANIFEST, lint_training_rows([ROW]), "name: lakes\n")
    (folder / FORMATS[name].file).write_bytes(FORMATS[name].encode([ROW]))
    (folder / "README.md").write_text(dataset_card(dataset, FORMATS[name]))
    (folder / "dataset_info.json").write_text(json.dumps({"lakes": FORMATS[name].info}))


def test_our_parquet_is_loaded_as_it_is(load, tmp_path):
    write("parquet", tmp_path / "x")
    (row,) = load("parquet", data_files=str(tmp_path / "x" / "trajectories.parquet"))
    assert from_row(row) == ROW


@pytest.mark.parametrize("name", FORMATS)
def test_a_folder_is_loaded_by_its_card(name, load, tmp_path):
    write(name, tmp_path / "x")
    (row,) = load(str(tmp_path / "x"))
    text = json.dumps(row)
    assert "Who wrote The Road to Zem?" in text
    assert "Ila Dun" in text
