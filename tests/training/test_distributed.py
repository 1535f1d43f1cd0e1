"""Two workers under torchrun against one process."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file

from fireact_ray.training.__main__ import main
from fireact_ray.training.loop import train

pytestmark = pytest.mark.torch


def torchrun(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    return subprocess.run(
        [*command, "-m", "fireact_ray.training", *arguments],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize(
    ("tuning", "changed"),
    [
        ("full", {"activation_checkpointing": 1}),
        ("full", {"attention": "sdpa", "pack_tokens": 40}),
        ("qlora", {}),
    ],
    ids=["layers computed again", "packs with masks", "four bits"],
)
def test_two_workers_take_the_steps_of_one(config, tmp_path: Path, write_dataset, counting_rows, tuning, changed):
    # Of 21 rows 17 are trained in steps of 8: in every third step, of one row, the second worker has none.
    data = write_dataset(tmp_path / "data", counting_rows(21))
    settings = {"tuning": tuning, "epochs": 2, "learning_rate": 5e-3, "global_batch_size": 8}
    settings |= {
        "lora_dropout": 0.0,
        "micro_batch_tokens": 40,
        "log_every_steps": 1,
        "checkpoint_every_steps": 4,
        "held_out": 0.2,
        "evaluate_every_steps": 4,
    }
    config = config.changed(**settings)
    settings |= changed  # which changes no step
    alone: list[dict] = []
    train(config, data, tmp_path / "alone", on_log=alone.append)

    arguments = ["--dataset", str(data), "--base-model", config.base_model, "--out", str(tmp_path / "two")]
    done = torchrun(*arguments, *(f"--set={name}={value}" for name, value in settings.items()))
    assert done.returncode == 0, done.stderr
    together = [json.loads(line[line.index("{") :]) for line in done.stderr.splitlines() if '"loss"' in line]
    assert [entry["step"] for entry in together] == [1, 2, 3, 4, 5, 6]
    assert [e["loss"] for e in together] == pytest.approx([e["loss"] for e in alone], rel=1e-5)
    held_out = [[entry.get("held_out_loss", 0.0) for entry in log] for log in (together, alone)]
    assert held_out[0] == pytest.approx(held_out[1], rel=1e-5)
    assert [loss > 1 for loss in held_out[1]] == [False, False, False, True, False, True]
    file = "model.safetensors" if tuning == "full" else "adapter_model.safetensors"
    two, one = (load_file(tmp_path / name / file) for name in ("two", "alone"))
    assert max(float((two[key] - one[key]).abs().max()) for key in one) < 1e-5
    # A checkpoint of two workers is one that a single process goes on from.
    resumed: list[dict] = []
    checkpoint = tmp_path / "two.checkpoints" / "step-00000004"
    train(config, data, tmp_path / "resumed", on_log=resumed.append, resume_from=checkpoint)
    assert [e["loss"] for e in resumed] == pytest.approx([e["loss"] for e in alone[4:]], rel=1e-5)


def test_a_user_error_ends_with_its_exit_code_and_a_message(tmp_path: Path, caplog):
    paths = ["--dataset", str(tmp_path), "--base-model", "x", "--out", str(tmp_path / "model")]
    assert main([*paths, "--set", "epochs"]) == 2
    assert caplog.messages == ["--set epochs: expected NAME=VALUE, as in --set learning_rate=1e-3."]
    assert main([*paths, "--set", "tuning=quora"]) == 1
