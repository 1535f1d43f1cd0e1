import json
from pathlib import Path

import numpy as np
import pytest
import torch

from fireact_ray.core.errors import DataError, TrainingError
from fireact_ray.training.artifacts import load_trained
from fireact_ray.training.batching import collate
from fireact_ray.training.checkpoint_folders import latest_checkpoint
from fireact_ray.training.config import TrainConfig
from fireact_ray.training.data import Row, Rows, Sizes
from fireact_ray.training.held_out import HeldOut, hold_out
from fireact_ray.training.loop import train
from fireact_ray.training.loss import TrainedTokenLoss
from fireact_ray.training.mapped.loading import load_dataset
from fireact_ray.training.sharding.base import Here

pytestmark = pytest.mark.torch


def row(key: str, question: list[int], reply: list[int]) -> Row:
    mask = np.array([0] * len(question) + [1] * len(reply), dtype=np.int8)
    return Row(key, np.array(question + reply, dtype=np.int32), mask)


class Listed(tuple):
    """Rows in memory."""

    @property
    def sizes(self) -> Sizes:
        return Sizes.of(self)


ROWS = Listed(
    row(f"{q}{n}", [q, q + 1, 7], [n, 5]) for q in range(20, 30) for n in (1, 2)
)  # two replies to each of ten


def keys(rows: Rows) -> list[str]:
    return [rows[number].trajectory_id for number in range(len(rows))]


def test_the_rows_of_a_question_stay_together_and_each_is_on_one_side():
    trained, held = hold_out(ROWS, 0.3)
    assert sorted(keys(trained) + keys(held)) == keys(ROWS)
    assert keys(held) == ["201", "202", "221", "222", "261", "262"]
    assert keys(hold_out(ROWS, 0.0)[0]) == keys(ROWS)
    assert keys(hold_out(ROWS, 0.01)[1]) == ["221", "222"]  # at least one question
    assert set(keys(hold_out(ROWS, 0.1)[1])) < set(keys(held)) < set(keys(hold_out(ROWS, 0.5)[1]))


def test_rows_that_all_begin_alike_cannot_be_held_out():
    rows = Listed(row(str(n), [3, 4], [n]) for n in range(5))
    with pytest.raises(
        DataError, match=r"all 5 rows begin with the same 2 untrained tokens, so their questions cannot"
    ):
        hold_out(rows, 0.2)


def test_a_held_out_row_that_is_too_long_is_refused_before_the_first_step():
    long = row("long", [5] * 9, [1, 2])
    config = TrainConfig(base_model="b", held_out=0.5, micro_batch_tokens=10)
    with pytest.raises(TrainingError, match=r"The longest example has 11 tokens, micro_batch_tokens allows 10"):
        HeldOut(Listed([long]), config, Here(0, 1, torch.device("cpu")), varlen=False)


@pytest.fixture(scope="module")
def runs(request, tmp_path_factory):
    """The same training with dropout, once evaluated after each step and once at its end only; and its settings."""
    config = request.getfixturevalue("lora_config")
    data, folder = request.getfixturevalue("dataset_dir"), tmp_path_factory.mktemp("held-out")
    logs: dict[int, list[dict]] = {0: [], 1: []}
    results = [
        train(config.changed(evaluate_every_steps=n), data, folder / f"every-{n}", on_log=logs[n].append)
        for n in (0, 1)
    ]
    return config, results, logs, folder


@pytest.fixture(scope="module")
def lora_config(base_dir: Path):
    return TrainConfig(
        base_model=str(base_dir), tuning="lora", precision="fp32", epochs=2, learning_rate=2e-2, global_batch_size=8,
        micro_batch_tokens=64, log_every_steps=1, lora_dropout=0.3, held_out=0.2, checkpoint_every_steps=3,
    )  # fmt: skip


def test_evaluation_changes_no_step(runs):
    _, results, logs, folder = runs
    assert [entry["loss"] for entry in logs[1]] == [entry["loss"] for entry in logs[0]]
    assert [("held_out_loss" in entry) for entry in logs[0]] == [False, False, False, False, False, True]
    assert all("held_out_loss" in entry for entry in logs[1])
    assert logs[1][-1]["held_out_loss"] == logs[0][-1]["held_out_loss"] < logs[1][0]["held_out_loss"]
    assert results[0].held_out_loss == logs[0][-1]["held_out_loss"]
    weights = [(folder / f"every-{n}" / "adapter_model.safetensors").read_bytes() for n in (0, 1)]
    assert weights[0] == weights[1]


def test_the_loss_is_that_of_the_model_that_was_written_on_rows_that_it_was_not_trained_on(runs, dataset_dir: Path):
    config, results, _, folder = runs
    trained, held = hold_out(load_dataset(dataset_dir).rows, config.held_out)
    assert (len(trained), len(held)) == (18, 4)
    compute = TrainedTokenLoss(load_trained(folder / "every-0").model)
    with torch.no_grad():
        sums = [compute(*collate([[one]])) for one in held]
    expected = sum(float(loss) for loss, _ in sums) / sum(int(n) for _, n in sums)
    assert results[0].held_out_loss == pytest.approx(expected, rel=1e-5)
    card = json.loads((folder / "every-0" / "fireact.json").read_text())
    assert (card["n_examples"], card["n_held_out"], card["held_out_loss"]) == (18, 4, results[0].held_out_loss)
    assert results[0].trained_tokens == 2 * sum(one.n_trained for one in trained)


def test_a_checkpoint_goes_on_with_the_rows_that_it_knows_and_one_without_the_setting_with_all(
    runs, dataset_dir: Path, tmp_path: Path
):
    config, _, logs, folder = runs
    checkpoint = latest_checkpoint(folder / "every-0.checkpoints")
    rest: list[dict] = []
    train(config, dataset_dir, tmp_path / "on", on_log=rest.append, resume_from=checkpoint)
    assert [entry["loss"] for entry in rest] == [entry["loss"] for entry in logs[0][3:]]
    with pytest.raises(TrainingError, match=r"held_out was 0\.2, is 0\.0\. Start anew"):
        train(config.changed(held_out=0.0), dataset_dir, tmp_path / "other", resume_from=checkpoint)
    card = json.loads((checkpoint / "checkpoint.json").read_text())
    for name in ("held_out", "evaluate_every_steps"):  # an earlier version knew neither
        del card["config"][name]
    (checkpoint / "checkpoint.json").write_text(json.dumps(card))
    all_rows: list[dict] = []
    plain = config.changed(held_out=0.0)
    train(plain, dataset_dir, tmp_path / "plain", on_log=all_rows.append, resume_from=checkpoint)
    assert [entry["step"] for entry in all_rows] == [4, 5, 6]
    assert "held_out_loss" not in all_rows[-1]
    assert "held_out_loss" not in json.loads((tmp_path / "plain" / "fireact.json").read_text())
