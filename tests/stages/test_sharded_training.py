"""Two workers of Ray Train that share one model, one of whom is told to end, or is killed."""

import asyncio
import json
import os
import shutil
import signal
import threading
from pathlib import Path

import pytest
from commands import training_workers, until
from plain_run import generate_here
from safetensors.torch import load_file
from weights import LOST, apart

from fireact_ray.agent.models.base import Sampling
from fireact_ray.core.errors import TrainingError
from fireact_ray.core.types import Turn
from fireact_ray.demo.teacher.server import ScriptedTeacher
from fireact_ray.recipe.schema import Recipe
from fireact_ray.recipe.student import local_student, open_student, student_dir
from fireact_ray.recipe.training import AgentEvaluation
from fireact_ray.recipe.workers import WorkerRange
from fireact_ray.stages import train as train_stage
from fireact_ray.stages.convert import convert
from fireact_ray.stages.train import train, train_config
from fireact_ray.training.config import LoraConfig
from fireact_ray.training.loop import train as train_here
from fireact_ray.training.progress.entries import read_log

from .conftest import reported, small_recipe

pytestmark = [pytest.mark.ray, pytest.mark.torch]

SETTINGS = ["train.epochs=2", "train.global_batch_size=4", "train.checkpoint_every_steps=2", "train.precision=fp32"]


@pytest.fixture(scope="module")
def converted(tmp_path_factory, local_ray) -> Recipe:
    """A run that has a dataset."""
    with ScriptedTeacher() as teacher:
        recipe = small_recipe(tmp_path_factory.mktemp("runs"), teacher, *SETTINGS, "train.held_out=0.2")
        generate_here(recipe)
    convert(recipe)
    return recipe


SHARED = {
    "workers": WorkerRange(min=2, max=2),
    "tuning": "lora",
    "lora": LoraConfig(dropout=0.0),
    "threads_per_worker": 1,
}


def of_two_workers(converted: Recipe, **settings) -> Recipe:
    return converted.model_copy(update={"train": converted.train.model_copy(update={**SHARED, **settings})})


@pytest.fixture(scope="module")
def alone(converted, tmp_path_factory) -> dict:
    """The weights of the same training by one process that nobody ends."""
    model = tmp_path_factory.mktemp("alone") / "model"
    config = train_config(of_two_workers(converted)).changed(sharding="ddp")
    train_here(config, Path(converted.run_dir) / "dataset", model)
    return load_file(model / "adapter_model.safetensors")


async def tokens_of_a_reply(recipe: Recipe) -> int:
    """By what `fireact serve` opens: the model's folder, with the renderer that it was trained with."""
    student = open_student(student_dir(recipe, "finetuned"), local_student(recipe), on_gpu=False)
    reply = await student.complete([Turn("user", "Question: Who?")], Sampling(max_new_tokens=3))
    await student.close()
    return reply.usage.completion_tokens


def test_workers_that_end_without_a_model_are_an_error(converted, tmp_path, monkeypatch):
    """Such as those that took no step."""
    monkeypatch.setattr(train_stage, "fit", lambda *arguments: None)
    recipe = converted.model_copy(update={"output_dir": str(tmp_path)})
    shutil.copytree(Path(converted.run_dir) / "dataset", Path(recipe.run_dir) / "dataset")
    with pytest.raises(TrainingError, match="the workers ended without a model") as error:
        train(recipe)
    assert error.value.exit_code == 1


@pytest.mark.parametrize(
    ("sharding", "sent", "parts"),
    [
        ("fsdp2", signal.SIGTERM, [f"shard-0000{worker}-model-00001-of-00001.safetensors" for worker in (1, 2)]),
        ("zero3", signal.SIGKILL, [f"zero3-0000{worker}-of-00002.pt" for worker in (0, 1)]),
    ],
)
def test_two_workers_share_one_model_and_go_on_when_one_of_them_has_to_end(
    converted, alone, tmp_path, caplog, sharding, sent, parts
):
    asked = AgentEvaluation(every_steps=4, n_questions=2) if sharding == "fsdp2" else None
    recipe = of_two_workers(converted, sharding=sharding, evaluate_agent=asked)
    recipe = recipe.model_copy(update={"output_dir": str(tmp_path)})
    run = Path(recipe.run_dir)
    shutil.copytree(Path(converted.run_dir) / "dataset", run / "dataset")
    told: list[int] = []

    def tell_one() -> None:
        until(lambda: bool(reported(recipe) and training_workers()), 240)
        told.extend(training_workers()[-1:])
        os.kill(told[0], sent)

    teller = threading.Thread(target=tell_one)
    teller.start()
    with caplog.at_level("WARNING", "fireact_ray"):
        train(recipe)
    teller.join()
    begun_again = [line for line in caplog.messages if "begins again from" in line]
    assert told
    assert len(begun_again) == 1
    assert begun_again[0].endswith(", workers: 2")
    log = [entry["step"] for entry in read_log(run / "checkpoints" / "log.jsonl")]
    assert log[-1] == json.loads((run / "model" / "fireact.json").read_text())["steps"]
    lines = map(json.loads, (run / "checkpoints" / "log.jsonl").read_text().splitlines())
    asked_of = [line for line in lines if "agent_step" in line]
    assert {(each["agent_questions"], each["agent_step"] % 4) for each in asked_of} == ({(2, 0)} if asked else set())
    newest = run / "checkpoints" / reported(recipe)[-1]
    files = json.loads((newest / "checkpoint.json").read_text())["files"]
    assert sorted(files) == parts
    assert all((newest / name).is_file() for name in files)
    assert asyncio.run(tokens_of_a_reply(recipe)) == 3
    ours = load_file(run / "model" / "adapter_model.safetensors")
    assert apart(ours, alone) < LOST
