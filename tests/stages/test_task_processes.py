import pytest
from object_store import object_store

from fireact_ray.core.errors import FireActError
from fireact_ray.core.storage import buckets
from fireact_ray.core.storage.folder import Folder
from fireact_ray.recipe.experiments.graph import Kind, Task
from fireact_ray.recipe.loader import load_recipe
from fireact_ray.stages.task_processes import TaskProcesses, at_once

pytestmark = pytest.mark.slow


def test_tasks_run_side_by_side_where_cpus_and_gpus_allow_it():
    on_cpu, on_gpu = load_recipe("demo"), load_recipe("hotpotqa", ["train.workers=2"])
    assert at_once({"CPU": 2.0}, [on_cpu]) == 1
    assert at_once({"CPU": 16.0}, [on_cpu]) == 4
    assert at_once({"CPU": 64.0, "GPU": 8.0}, [on_gpu]) == 4
    assert at_once({"CPU": 64.0}, [on_gpu]) == 1  # the stage says what is missing


def test_a_task_that_fails_says_why_and_where_all_of_it_is(tmp_path):
    recipe = load_recipe("demo", [f"output_dir={tmp_path}", "name=run"])
    with pytest.raises(FireActError, match=r"no trajectories there.*exit code 2; all of it in .*convert.log"):
        TaskProcesses("127.0.0.1:1").run(Task(Kind.CONVERT, recipe))
    assert "no trajectories there" in (tmp_path / "run" / "convert.log").read_text()


def test_what_a_task_said_of_a_run_in_a_bucket_is_there(monkeypatch, tmp_path):
    recipe = load_recipe("demo", ["output_dir=s3://data/runs", "name=run"])
    with object_store() as store:
        store.bucket("data")
        given = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_ENDPOINT_URL": store.endpoint}
        for name, value in {**given, "FIREACT_CACHE": str(tmp_path)}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(buckets, "_opened", {})
        with pytest.raises(FireActError, match=r"no trajectories there.*all of it in s3://data/runs/run/convert.log"):
            TaskProcesses("127.0.0.1:1").run(Task(Kind.CONVERT, recipe))
        assert b"no trajectories there" in Folder(recipe.run_dir).read("convert.log")
