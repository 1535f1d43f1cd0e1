import json
import shutil
from pathlib import Path

import pytest
import torch
import weights
from safetensors.torch import load_file

from fireact_ray.core.errors import DataError, TrainingError
from fireact_ray.training.checkpoint_folders import latest_checkpoint
from fireact_ray.training.loop import learning_rate, train
from fireact_ray.training.mapped.loading import load_dataset

pytestmark = pytest.mark.torch


class Crash(Exception):
    """Stands for a killed worker."""


def losses(log: list[dict]) -> list[float]:
    return [entry["loss"] for entry in log]


@pytest.mark.parametrize("tuning", ["full", "lora"])
def test_the_loss_falls(config, dataset_dir: Path, tmp_path: Path, tuning: str):
    log: list[dict] = []
    config = config.changed(tuning=tuning, epochs=6, learning_rate=2e-2, lora_dropout=0.0)
    result = train(config, dataset_dir, tmp_path / "model", on_log=log.append)
    assert result.steps == 18
    assert log[0]["loss"] == pytest.approx(4.029, abs=0.001)
    assert result.final_loss == log[-1]["loss"] < 0.8
    assert result.trained_tokens == 6 * 179
    assert result.tokens_seen == 6 * 380


def test_a_log_entry_says_where_the_run_is_and_how_fast(config, dataset_dir: Path, tmp_path: Path):
    log: list[dict] = []
    train(config.changed(log_every_steps=4), dataset_dir, tmp_path / "model", on_log=log.append)
    assert [(entry["step"], entry["of"], entry["epoch"]) for entry in log] == [(4, 6, 2), (6, 6, 2)]
    assert log[1]["learning_rate"] == pytest.approx(5e-4)  # a tenth of the peak
    assert log[0]["tokens_per_s"] > log[0]["trained_tokens_per_s"] > 0
    assert log[0]["grad_norm"] > 1
    assert 0.1 < log[0]["memory_gib"] < 8
    assert log[0]["eta_s"] > log[1]["eta_s"] == 0
    assert log[0].keys() - {"step", "of", "epoch", "learning_rate"} == {
        *("loss", "grad_norm", "trained_tokens_per_s", "tokens_per_s", "padding_share", "memory_gib", "eta_s"),
        *("input_stall_share", "precision"),
    }
    assert log[0]["padding_share"] == 0.0  # one line
    assert 0 <= log[0]["input_stall_share"] < 0.5


def test_lines_with_masks_take_the_same_steps_with_padding(config, dataset_dir: Path, tmp_path: Path):
    runs: list[list[dict]] = [[], []]
    config = config.changed(lora_dropout=0.0)
    one_line = train(config, dataset_dir, tmp_path / "one", on_log=runs[0].append)
    masked = train(config.changed(attention="sdpa"), dataset_dir, tmp_path / "masked", on_log=runs[1].append)
    assert losses(runs[1]) == pytest.approx(losses(runs[0]), rel=1e-5)
    assert (one_line.padding_share, masked.padding_share > 0.05) == (0.0, True)


def test_micro_batches_do_not_change_the_result(config, dataset_dir: Path, tmp_path: Path):
    runs: list[list[dict]] = [[], []]
    for run, tokens in zip(runs, (25, 1000), strict=True):
        train(
            config.changed(micro_batch_tokens=tokens),
            dataset_dir,
            tmp_path / str(tokens),
            on_log=run.append,
        )
    assert losses(runs[0]) == pytest.approx(losses(runs[1]), rel=1e-4)


def test_a_packed_run_takes_the_steps_of_an_unpacked_one_without_padding(config, dataset_dir: Path, tmp_path: Path):
    runs: list[list[dict]] = [[], []]
    config = config.changed(lora_dropout=0.0, micro_batch_tokens=256, attention="sdpa")
    apart = train(config, dataset_dir, tmp_path / "apart", on_log=runs[0].append)
    packed = train(config.changed(pack_tokens=256), dataset_dir, tmp_path / "packed", on_log=runs[1].append)
    assert losses(runs[1]) == pytest.approx(losses(runs[0]), rel=1e-5)
    one, two = (load_file(tmp_path / name / "model.safetensors") for name in ("apart", "packed"))
    assert weights.apart(two, one) < 1e-5
    assert apart.padding_share > 0.05
    assert packed.padding_share == 0.0 == runs[1][-1]["padding_share"]


@pytest.mark.parametrize("tuning", ["full", "lora"])
def test_a_resumed_run_equals_an_uninterrupted_one(config, dataset_dir: Path, tmp_path: Path, tuning: str):
    config = config.changed(tuning=tuning)  # with dropout
    whole: list[dict] = []
    train(config, dataset_dir, tmp_path / "whole", on_log=whole.append)

    def crash_at_4(path: Path | None, metrics: dict) -> None:
        if metrics["step"] == 4:
            raise Crash

    config = config.changed(checkpoint_every_steps=2)
    first: list[dict] = []
    with pytest.raises(Crash):
        train(config, dataset_dir, tmp_path / "m", on_log=first.append, on_checkpoint=crash_at_4)
    assert not (tmp_path / "m").exists()
    checkpoint = latest_checkpoint(tmp_path / "m.checkpoints")
    assert checkpoint is not None
    assert checkpoint.name == "step-00000004"

    rest: list[dict] = []
    train(config, dataset_dir, tmp_path / "m", on_log=rest.append, resume_from=checkpoint)
    assert [entry["step"] for entry in rest] == [5, 6]
    assert losses(first) + losses(rest) == losses(whole)
    name = "adapter_model.safetensors" if tuning == "lora" else "model.safetensors"
    resumed, uninterrupted = load_file(tmp_path / "m" / name), load_file(tmp_path / "whole" / name)
    assert all(torch.equal(resumed[key], uninterrupted[key]) for key in uninterrupted)


