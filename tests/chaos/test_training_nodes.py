"""Nodes leave and come in the middle of a training that may run on one or two workers, and its disk is full."""

import json
import os
import shutil
import signal
import sys
from pathlib import Path

import pytest
from commands import Command, started_here, until
from safetensors.torch import load_file

from fireact_ray.demo.teacher.server import ScriptedTeacher
from fireact_ray.recipe.loader import load_recipe, to_yaml
from fireact_ray.recipe.schema import Recipe
from fireact_ray.stages.convert import convert
from fireact_ray.stages.generate import generate
from fireact_ray.stages.train import train_config
from fireact_ray.training.loop import train as train_here

from .conftest import FULL
from .nodes import ENV, cluster

pytestmark = [
    pytest.mark.chaos,
    pytest.mark.ray,
    pytest.mark.torch,
    pytest.mark.skipif(not FULL, reason="takes minutes: every change of the workers imports torch again"),
]

OFTEN = "import fireact_ray.stages.ray_training as r; r._LOOK_FOR_NODES_S = 5.0; "
TRAIN = [sys.executable, "-c", f"{OFTEN}from fireact_ray.cli.app import main; main()"]


@pytest.fixture(scope="module")
def converted(tmp_path_factory, local_ray) -> Recipe:
    """A run folder with a dataset, to be copied."""
    folder = tmp_path_factory.mktemp("runs")
    with ScriptedTeacher() as teacher:
        model = f"{{kind: openai, name: {teacher.model_name}, base_url: '{teacher.base_url}', api_key_env: null}}"
        recipe = load_recipe(
            "demo",
            [
                f"output_dir={folder}",
                "generate={split: train, n_questions: 24, workers: 1, concurrency: 16}",
                f"teacher.model={model}",
                "train.global_batch_size=4",
                "train.precision=fp32",
            ],
        )
        generate(recipe)
    convert(recipe)
    return recipe


def placed(recipe: Recipe, folder: Path, **train) -> Recipe:
    """The same at another place, to be trained otherwise."""
    shutil.copytree(recipe.run_dir, folder / recipe.name)
    section = recipe.train.model_validate({**recipe.train.model_dump(), **train})
    return recipe.model_copy(update={"output_dir": str(folder), "train": section})


def n_lines(file: Path) -> int:
    return file.read_text().count("\n")


def test_a_training_goes_on_with_one_node_less_with_one_more_and_after_a_sigterm(chaos, converted, tmp_path):
    recipe = placed(converted, tmp_path, workers={"min": 1, "max": 2}, epochs=40, checkpoint_every_steps=2)
    (tmp_path / "recipe.yaml").write_text(to_yaml(recipe))
    log = tmp_path / recipe.name / "checkpoints" / "log.jsonl"
    with cluster(2) as (address, change):
        ray = f"ray={{address: '{address}'}}"
        command = Command([*TRAIN, "train", str(tmp_path / "recipe.yaml"), "--set", ray], tmp_path, ENV)
        try:
            assert until(lambda: command.ended or (log.exists() and log.stat().st_size > 0), 240), command.said
            assert change("lose") == 1
            assert until(lambda: command.ended or "workers: 1" in command.said, 240), command.said
            change("add")
            assert until(lambda: command.ended or "workers: 2" in command.said, 240), command.said
            n_events = n_lines(log)
            assert until(lambda: command.ended or n_lines(log) > n_events, 240), command.said
            a_worker = next(process for process in started_here() if "RayTrainWorker" in process.title)
            os.kill(a_worker.pid, signal.SIGTERM)
            assert until(lambda: command.ended or command.said.count("begins again") == 3, 240), command.said
            assert command.wait(600) == 0, command.said
        finally:
            command.kill()
    alone: list[dict] = []
    train_here(
        train_config(recipe), tmp_path / recipe.name / "dataset", tmp_path / "uninterrupted", on_log=alone.append
    )
    ours, uninterrupted = (
        load_file(folder / "model.safetensors")
        for folder in (tmp_path / recipe.name / "model", tmp_path / "uninterrupted")
    )
    furthest = max(float((ours[key] - uninterrupted[key]).abs().max()) for key in ours)
    # Over so many steps AdamW makes much of the order of sums: two workers that nothing happens to end 5.5e-3 from one.
    assert furthest < 1e-2
    last = json.loads(log.read_text().splitlines()[-1])
    assert (last["step"], last["loss"]) == (alone[-1]["step"], pytest.approx(alone[-1]["loss"], rel=0.05))
    chaos.note(f"2, 1, 2 workers in {last['step']} steps: weights differ by {furthest:.1e} from those of one process")


def test_a_full_disk_ends_a_training_in_one_sentence(
    chaos,
    converted,
    tmp_path,
    small_disk,
    local_ray,
):
    recipe = placed(converted, small_disk, workers=1, epochs=2, checkpoint_every_steps=1)
    (tmp_path / "recipe.yaml").write_text(to_yaml(recipe))
    filler = small_disk / "filler"
    filler.write_bytes(bytes(shutil.disk_usage(small_disk).free - 64 * 1024))
    command = Command([*TRAIN, "train", str(tmp_path / "recipe.yaml")], tmp_path, {})
    assert command.wait(240) == 1, command.said
    said = command.said.rstrip().splitlines()[-1]
    assert "No space left on device" in said
    assert f"{small_disk}/{recipe.name}/checkpoints" in said
    assert "Traceback" not in command.said
    chaos.note(said)


def test_a_second_interrupt_ends_a_training_at_once_and_leaves_no_process(chaos, converted, tmp_path):
    recipe = placed(converted, tmp_path, workers=1, epochs=100, checkpoint_every_steps=0)
    (tmp_path / "recipe.yaml").write_text(to_yaml(recipe))
    log = tmp_path / recipe.name / "checkpoints" / "log.jsonl"
    command = Command([*TRAIN, "train", str(tmp_path / "recipe.yaml")], tmp_path, {"RAY_ADDRESS": ""})
    try:
        assert until(lambda: command.ended or (log.exists() and log.stat().st_size > 0), 240), command.said
        command.interrupt()
        assert until(lambda: command.ended or "Once more ends it at once" in command.said, 20), command.said
        command.interrupt()
        assert command.wait(60) == 130, command.said
    finally:
        command.kill()
    assert "Traceback" not in command.said
    assert command.left_after(300) == []
