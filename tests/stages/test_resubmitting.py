"""A job that is submitted again, a folder that was moved: names and contents count, places do not."""

import json
import shutil

import pyarrow as pa
import pytest
from fakes import finished_trajectory

from fireact_ray.core.errors import InputError
from fireact_ray.core.paths import NANO_DIR
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.rows import EXAMPLE_SCHEMA
from fireact_ray.core.storage.trajectories import write_trajectories
from fireact_ray.recipe.loader import load_recipe
from fireact_ray.stages.convert import convert
from fireact_ray.stages.forecast import forecast_costs
from fireact_ray.stages.train import train, train_config
from fireact_ray.training.base import base_fingerprint, find_base

pytestmark = pytest.mark.torch

NANO_IN_A_JOB = (
    "/tmp/ray/session_1/runtime_resources/working_dir_files/_ray_pkg_ab12/fireact_ray/nano/model"  # where it was
)


def recipe_at(place, *overrides):
    return load_recipe("demo", [f"output_dir={place}/runs", "convert.kinds=null", *overrides])


def trained_by_an_earlier_version(place) -> Folder:
    """What matters here of a run folder in which a job has trained."""
    recipe = recipe_at(place)
    run = Folder(recipe.run_dir)
    (run / "dataset").write_json("manifest.json", {"fingerprint": "f"})
    (run / "model").write_json("fireact.json", {})
    free = {"checkpoint_every_steps": 2, "micro_batch_tokens": 8192, "pack_tokens": None}  # it remembered these, too
    config = {**train_config(recipe).shaping(), **free, "base_model": NANO_IN_A_JOB}
    (run / "checkpoints").write_json("inputs.json", {"train": config, "dataset": "f"})
    return run


def test_a_model_that_an_earlier_job_trained_is_found_done(tmp_path):
    run = trained_by_an_earlier_version(tmp_path)
    assert train(recipe_at(tmp_path)) == run / "model"
    known = (run / "checkpoints").read_json("inputs.json")["train"]["base_model"]
    assert known == {"name": "nano", "fingerprint": base_fingerprint(NANO_DIR)}
    assert train(recipe_at(tmp_path)) == run / "model"


ROWS = [("b", [5, 6, 7], [0, 1, 1]), ("a", [8, 9], [0, 1])]
CONVERTED_AGAIN = {"renderer": "plain", "renderer_fingerprint": "f00d", "fingerprint": "7fd877c0e16fffd7"}


def converted_again(run: Folder, keys: str, rows: str) -> None:
    """The dataset has this version's fingerprint; inputs and model hold the two numbers of an earlier one."""
    columns = [{"trajectory_id": k, "input_ids": ids, "loss_mask": m, "length": len(m)} for k, ids, m in ROWS]
    (run / "dataset").write_table("part-000.parquet", pa.Table.from_pylist(columns, schema=EXAMPLE_SCHEMA))
    (run / "dataset").write_json("manifest.json", CONVERTED_AGAIN)
    (run / "model").write_json("fireact.json", {"dataset_fingerprint": rows})
    inputs = (run / "checkpoints").read_json("inputs.json")
    (run / "checkpoints").write_json("inputs.json", {**inputs, "dataset": keys})


@pytest.mark.parametrize("rows", ["1e4356e03ae8073e", "7fd877c0e16fffd7"], ids=["ended then", "ended by this version"])
def test_a_training_that_an_earlier_version_began_on_the_same_rows_is_found_done(tmp_path, rows):
    run = trained_by_an_earlier_version(tmp_path)
    converted_again(run, "4a9225d93793217b", rows)
    assert train(recipe_at(tmp_path)) == run / "model"
    assert train(recipe_at(tmp_path)) == run / "model"


@pytest.mark.parametrize(("keys", "rows"), [("other", "1e4356e03ae8073e"), ("4a9225d93793217b", "other")])
def test_a_model_that_an_earlier_version_trained_on_other_rows_is_refused(tmp_path, keys, rows):
    converted_again(trained_by_an_earlier_version(tmp_path), keys, rows)
    with pytest.raises(InputError, match=f"dataset: was '{keys}', now '7fd877c0e16fffd7'"):
        train(recipe_at(tmp_path))


def test_a_model_of_the_same_name_and_other_content_is_refused(tmp_path):
    run = trained_by_an_earlier_version(tmp_path)
    train(recipe_at(tmp_path))
    other = shutil.copytree(NANO_DIR, tmp_path / "nano")
    (other / "config.json").write_text(json.dumps({**json.loads((other / "config.json").read_text()), "x": 1}))
    with pytest.raises(InputError, match=r"train\.base_model: was 'nano' \(content \w+\), now 'nano' \(content \w+\)"):
        train(recipe_at(tmp_path, f"student.base_model={other}"))
    assert run.names() == []


def test_the_base_of_an_adapter_that_an_earlier_job_trained_is_found_in_this_package():
    assert find_base(NANO_IN_A_JOB) == find_base("nano") == NANO_DIR


def test_workers_are_told_names_not_places():
    assert train_config(recipe_at("/x")).base_model == "nano"


def test_a_run_folder_that_was_moved_is_not_tokenized_again(tmp_path):
    first = recipe_at(tmp_path / "one")
    row = finished_trajectory(steps=finished_trajectory().steps[1:])
    write_trajectories(Folder(first.run_dir) / "trajectories", [row], "w")
    made = convert(first)
    before = (made.local_path / "part-000.parquet").stat().st_mtime_ns
    (tmp_path / "one").rename(tmp_path / "two")
    again = convert(recipe_at(tmp_path / "two", "train.epochs=9", "ray.num_cpus=1"))
    assert (again.local_path / "part-000.parquet").stat().st_mtime_ns == before
    assert str(tmp_path) not in again.read("README.md").decode(), "what is published tells nobody's folders"


def test_questions_and_corpus_may_move_but_not_change(tmp_path):
    def planned_from(place):
        files = f"task={{name: jsonl, path: {place}/q.jsonl}}", f"search.backend.corpus={place}/c.jsonl"
        teacher = "teacher.model={kind: openai, name: m, base_url: 'http://127.0.0.1:9/v1', api_key_env: null}"
        return forecast_costs(recipe_at(tmp_path, *files, teacher, "teacher.methods=[react]"), 0)

    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    (one / "q.jsonl").write_text('{"id": "q1", "question": "Who?", "answer": "She"}\n')
    (one / "c.jsonl").write_text('{"title": "t", "text": "She did."}\n')
    write_trajectories(Folder(recipe_at(tmp_path).run_dir) / "trajectories", [finished_trajectory()], "w")
    planned_from(one)
    one.rename(two)
    planned_from(two)
    (two / "c.jsonl").write_text('{"title": "t", "text": "He did."}\n')
    with pytest.raises(InputError, match=r"search\.backend\.corpus: was 'c.jsonl' \(content"):
        planned_from(two)


def test_a_run_remembers_its_training_by_the_names_that_older_folders_hold():
    assert sorted(train_config(load_recipe("demo")).shaping()) == [
        *("base_model", "epochs", "global_batch_size", "learning_rate", "lora_alpha", "lora_dropout", "lora_rank"),
        *("lora_target_modules", "max_grad_norm", "precision", "seed", "sharding", "tuning", "warmup_ratio"),
        "weight_decay",
    ]
