"""Two workers, under torchrun and as forks, against one process."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file
from weights import apart

from fireact_ray.training.__main__ import main
from fireact_ray.training.config import TrainConfig
from fireact_ray.training.loop import train

from .sharding.trainings import done_by_forks

pytestmark = pytest.mark.torch


def torchrun(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    return subprocess.run(
        [*command, "-m", "fireact_ray.training", *arguments],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
    )


SETTINGS = {
    "precision": "fp32",
    "epochs": 2,
    "learning_rate": 5e-3,
    "global_batch_size": 8,
    "lora_dropout": 0.0,
    "micro_batch_tokens": 40,
    "log_every_steps": 1,
    "checkpoint_every_steps": 4,
    "held_out": 0.2,
    "evaluate_every_steps": 4,
}
CASES = {
    "layers computed again": {"tuning": "full", "activation_checkpointing": 1},
    "packs with masks": {"tuning": "full", "attention": "sdpa", "pack_tokens": 40},
    "four bits": {"tuning": "qlora"},
}
UNDER_TORCHRUN = "layers computed again"


@pytest.fixture(scope="module")
def place(tmp_path_factory, write_dataset, counting_rows) -> Path:
    # Of 21 rows 17 are trained in steps of 8: in every third step, of one row, the second worker has none.
    folder = tmp_path_factory.mktemp("two")
    write_dataset(folder / "data", counting_rows(21))
    return folder


@pytest.fixture(scope="module")
def together(place: Path, base_dir: Path) -> dict[str, list[dict]]:
    """The log of two workers, by the case, which is their model's folder, too. torchrun starts a torch for each worker,
    so the workers of the other cases are forks."""
    arguments = ["--dataset", str(place / "data"), "--base-model", str(base_dir), "--out", str(place / UNDER_TORCHRUN)]
    settings = SETTINGS | CASES[UNDER_TORCHRUN]
    done = torchrun(*arguments, *(f"--set={name}={value}" for name, value in settings.items()))
    assert done.returncode == 0, done.stderr
    log = place / f"{UNDER_TORCHRUN}.checkpoints" / "log.jsonl"  # by the first worker alone
    logs = {UNDER_TORCHRUN: [json.loads(line) for line in log.read_text().splitlines()]}
    others = [name for name in CASES if name != UNDER_TORCHRUN]
    jobs = [
        {"config": {"base_model": str(base_dir), **SETTINGS, **CASES[name]}, "dataset": str(place / "data")}
        | {"out": str(place / name)}
        for name in others
    ]
    (found,) = done_by_forks([{"workers": 2, "jobs": jobs}])
    return logs | {name: job["log"] for name, job in zip(others, found, strict=True)}


@pytest.mark.parametrize("case", CASES)
def test_two_workers_take_the_steps_of_one(case: str, together, place: Path, base_dir: Path, tmp_path: Path):
    config = TrainConfig.from_dict({"base_model": str(base_dir), **SETTINGS, "tuning": CASES[case]["tuning"]})
    alone: list[dict] = []
    train(config, place / "data", tmp_path / "alone", on_log=alone.append)
    two_workers = together[case]
    assert [entry["step"] for entry in two_workers] == [1, 2, 3, 4, 5, 6]
    assert [e["loss"] for e in two_workers] == pytest.approx([e["loss"] for e in alone], rel=1e-5)
    held_out = [[entry.get("held_out_loss", 0.0) for entry in log] for log in (two_workers, alone)]
    assert held_out[0] == pytest.approx(held_out[1], rel=1e-5)
    assert [loss > 1 for loss in held_out[1]] == [False, False, False, True, False, True]
    file = "model.safetensors" if config.tuning == "full" else "adapter_model.safetensors"
    two, one = (load_file(folder / file) for folder in (place / case, tmp_path / "alone"))
    assert apart(two, one) < 1e-5
    # A checkpoint of two workers is one that a single process goes on from.
    resumed: list[dict] = []
    checkpoint = place / f"{case}.checkpoints" / "step-00000004"
    train(config, place / "data", tmp_path / "resumed", on_log=resumed.append, resume_from=checkpoint)
    assert [e["loss"] for e in resumed] == pytest.approx([e["loss"] for e in alone[4:]], rel=1e-5)


def test_a_user_error_ends_with_its_exit_code_and_a_message(tmp_path: Path, caplog):
    paths = ["--dataset", str(tmp_path), "--base-model", "x", "--out", str(tmp_path / "model")]
    assert main([*paths, "--set", "epochs"]) == 2
    assert caplog.messages == ["--set epochs: expected NAME=VALUE, as in --set learning_rate=1e-3."]
    assert main([*paths, "--set", "tuning=quora"]) == 1
