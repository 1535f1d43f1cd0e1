"""torchrun's command, by one process: what it leaves beside the checkpoints is what a run folder has there."""

import json
from pathlib import Path

import pytest

from fireact_ray.training.__main__ import main
from fireact_ray.training.progress.entries import read_log

pytestmark = pytest.mark.torch

SETTINGS = {"epochs": 2, "global_batch_size": 4, "log_every_steps": 1, "checkpoint_every_steps": 8, "lora_dropout": 0.0}


def test_each_entry_is_in_the_log_beside_the_checkpoints_and_the_curve_of_all_sessions_is_drawn(
    base_dir: Path, dataset_dir: Path, tmp_path: Path, caplog
):
    def run(*more: str) -> int:
        caplog.clear()
        settings = [f"--set={name}={value}" for name, value in SETTINGS.items()]
        paths = ["--dataset", str(dataset_dir), "--base-model", str(base_dir), "--out", str(tmp_path / "model")]
        with caplog.at_level("INFO", "fireact_ray.training"):
            return main([*paths, *settings, *more])

    checkpoints = tmp_path / "model.checkpoints"
    log = checkpoints / "log.jsonl"
    assert run() == 0
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert lines == [json.loads(message) for message in caplog.messages if message.startswith("{")]
    steps = [line["step"] for line in lines]
    assert steps == list(range(1, lines[0]["of"] + 1))
    curve = (checkpoints / "loss.png").read_bytes()
    assert curve.startswith(b"\x89PNG")
    assert (tmp_path / "model" / "loss.png").read_bytes() == curve
    assert "![loss by step](loss.png)" in (tmp_path / "model" / "README.md").read_text()

    # One that is refused leaves the log as it is, one that goes on adds to it, one that begins anew sets it aside.
    assert run("--set", "lora_rank=2", "--resume-from", str(checkpoints / "step-00000008")) == 1
    assert [json.loads(line) for line in log.read_text().splitlines()] == lines
    assert run("--resume-from", str(checkpoints / "step-00000008")) == 0
    again = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["step"] for line in again] == steps + steps[8:]
    assert [entry["step"] for entry in read_log(log)] == steps
    assert run("--set", "epochs=1") == 0
    assert [line["step"] for line in map(json.loads, log.read_text().splitlines())] == steps[: len(steps) // 2]
    assert [json.loads(line) for line in (checkpoints / "log-before.jsonl").read_text().splitlines()] == again
