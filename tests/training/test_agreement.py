"""A training that is to save or to stop between two checkpoints does, after the same step in all workers."""

import os
import signal
from pathlib import Path

import pytest
import torch
from process_group import together
from safetensors.torch import load_file

from fireact_ray.core.errors import TrainingStopped
from fireact_ray.core.json_text import parse
from fireact_ray.training.__main__ import main
from fireact_ray.training.agreement import Agreement
from fireact_ray.training.checkpoint_folders import latest_checkpoint
from fireact_ray.training.loop import train
from fireact_ray.training.sharding.base import Here
from fireact_ray.training.wish import Wish

pytestmark = pytest.mark.torch


def wish_after(step: int, wish: Wish):
    """Is asked once per step, and wishes once."""
    asked = 0

    def wished() -> Wish:
        nonlocal asked
        asked += 1
        return wish if asked == step else Wish.NOTHING

    return wished


def difference(one: Path, other: Path) -> float:
    left, right = load_file(one / "model.safetensors"), load_file(other / "model.safetensors")
    return max(float((left[key] - right[key]).abs().max()) for key in left)


def test_a_training_that_is_stopped_far_from_any_checkpoint_goes_on_at_the_very_step(config, dataset_dir, tmp_path):
    config = config.changed(checkpoint_every_steps=100)
    train(config, dataset_dir, tmp_path / "uninterrupted")
    with pytest.raises(TrainingStopped, match="stopped after step 4 of 6, which is saved"):
        train(config, dataset_dir, tmp_path / "model", wished=wish_after(4, Wish.STOP))
    assert not (tmp_path / "model").exists()
    saved = latest_checkpoint(tmp_path / "model.checkpoints")
    assert parse((saved / "checkpoint.json").read_bytes())["step"] == 4
    steps = []
    train(config, dataset_dir, tmp_path / "model", resume_from=saved, on_log=lambda entry: steps.append(entry["step"]))
    assert steps == [5, 6]
    assert difference(tmp_path / "model", tmp_path / "uninterrupted") == 0


def test_one_that_is_to_save_does_so_and_goes_on(config, dataset_dir, tmp_path):
    reported = []
    train(
        config.changed(checkpoint_every_steps=0),
        dataset_dir,
        tmp_path / "model",
        wished=wish_after(3, Wish.SAVE),
        on_checkpoint=lambda path, metrics: reported.append((path.name, metrics["step"])),
    )
    assert reported == [("step-00000003", 3)]
    assert (tmp_path / "model" / "fireact.json").is_file()


def test_a_stop_behind_the_last_step_is_the_end_and_no_checkpoint(config, dataset_dir, tmp_path):
    result = train(config, dataset_dir, tmp_path / "model", wished=wish_after(6, Wish.STOP))
    assert result.steps == 6
    assert latest_checkpoint(tmp_path / "model.checkpoints") is None


def test_the_plain_command_saves_when_it_is_told_to_end_and_says_how_to_go_on(config, dataset_dir, tmp_path, caplog):
    settings = ["tuning=full", "epochs=2", "global_batch_size=8", "log_every_steps=1"]
    arguments = ["--dataset", str(dataset_dir), "--base-model", config.base_model, "--out", str(tmp_path / "model")]
    told = []

    def end_it(record) -> bool:
        if '"step": 2,' in record.getMessage() and not told:
            told.append(os.kill(os.getpid(), signal.SIGTERM))
        return True

    caplog.handler.addFilter(end_it)
    with caplog.at_level("INFO"):
        assert main([*arguments, *(f"--set={setting}" for setting in settings)]) == 130
    assert told
    saved = tmp_path / "model.checkpoints" / "step-00000002"
    assert caplog.messages[-1].endswith(f"The same command with --resume-from {saved} goes on.")
    caplog.handler.removeFilter(end_it)
    assert main([*arguments, *(f"--set={setting}" for setting in settings), "--resume-from", str(saved)]) == 0


def test_workers_hear_the_strongest_wish_of_any_of_them_after_the_same_step(tmp_path):
    wishes = [{}, {2: Wish.SAVE}, {2: Wish.STOP, 4: Wish.SAVE}]

    def heard(rank: int) -> list[str]:
        steps = iter(range(1, 7))
        agreement = Agreement(lambda: wishes[rank].get(next(steps), Wish.NOTHING), Here(rank, 3, torch.device("cpu")))
        return [agreement.heard().name for _ in range(6)]

    assert together(heard, 3, tmp_path) == [["NOTHING", "NOTHING", "STOP", "NOTHING", "SAVE", "NOTHING"]] * 3