def test_the_newest_two_checkpoints_are_kept(config, dataset_dir: Path, tmp_path: Path):
    seen: list[tuple[Path | None, int]] = []
    train(
        config.changed(checkpoint_every_steps=1),
        dataset_dir,
        tmp_path / "model",
        on_checkpoint=lambda path, metrics: seen.append((path, metrics["step"])),
        checkpoint_dir=tmp_path / "checkpoints",
    )
    assert [step for _, step in seen] == [1, 2, 3, 4, 5]  # after the sixth the model itself is written
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == [
        "step-00000004",
        "step-00000005",
    ]


def test_a_checkpoint_of_another_run_is_refused_by_field(config, dataset_dir: Path, tmp_path: Path):
    config = config.changed(checkpoint_every_steps=4)
    train(config, dataset_dir, tmp_path / "model")
    checkpoint = latest_checkpoint(tmp_path / "model.checkpoints")
    with pytest.raises(TrainingError, match=r"learning_rate was 0.005, is 0.1; seed was 0, is 1\. Start anew"):
        train(
            config.changed(learning_rate=0.1, seed=1),
            dataset_dir,
            tmp_path / "other",
            resume_from=checkpoint,
        )


@pytest.mark.parametrize(("changed_row", "goes_on"), [(False, True), (True, False)])
def test_a_checkpoint_of_an_earlier_version_goes_on_with_the_same_rows(
    config, tmp_path: Path, write_dataset, counting_rows, changed_row: bool, goes_on: bool
):
    """Its number of the dataset is another one, by which the rows can still be told."""
    rows = counting_rows(22)
    data = write_dataset(tmp_path / "data", rows)
    train(config.changed(checkpoint_every_steps=4), data, tmp_path / "model")
    checkpoint = latest_checkpoint(tmp_path / "model.checkpoints")
    card = json.loads((checkpoint / "checkpoint.json").read_text())
    card["fingerprints"]["dataset"] = load_dataset(data).earlier_of_rows
    (checkpoint / "checkpoint.json").write_text(json.dumps(card))
    if changed_row:
        key, ids, mask = rows[0]
        write_dataset(data, [(key, [*ids[:-1], 2], mask), *rows[1:]])
    log: list[dict] = []

    def go_on() -> None:
        train(config, data, tmp_path / "on", on_log=log.append, resume_from=checkpoint)

    if goes_on:
        go_on()
        assert [entry["step"] for entry in log] == [5, 6]
    else:
        with pytest.raises(TrainingError, match=r"belongs to another run: dataset was '\w+', is '\w+'\. Start anew"):
            go_on()


def test_an_unfinished_checkpoint_is_never_used(config, dataset_dir: Path, tmp_path: Path):
    train(config.changed(checkpoint_every_steps=2), dataset_dir, tmp_path / "model")
    newest = latest_checkpoint(tmp_path / "model.checkpoints")
    assert newest is not None
    torn = Path(shutil.copytree(newest, newest.with_name("step-00000009")))
    (torn / "checkpoint.json").unlink()
    assert latest_checkpoint(tmp_path / "model.checkpoints") == newest
    with pytest.raises(TrainingError, match="is no whole checkpoint"):
        train(config, dataset_dir, tmp_path / "other", resume_from=torn)


def test_a_loss_that_is_not_finite_stops_the_run_before_anything_is_saved(config, dataset_dir: Path, tmp_path: Path):
    words = r"The gradient is not finite after step 2, where rows are t\d+, t\d+, t\d+, t\d+, t\d+ and 3 more\. Lower l"
    with pytest.raises(TrainingError, match=words):
        train(config.changed(learning_rate=1e30), dataset_dir, tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_ids_beyond_the_vocabulary_are_refused(config, tmp_path: Path, write_dataset):
    write_dataset(tmp_path / "data", [("a", [5, 99], [0, 1])])
    with pytest.raises(DataError, match=r"holds token 99, .* knows 32 tokens"):
        train(config, tmp_path / "data", tmp_path / "model")


def test_bf16_trains_on_a_cpu_when_asked(config, dataset_dir: Path, tmp_path: Path):
    result = train(config.changed(precision="bf16", tuning="lora", epochs=1), dataset_dir, tmp_path / "model")
    assert result.final_loss == pytest.approx(3.48, abs=0.05)


def test_the_learning_rate_warms_up_and_falls_to_a_tenth(config):
    config = config.changed(learning_rate=1.0, warmup_ratio=0.1)
    rates = [learning_rate(config, step, 40) for step in range(40)]
    assert rates[:5] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert rates[4:] == sorted(rates[4:], reverse=True)
    assert rates[-1] == pytest.approx(0.1)
