"""Ctrl-C while `fireact run` trains, as a terminal sends it: to every process of the command."""

import sys

import pytest
from commands import Command, until

pytestmark = [pytest.mark.chaos, pytest.mark.ray, pytest.mark.torch]

SMALL = [
    "generate={split: train, n_questions: 12, workers: 1, concurrency: 16}",
    "train={workers: 1, checkpoint_every_steps: 1, precision: fp32, epochs: 50}",
]


def test_an_interrupted_training_says_how_to_go_on_and_leaves_no_process(tmp_path):
    settings = [f"--set={setting}" for setting in (f"output_dir={tmp_path}", *SMALL)]
    command = Command([sys.executable, "-m", "fireact_ray.cli", "run", "demo", *settings], tmp_path, {})
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
