"""ZeRO-3 by two workers against DDP and one process, and after a kill. All that they do is done once."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from weights import apart

from fireact_ray.core.errors import InputError
from fireact_ray.training.checkpoint_model import write_checkpoint_model
from fireact_ray.training.loop import train
from fireact_ray.training.sharding import saved_weights

pytestmark = pytest.mark.torch

RUNS = Path(__file__).with_name("zero3_runs.py")
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
FILES = {"full": "model.safetensors", "lora": "adapter_model.safetensors"}
SETTINGS = {  # as in zero3_runs.py
    "epochs": 2,
    "learning_rate": 5e-3,
    "weight_decay": 0.1,
    "max_grad_norm": 0.5,
    "global_batch_size": 8,
    "micro_batch_tokens": 40,
    "log_every_steps": 1,
    "lora_dropout": 0.0,
}


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def data(tmp_path_factory, write_dataset, counting_rows) -> Path:
    # 17 rows in steps of 8: in every third step, of one row, the second worker has none.
    return write_dataset(tmp_path_factory.mktemp("data"), counting_rows(17))


@pytest.fixture(scope="module")
def runs(tmp_path_factory, base_dir: Path, data: Path) -> Path:
    """Where everything lies; what was printed is in `printed`."""
    out = tmp_path_factory.mktemp("runs")
    before = digest(base_dir / "model.safetensors")
    command = [sys.executable, str(RUNS), str(base_dir), str(data), str(out)]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert digest(base_dir / "model.safetensors") == before
    (out / "printed").write_text(done.stdout + done.stderr)
    return out


@pytest.fixture(scope="module")
def seen(runs: Path) -> dict:
    return json.loads((runs / "train.json").read_text()) | json.loads((runs / "resume.json").read_text())


def difference(one: Path, other: Path) -> float:
    return apart(load_file(one), load_file(other))


@pytest.mark.parametrize("tuning", ["full", "lora"])
def test_the_steps_are_those_of_ddp_and_of_one_process(config, data, runs, seen, tmp_path: Path, tuning):
    alone: list[float] = []
    config = config.changed(**SETTINGS, tuning=tuning)
    train(config, data, tmp_path / "one", on_log=lambda entry: alone.append(entry["loss"]))

    assert len(alone) == 6
    assert seen[f"{tuning} zero3"] == pytest.approx(alone, rel=1e-5)
    assert seen[f"{tuning} zero3"] == pytest.approx(seen[f"{tuning} ddp"], rel=1e-5)
    mine = runs / f"{tuning}-zero3" / FILES[tuning]
    assert difference(mine, tmp_path / "one" / FILES[tuning]) < 1e-5
    assert difference(mine, runs / f"{tuning}-ddp" / FILES[tuning]) < 1e-5


def test_every_parameter_is_in_two_parts_and_nowhere_whole(seen):
    assert len(seen["parts"]) == 48
    assert seen["parts"] == [["NOT_AVAILABLE", 0, -(-size // 2)] for size in seen["sizes"]]


def test_torch_is_left_as_it_was(seen):
    assert seen["torch is as before"]


@pytest.mark.parametrize("tuning, before", [("lora", "killed"), ("full", "full-zero3")])
def test_a_killed_training_ends_in_the_very_weights_of_an_uninterrupted_one(runs, seen, tuning, before):
    checkpoint = runs / f"{before}.checkpoints" / "step-00000004"
    assert sorted(file.name for file in checkpoint.iterdir()) == [
        "checkpoint.json",
        "zero3-00000-of-00002.pt",
        "zero3-00001-of-00002.pt",
    ]
    assert seen[f"{tuning} resumed"] == seen[f"{tuning} zero3"][4:]
    assert difference(runs / f"{tuning}-resumed" / FILES[tuning], runs / f"{tuning}-zero3" / FILES[tuning]) == 0


@pytest.mark.parametrize("tuning, trained", [("lora", "killed"), ("full", "full-zero3")])
def test_a_checkpoint_of_two_workers_is_a_model_for_one_process(data, runs, tmp_path, tuning, trained):
    ours, theirs = (
        write_checkpoint_model(runs / f"{name}.checkpoints" / "step-00000004", data, tmp_path / name)
        for name in (trained, f"{tuning}-ddp")
    )
    assert difference(ours / FILES[tuning], theirs / FILES[tuning]) < 1e-5


def test_a_weight_is_put_together_without_what_fills_its_last_part(tmp_path):
    for worker, part in enumerate(([1.0, 2.0, 3.0], [4.0, 5.0, 0.0])):
        torch.save({"weights": {"w": torch.tensor(part)}}, tmp_path / f"zero3-{worker:05d}-of-00002.pt")
    assert saved_weights("zero3", tmp_path, {"w": torch.Size([5, 1])})["w"].tolist() == [[1], [2], [3], [4], [5]]


def test_a_checkpoint_of_three_workers_is_refused_by_two(runs, seen):
    assert seen["refusal of three"] == (
        f"{runs / 'of-three'} was made by 3 workers, now there are 2, and ZeRO-3 cannot cut it anew. "
        "Go on with as many as before; a training with sharding fsdp2 may change them."
    )
    assert not (runs / "never").exists()


def test_bf16_is_autocast_on_a_cpu(seen):
    assert seen["full bf16"] == pytest.approx(seen["full ddp"], rel=1e-2)
    assert seen["full bf16"] != seen["full ddp"]


def test_on_a_gpu_parts_are_bf16_beside_fp32_ones_in_host_memory_that_begin_as_the_files_have_them(
    base_dir, runs, seen
):
    assert seen["dtypes"] == ["torch.bfloat16"]
    assert difference(runs / "start.safetensors", base_dir / "model.safetensors") == 0
    assert seen["in bf16"] == pytest.approx(seen["full ddp"], rel=2e-2)
    assert seen["resumed in bf16"] == seen["in bf16"][4:]
    assert difference(runs / "end-again.safetensors", runs / "end.safetensors") == 0


def test_gradients_that_are_no_numbers_end_the_training(seen):
    assert seen["refusal of nan"] == (
        "The gradients are not finite, on all workers together. Lower train.learning_rate, or look at the examples of "
        "this step."
    )


def test_of_deepspeeds_words_only_its_warnings_are_printed(runs):
    printed = (runs / "printed").read_text()
    assert [line for line in printed.splitlines() if "deepspeed" in line.lower() or "accelerator" in line] == [
        "[Rank 0] [deepspeed] OVERFLOW! Skipping step. Gradients are non-finite, weights were not updated."
    ]
    assert "FutureWarning: `torch.distributed" not in printed


def test_one_worker_alone_is_refused(config, data, tmp_path: Path):
    with pytest.raises(InputError) as refusal:
        train(config.changed(sharding="zero3"), data, tmp_path / "model")
    assert str(refusal.value) == (
        "train.sharding zero3 spreads a model over several workers; there is one. "
        "Set train.workers to 2 or more, or train.sharding to ddp."
    )
