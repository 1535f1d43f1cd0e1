"""Import into a run folder: any of the formats, each row once."""

import json
from dataclasses import replace

import pytest
from fakes import finished_trajectory

from fireact_ray.core.storage.trajectories import read_trajectories
from fireact_ray.data.formats.exporters import FORMATS
from fireact_ray.recipe.loader import load_recipe
from fireact_ray.stages.import_file import import_file

WHOLE = finished_trajectory("a", cost_usd=0.25)
ROW = replace(WHOLE, steps=WHOLE.steps[1:])


@pytest.fixture
def recipe(tmp_path):
    return load_recipe("demo", [f"output_dir={tmp_path}/runs", "name=r"])


@pytest.mark.parametrize("name", FORMATS)
def test_an_export_is_imported_and_a_second_time_adds_nothing(name, recipe, tmp_path):
    file = tmp_path / FORMATS[name].file
    file.write_bytes(FORMATS[name].encode([ROW]))
    folder = import_file(recipe, file)
    assert import_file(recipe, file) == folder
    (row,) = read_trajectories(folder)
    assert (row.question.text, row.answer) == ("Who wrote The Road to Zem?", "Ila Dun")
    assert len(folder.names(".parquet")) == 1


def test_our_own_rows_keep_their_keys_and_their_task(recipe, tmp_path):
    (tmp_path / "x.parquet").write_bytes(FORMATS["parquet"].encode([ROW]))
    assert read_trajectories(import_file(recipe, tmp_path / "x.parquet")) == [ROW]
    assert ROW.question.task == "jsonl" != recipe.task.name


def test_a_row_of_ours_that_lacks_something_is_rejected_with_its_number(recipe, tmp_path):
    rows = [{"trajectory_id": "b", "steps": []}, {"messages": []}]
    whole = FORMATS["chat"].encode([ROW]).decode()
    (tmp_path / "x.jsonl").write_text("\n".join([*map(json.dumps, rows), whole]))
    rejected = import_file(recipe, tmp_path / "x.jsonl").read_json("rejections-x.json")
    assert [(row["row"], row["kind"]) for row in rejected] == [(1, "unparsable"), (2, "no_question")]
    assert "KeyError" in rejected[0]["detail"]


def test_an_import_says_what_it_did_not_read(recipe, tmp_path, caplog):
    row = {"instruction": "Who?", "input": "", "output": "Thought: Bo.\nAction: finish[Bo]", "history": [["a", "b"]]}
    (tmp_path / "x.jsonl").write_text(json.dumps(row))
    caplog.set_level("INFO")
    import_file(recipe, tmp_path / "x.jsonl")
    assert "import: 1 row holds `history`, which is not read" in caplog.messages


def test_an_import_keeps_the_task_of_each_row_and_says_of_how_many_it_is_not_known(recipe, tmp_path, caplog):
    output = "Thought: So.\nAction: finish[B]"
    choices = "Which floats?\nA. lead\nB. cork\nC. iron\nD. gold"
    rows = [{"instruction": text, "input": "", "output": output} for text in (choices, "Which vitamin is it?")]
    (tmp_path / "multitask.json").write_text(json.dumps(rows))
    caplog.set_level("INFO")
    folder = import_file(recipe, tmp_path / "multitask.json")
    assert sorted(row.question.task for row in read_trajectories(folder)) == ["almanac", "mmlu"]
    assert "import: tasks: almanac 1, mmlu 1" in caplog.messages
    assert "1 rows, of which neither they nor their file say the task, are kept as 'almanac'" in caplog.text
