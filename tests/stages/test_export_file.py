"""From a run folder to a file that others read: which rows, and that `datasets` reads the file and its card."""

import json
from dataclasses import replace

import pyarrow as pa
import pytest
from fakes import finished_trajectory

from fireact_ray.core.errors import DataError, InputError
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.rows import EXAMPLE_SCHEMA
from fireact_ray.core.storage.trajectories import write_trajectories
from fireact_ray.data.formats.exporters import FORMATS
from fireact_ray.data.formats.importers import import_trajectories
from fireact_ray.stages.export_file import export, read_dataset

pytestmark = pytest.mark.slow

MANIFEST = {"tokens": 9, "trained_tokens": 3, "renderer": "plain", "renderer_fingerprint": "p-1", "fingerprint": "f"}


@pytest.fixture
def run(tmp_path) -> Folder:
    """Four trajectories; convert has selected b and d."""
    folder = Folder(str(tmp_path / "run"))
    rows = [finished_trajectory(key, cost_usd=0.5) for key in "abcd"]
    rows = [replace(row, steps=row.steps[1:]) for row in rows]
    write_trajectories(folder / "trajectories", rows, "w")
    examples = [{"trajectory_id": key, "input_ids": [1, 2, 3], "loss_mask": [0, 0, 1]} for key in "bd"]
    dataset = folder / "dataset"
    dataset.write_table("part-000.parquet", pa.Table.from_pylist(examples, schema=EXAMPLE_SCHEMA))
    dataset.write_json("drops.json", {"n_in": 4, "n_kept": 2, "dropped": {"wrong_answer": 2}})
    dataset.write_json("manifest.json", MANIFEST)
    folder.write("recipe.yaml", "name: lakes\n")
    return folder


@pytest.mark.parametrize("name", FORMATS)
def test_the_rows_that_convert_selected_are_exported_and_counted(name, run, tmp_path):
    exported = export(run.uri, name, str(tmp_path / "out"))
    assert exported == (f"{tmp_path}/out/{FORMATS[name].file}", 2, 4)
    rows = import_trajectories(exported.file).trajectories
    assert [row.answer for row in rows] == ["Ila Dun", "Ila Dun"]
    card = (tmp_path / "out" / "README.md").read_text()
    assert "2 trajectories of agents" in card
    assert f"- file: `{FORMATS[name].file}`" in card


def test_a_dataset_folder_stands_for_its_run(run, tmp_path):
    export(f"{run.uri}/dataset/", "parquet", str(tmp_path / "out"))
    rows = import_trajectories(tmp_path / "out" / "trajectories.parquet").trajectories
    assert [row.trajectory_id for row in rows] == ["b", "d"]


def test_what_was_left_out_is_paid_for_too(run):
    kept, dataset = read_dataset(run.uri)
    assert [row.trajectory_id for row in kept] == ["b", "d"]
    assert (dataset.paid_usd, dataset.rows["cost_usd"].to_pylist()) == (2.0, [0.5, 0.5])
    assert (dataset.name, dataset.rows["length"].to_pylist()) == ("lakes", [3, 3])


@pytest.mark.parametrize("name", ["alpaca", "sharegpt"])
def test_llama_factory_is_told_of_the_file_and_its_columns(name, run, tmp_path):
    export(run.uri, name, str(tmp_path))
    (entry,) = json.loads((tmp_path / "dataset_info.json").read_text()).items()
    row = json.loads((tmp_path / FORMATS[name].file).read_text())[0]
    assert (entry[0], entry[1]["file_name"]) == ("lakes", FORMATS[name].file)
    assert set(entry[1]["columns"].values()) == set(row)


def test_a_readme_of_others_is_kept_and_nothing_is_written_beside_it(run, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "README.md").write_text("# my project\n")
    with pytest.raises(InputError, match=r"README\.md there: not written by an export"):
        export(run.uri, "alpaca", str(tmp_path / "mine"))
    assert [file.name for file in (tmp_path / "mine").iterdir()] == ["README.md"]


def test_exports_of_several_formats_share_a_folder_and_are_written_again(run, tmp_path):
    for name in ("alpaca", "sharegpt", "chat", "alpaca"):
        export(run.uri, name, str(tmp_path / "out"))
    (tmp_path / "out" / "README.md").write_text("edited")
    with pytest.raises(InputError, match=r"README\.md there: not written by an export, or edited since"):
        export(run.uri, "alpaca", str(tmp_path / "out"))


def test_an_unknown_format_and_a_run_without_a_dataset_are_refused_and_nothing_is_written(run, tmp_path):
    with pytest.raises(InputError, match=r"unknown format 'json'\. Known: alpaca, chat, tools, sharegpt, parquet"):
        export(run.uri, "json", str(tmp_path / "out"))
    (tmp_path / "run" / "dataset" / "manifest.json").unlink()
    with pytest.raises(InputError, match="give the folder of a run in which `fireact convert`"):
        export(run.uri, "chat", str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_a_row_whose_trajectory_is_gone_stops_the_export(run, tmp_path):
    (part,) = (tmp_path / "run" / "trajectories").glob("*.parquet")
    part.unlink()
    write_trajectories(run / "trajectories", [finished_trajectory("b")], "w")
    with pytest.raises(DataError, match="1 of 2 rows of the dataset have no trajectory"):
        export(run.uri, "chat", str(tmp_path / "out"))
