"""A checkpoint that cannot be read is set aside, and the one before it is used."""

import json
import logging
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from fireact_ray.core.errors import TrainingError
from fireact_ray.core.storage.folder import Folder
from fireact_ray.training.checkpoint_folders import latest_checkpoint
from fireact_ray.training.loop import train

pytestmark = pytest.mark.torch


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-len(content) // 3] ^= 0xFF
    file.write_bytes(content)


DAMAGES = {
    "weights cut": (truncate, "weights.safetensors"),
    "weights altered": (flip, "weights.safetensors"),
    "weights gone": (Path.unlink, "weights.safetensors"),
    "optimizer cut": (truncate, "state.pt"),
    "optimizer empty": (lambda file: file.write_bytes(b""), "state.pt"),
    "card cut": (truncate, "checkpoint.json"),
    "card gone": (Path.unlink, "checkpoint.json"),
    "card of nothing": (lambda file: file.write_text("[]"), "checkpoint.json"),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory, base_dir, dataset_dir):
    """An uninterrupted run with two checkpoints, after steps 2 and 4 of 6."""
    from fireact_ray.training.config import TrainConfig

    folder = tmp_path_factory.mktemp("whole")
    config = TrainConfig(
        base_model=str(base_dir), tuning="full", precision="fp32", epochs=2, global_batch_size=8, micro_batch_tokens=64,
        learning_rate=5e-3, checkpoint_every_steps=2,
    )  # fmt: skip
    train(config, dataset_dir, folder / "m")
    return config, folder


def copied(folder: Path, tmp_path: Path, *, with_checksums: bool = True) -> Path:
    checkpoints = shutil.copytree(folder / "m.checkpoints", tmp_path / "m.checkpoints")
    if not with_checksums:
        for card in checkpoints.glob("*/checkpoint.json"):
            content = json.loads(card.read_text())
            del content["files"]
            card.write_text(json.dumps(content))
    return checkpoints


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_set_aside_with_one_warning_and_the_one_before_is_used(whole, tmp_path, damage, caplog):
    _, folder = whole
    checkpoints = copied(folder, tmp_path)
    harm, name = DAMAGES[damage]
    newest, before = sorted(checkpoints.iterdir(), reverse=True)
    harm(newest / name)
    with caplog.at_level(logging.WARNING):
        assert latest_checkpoint(checkpoints) == before
        assert latest_checkpoint(checkpoints) == before
    assert sorted(path.name for path in checkpoints.iterdir()) == [f"broken-{newest.name}", before.name]
    assert [record.getMessage() for record in caplog.records if "set aside" in record.getMessage()] == [
        record.getMessage() for record in caplog.records
    ]
    assert len(caplog.records) == 1


@pytest.mark.parametrize("damage", ["weights cut", "optimizer cut", "optimizer empty"])
def test_so_it_is_with_an_older_one_that_holds_no_checksums(whole, tmp_path, damage):
    _, folder = whole
    checkpoints = copied(folder, tmp_path, with_checksums=False)
    harm, name = DAMAGES[damage]
    newest, before = sorted(checkpoints.iterdir(), reverse=True)
    assert latest_checkpoint(checkpoints) == newest
    harm(newest / name)
    assert latest_checkpoint(checkpoints) == before


def test_a_run_that_goes_on_from_the_one_before_ends_with_the_weights_of_an_uninterrupted_one(
    whole, tmp_path, dataset_dir
):
    config, folder = whole
    checkpoints = copied(folder, tmp_path)
    truncate(max(checkpoints.iterdir()) / "weights.safetensors")
    steps: list[int] = []
    train(
        config.changed(log_every_steps=1), dataset_dir, tmp_path / "m",
        on_log=lambda entry: steps.append(entry["step"]), resume_from=latest_checkpoint(checkpoints),
    )  # fmt: skip
    assert steps == list(range(3, steps[-1] + 1))
    resumed, uninterrupted = (load_file(place / "m" / "model.safetensors") for place in (tmp_path, folder))
    assert all(torch.equal(resumed[key], uninterrupted[key]) for key in uninterrupted)


def test_a_damaged_checkpoint_that_was_asked_for_is_refused_in_a_sentence(whole, tmp_path, dataset_dir):
    config, folder = whole
    newest = max(copied(folder, tmp_path).iterdir())
    truncate(newest / "state.pt")
    with pytest.raises(TrainingError, match=r"is no whole checkpoint: state.pt is not what was written\. Name another"):
        train(config, dataset_dir, tmp_path / "m", resume_from=newest)


def test_where_all_are_damaged_there_is_none(whole, tmp_path):
    _, folder = whole
    checkpoints = copied(folder, tmp_path)
    for checkpoint in list(checkpoints.iterdir()):
        truncate(checkpoint / "weights.safetensors")
    assert latest_checkpoint(checkpoints) is None
    assert all(path.name.startswith("broken-") for path in checkpoints.iterdir())


def test_ray_trains_folder_is_put_in_order_before_it_is_used(whole, tmp_path):
    """A torn one that was reported is set aside, the half of one that was not goes, a whole one counts."""
    from fireact_ray.stages.reported import begin_session

    _, folder = whole
    older, newer = sorted((folder / "m.checkpoints").iterdir())
    for name, source in {"1": older, "2": older, "3": newer, "4": newer, "5": newer}.items():
        shutil.copytree(source, tmp_path / f"checkpoint_{name}")
    truncate(tmp_path / "checkpoint_4" / "weights.safetensors")
    (tmp_path / "checkpoint_5" / "checkpoint.json").unlink()
    results = [{"checkpoint_dir_name": f"checkpoint_{n}", "metrics": {}} for n in (2, 4)]
    (tmp_path / "checkpoint_manager_snapshot.json").write_text(json.dumps({"checkpoint_results": results}))
    checkpoints = Folder(str(tmp_path))
    assert begin_session(checkpoints, lambda checkpoint: None) == checkpoints / "checkpoint_3"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken-checkpoint_4", "checkpoint_2", "checkpoint_3"]
