"""Ctrl-C while `fireact train` trains, as a terminal sends it: to every process of the command."""

import asyncio
import sys

import pytest
from commands import Command, until

from fireact_ray.core.storage.folder import Folder, write_trajectories
from fireact_ray.demo.teacher.server import ScriptedTeacher
from fireact_ray.recipe.loader import load_recipe
from fireact_ray.recipe.search import open_backend
from fireact_ray.recipe.teacher import TeacherAgents
from fireact_ray.stages.convert import convert
from fireact_ray.tasks import load_questions

pytestmark = [pytest.mark.chaos, pytest.mark.ray, pytest.mark.torch]

TRAIN = "train={workers: 1, checkpoint_every_steps: 1, precision: fp32, epochs: 50}"


def write_dataset(recipe) -> None:
    """Of twelve questions, asked in this process."""

    async def rollouts():
        agents = TeacherAgents(recipe)(open_backend(recipe.search))
        questions = load_questions("almanac", None, "train", 12)
        return [await agent.run(question) for question in questions for agent in agents.values()]

    write_trajectories(Folder(recipe.run_dir) / "trajectories", asyncio.run(rollouts()), label="0")
    convert(recipe)


def test_an_interrupted_training_says_how_to_go_on_and_leaves_no_process(tmp_path):
    settings = [f"output_dir={tmp_path}", TRAIN]
    with ScriptedTeacher() as teacher:
        model = f"{{kind: openai, name: {teacher.model_name}, base_url: '{teacher.base_url}', api_key_env: null}}"
        write_dataset(load_recipe("demo", [*settings, f"teacher.model={model}"]))
    arguments = ["train", "demo", *(f"--set={setting}" for setting in settings)]
    command = Command([sys.executable, "-m", "fireact_ray.cli", *arguments], tmp_path, {"RAY_ADDRESS": ""})
    snapshot = tmp_path / "demo" / "checkpoints" / "checkpoint_manager_snapshot.json"
    try:
        until(lambda: command.ended or snapshot.exists(), 240)
        command.interrupt()
        assert command.wait(300) == 130, command.said
        assert command.said.rstrip().endswith("run the same command again to go on.")
        assert "Traceback" not in command.said
    finally:
        command.kill()
        left = command.left_after(60)
    assert left == []
    assert snapshot.exists()
    assert not (tmp_path / "demo" / "model" / "fireact.json").exists()
