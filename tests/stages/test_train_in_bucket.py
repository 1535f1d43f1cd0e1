"""The command itself trains on two nodes of a cluster. They share no cache with each other or with the driver, and the
run folder lies in a bucket."""

import os
import re
import signal
import sys
from pathlib import Path

import pytest
from commands import Command, training_workers, until
from object_store import Store, object_store
from plain_run import generate_here
from safetensors.torch import load, load_file
from weights import LOST, apart

from fireact_ray.core.json_text import parse
from fireact_ray.demo.teacher.server import ScriptedTeacher
from fireact_ray.recipe.loader import to_yaml
from fireact_ray.recipe.schema import Recipe
from fireact_ray.stages.convert import convert
from fireact_ray.stages.train import train_config
from fireact_ray.training.loop import train as train_here

from ..chaos.nodes import ENV, cluster
from .conftest import small_recipe

pytestmark = [pytest.mark.e2e, pytest.mark.torch]

CANARY = "a-canary-that-sings-78"
SETTINGS = [
    *("train.workers=2", "train.threads_per_worker=1", "train.sharding=ddp", "train.tuning=lora"),
    *("train.lora={dropout: 0.0}", "train.epochs=2", "train.global_batch_size=4", "train.checkpoint_every_steps=1"),
    *("train.precision=fp32", "train.trackers=[tensorboard]"),
]
# A worker's report waits until Ray Train's controller asks for it, every 2 s if not told otherwise: too long where each
# step is a checkpoint. The command that is to be killed between two of them may wait.
SOON = {"RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2"}
HOME = "runs/demo"
CARD = re.compile(rf"{HOME}/checkpoints/(checkpoint_[\d_.-]+)/checkpoint\.json")


@pytest.fixture
def converted(tmp_path) -> Recipe:
    """A run of this machine that has a dataset."""
    with ScriptedTeacher() as teacher:
        recipe = small_recipe(tmp_path / "runs", teacher, *SETTINGS)
        generate_here(recipe)
    convert(recipe)
    return recipe


@pytest.fixture
def store(converted):
    """The same run in a bucket."""
    with object_store() as found:
        found.bucket("data")
        for file in (Path(converted.run_dir) / "dataset").iterdir():
            found.client.upload_file(str(file), "data", f"{HOME}/dataset/{file.name}")
        yield found


def there(store: Store) -> list[str]:
    """The checkpoints in the bucket, oldest first."""
    return sorted(found[1] for key in store.keys("data") if (found := CARD.fullmatch(key)))


def known(store: Store) -> set[str]:
    """Those that Ray Train knows of."""
    key = f"{HOME}/checkpoints/checkpoint_manager_snapshot.json"
    if key not in store.keys("data"):
        return set()
    return set(
        re.findall(r"checkpoint_2[\d_.-]+", store.client.get_object(Bucket="data", Key=key)["Body"].read().decode())
    )


def test_a_training_of_two_nodes_goes_on_from_the_bucket_where_its_driver_was_killed_and_checkpoints_are_torn(
    converted, store, tmp_path
):
    recipe = converted.model_copy(update={"output_dir": "s3://data/runs"})
    (tmp_path / "recipe.yaml").write_text(to_yaml(recipe))
    given = {"AWS_ACCESS_KEY_ID": "a-name", "AWS_SECRET_ACCESS_KEY": CANARY, "AWS_ENDPOINT_URL": store.endpoint}
    with pytest.MonkeyPatch.context() as patched:
        for name, value in given.items():
            patched.setenv(name, value)
        with cluster(2, tmp_path / "nodes") as (address, _):
            train = [sys.executable, "-m", "fireact_ray.cli", "train", str(tmp_path / "recipe.yaml")]
            train += ["--set", f"ray={{address: '{address}'}}"]
            machines = (tmp_path / "first", tmp_path / "second")
            first = Command(train, tmp_path, {**ENV, "FIREACT_CACHE": str(machines[0])})
            try:
                assert until(lambda: first.ended or len(known(store)) > 1, 240, every_s=0.2), first.said
                assert not first.ended, first.said
                os.kill(first.pid, signal.SIGKILL)
            finally:
                first.kill()
            assert until(lambda: not training_workers(), 300), "workers go with their driver"
            begun, reported = there(store), known(store)
            for torn in begun[1:]:
                key = f"{HOME}/checkpoints/{torn}/state.pt"
                store.client.put_object(Bucket="data", Key=key, Body=b"of nobody")
            second = Command(train, tmp_path, {**ENV, **SOON, "FIREACT_CACHE": str(machines[1])})
            try:
                assert second.wait(300) == 0, second.said
            finally:
                second.kill()
    keys = store.keys("data")
    contents = {key: store.client.get_object(Bucket="data", Key=key)["Body"].read() for key in keys}
    said = first.said + second.said
    assert f"goes on from s3://data/{HOME}/checkpoints/{begun[0]}\n" in second.said, second.said
    aside = {key for key in keys if "/broken-" in key and key.endswith("/state.pt")}
    assert aside == {f"{HOME}/checkpoints/broken-{torn}/state.pt" for torn in begun[1:] if torn in reported}
    assert {contents[key] for key in aside} == {b"of nobody"}
    assert len(there(store)) == 2
    config = train_config(converted).model_copy(update={"checkpoint_every_steps": 0})  # which changes no weight
    train_here(config, Path(converted.run_dir) / "dataset", tmp_path / "alone")
    ours, alone = (
        load(contents[f"{HOME}/model/adapter_model.safetensors"]),
        load_file(tmp_path / "alone" / "adapter_model.safetensors"),
    )
    assert apart(ours, alone) < LOST
    steps = parse(contents[f"{HOME}/model/fireact.json"])["steps"]
    log = [parse(line)["step"] for line in contents[f"{HOME}/checkpoints/log.jsonl"].splitlines()]
    assert log[-1] == steps
    assert contents[f"{HOME}/model/loss.png"].startswith(b"\x89PNG")
    assert any("/checkpoints/tensorboard/" in key for key in keys)
    assert contents[f"{HOME}/lease.json"] == b"{}\n"
    assert CANARY not in said
    assert [key for key, content in contents.items() if CANARY.encode() in content] == []
    for machine in (*machines, tmp_path / "nodes" / "0", tmp_path / "nodes" / "1"):
        assert not list(machine.glob("passing/*")), "what was fetched to be read once is gone"
