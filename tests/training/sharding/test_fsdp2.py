"""FSDP2 against one process that trains alone, on 1, 2 and 3 workers, interrupted, continued and killed."""

import json
from hashlib import sha256
from pathlib import Path

import pytest
from safetensors.torch import load_file
from weights import apart

from fireact_ray.training.artifacts import load_trained
from fireact_ray.training.checkpoint_model import write_checkpoint_model
from fireact_ray.training.config import TrainConfig
from fireact_ray.training.loop import train

from .trainings import done_by_forks

pytestmark = pytest.mark.torch

FULL = {"tuning": "full", "learning_rate": 5e-3}
# One row of each adapter's A: with two workers the second holds none of it.
LORA = {"tuning": "lora", "learning_rate": 5e-2, "lora_rank": 1, "lora_dropout": 0.0}
QLORA = {**LORA, "tuning": "qlora"}
# 17 rows in steps of 8: in every third step, of one row, the second worker has none. Clipping is at work in each step.
SETTINGS = {
    "precision": "fp32",
    "epochs": 2,
    "global_batch_size": 8,
    "micro_batch_tokens": 40,
    "max_grad_norm": 0.5,
    "weight_decay": 0.1,
    "log_every_steps": 1,
    "checkpoint_every_steps": 4,
}


@pytest.fixture(scope="module")
def place(tmp_path_factory, base_dir: Path, write_dataset, counting_rows) -> Path:
    folder = tmp_path_factory.mktemp("fsdp2")
    write_dataset(folder / "data", counting_rows(17))
    (folder / "base-was").write_text(sha256((base_dir / "model.safetensors").read_bytes()).hexdigest())
    return folder


@pytest.fixture(scope="module")
def alone(place: Path, base_dir: Path) -> dict[str, list[float]]:
    """What one process loses on the way, by tuning; the models are in `alone-full`, `alone-lora`, `alone-qlora`."""
    losses: dict[str, list[float]] = {}
    for tuning in (FULL, LORA, QLORA):
        entries: list[dict] = []
        config = TrainConfig.from_dict({"base_model": str(base_dir), **SETTINGS, **tuning})
        train(config, place / "data", place / f"alone-{config.tuning}", on_log=entries.append)
        losses[config.tuning] = [entry["loss"] for entry in entries]
    return losses


@pytest.fixture(scope="module")
def done(place: Path, base_dir: Path) -> dict[str, dict | None]:
    """What became of each training, by its name, which is its model's folder, too."""

    def job(name: str, tuning: dict, **more) -> dict:
        config = {"base_model": str(base_dir), "sharding": "fsdp2", **SETTINGS, **tuning, **more.pop("settings", {})}
        return {"name": name, "config": config, "dataset": str(place / "data"), "out": str(place / name), **more}

    def after(name: str) -> str:
        return str(place / f"{name}.checkpoints")

    every_2 = {"checkpoint_every_steps": 2}
    groups = [
        (3, [job("3 full", FULL), job("3 lora", LORA), job("3 qlora", QLORA)]),
        (
            2,
            [
                job("2 full looked at", FULL, look=True),
                job("2 lora looked at", LORA, look=True),
                job("2 qlora looked at", QLORA, look=True),
                job("2 full", FULL),
                job("2 lora", LORA),
                job("2 qlora", QLORA),
                job("2 packed", FULL, settings={"pack_tokens": 40}),
                job("2 after 3 full", FULL, resume_from=after("3 full")),
                job("2 after 3 lora", LORA, resume_from=after("3 lora")),
                job("2 after 3 qlora", QLORA, resume_from=after("3 qlora")),
                job("2 other rank", LORA, settings={"lora_rank": 2}, resume_from=after("3 lora")),
            ],
        ),
        (2, [job("killed", FULL, settings=every_2, kill_at=4)]),
        (2, [job("after the kill", FULL, settings=every_2, resume_from=after("killed"))]),
        (3, [job("3 after 2 full", FULL, resume_from=after("2 full"))]),
        (1, [job("one alone", FULL)]),
    ]
    results = done_by_forks([{"workers": workers, "jobs": jobs} for workers, jobs in groups])
    return {
        job["name"]: found
        for (_, jobs), of_group in zip(groups, results, strict=True)
        for job, found in zip(jobs, of_group or [None] * len(jobs), strict=True)
    }


def difference(place: Path, one: str, other: str) -> float:
    file = "adapter_model.safetensors" if "lora" in one else "model.safetensors"
    return apart(*(load_file(place / name / file) for name in (one, other)))


def test_weights_are_held_in_slices_and_gathered_by_layers(done):
    full, lora, qlora = (done[f"2 {tuning} looked at"]["weights"] for tuning in ("full", "lora", "qlora"))
    assert {kind for kind, _, _ in [*full.values(), *lora.values(), *qlora.values()]} == {"DTensor"}
    assert full["model.embed_tokens.weight"] == ["DTensor", [32, 24], [16, 24]]
    first = "base_model.model.model.layers.0.self_attn.q_proj"
    assert lora[f"{first}.base_layer.weight"] == ["DTensor", [24, 24], [12, 24]]
    assert lora[f"{first}.lora_A.default.weight"] == ["DTensor", [1, 24], [1, 24]]
    assert qlora[f"{first}.base_layer.weight"] == ["DTensor", [288, 1], [144, 1]]  # bytes of two codes each
    assert "lm_head.weight" not in full  # it is the embedding's
    assert done["2 full looked at"]["units"] == ["model.layers.0", "model.layers.1"]
    layers = ["base_model.model.model.layers.0", "base_model.model.model.layers.1"]
    assert done["2 lora looked at"]["units"] == layers


@pytest.mark.parametrize("workers", [2, 3])
@pytest.mark.parametrize("tuning", ["full", "lora", "qlora"])
def test_losses_and_weights_are_those_of_one_process(place, alone, done, workers, tuning):
    name = f"{workers} {tuning}"
    assert done[name]["steps"] == [1, 2, 3, 4, 5, 6]
    assert done[name]["losses"] == pytest.approx(alone[tuning], rel=1e-5)
    assert difference(place, name, f"alone-{tuning}") < 1e-5


def test_packed_rows_give_the_same(place, alone, done):
    assert done["2 packed"]["losses"] == pytest.approx(alone["full"], rel=1e-5)
    assert difference(place, "2 packed", "alone-full") < 1e-5


@pytest.mark.parametrize(
    ("name", "tuning"),
    [("2 after 3 full", "full"), ("2 after 3 lora", "lora"), ("2 after 3 qlora", "qlora"), ("3 after 2 full", "full")],
)
def test_another_number_of_workers_goes_on_from_a_checkpoint(place, alone, done, name, tuning):
    assert done[name]["steps"] == [5, 6]
    assert done[name]["losses"] == pytest.approx(alone[tuning][4:], rel=1e-5)
    assert difference(place, name, f"alone-{tuning}") < 1e-5


def test_after_a_killed_worker_the_training_ends_with_the_weights_of_one_that_was_not_killed(place, done):
    assert done["killed"] is None
    assert done["after the kill"]["steps"] == [5, 6]
    assert done["after the kill"]["losses"] == done["2 full"]["losses"][4:]
    assert difference(place, "after the kill", "2 full") == 0


def test_every_worker_writes_its_slices_in_a_format_that_runs_nothing(place, done):
    assert done["2 full"]
    checkpoint = place / "2 full.checkpoints" / "step-00000004"
    names = [f"shard-0000{rank}-model-00001-of-00001.safetensors" for rank in (1, 2)]
    assert sorted(file.name for file in checkpoint.iterdir()) == ["checkpoint.json", *names]
    assert sorted(json.loads((checkpoint / "checkpoint.json").read_text())["files"]) == names
    first, second = (load_file(checkpoint / name) for name in names)
    assert first["exp_avg of model.embed_tokens.weight"].shape == (16, 24)
    assert second["exp_avg of model.embed_tokens.weight"].shape == (16, 24)


def test_a_base_in_four_bits_gives_other_losses_than_the_whole_one(alone):
    assert alone["qlora"] != pytest.approx(alone["lora"], rel=1e-5)  # so the comparisons above can fail


@pytest.mark.parametrize("tuning", ["full", "lora"])
def test_a_checkpoint_of_three_workers_is_a_model_for_one_process(place, alone, done, tmp_path, tuning):
    assert alone and done
    names = {"full": "model.safetensors", "lora": "adapter_model.safetensors"}
    found = []
    for trained in (f"3 {tuning}", f"alone-{tuning}"):
        checkpoint = place / f"{trained}.checkpoints" / "step-00000004"
        folder = write_checkpoint_model(checkpoint, place / "data", tmp_path / trained)
        assert load_trained(folder, merge=True).card["steps"] == 4
        found.append(load_file(folder / names[tuning]))
    ours, theirs = found
    assert apart(ours, theirs) < 1e-5
    if tuning == "full":
        saved = load_file(place / "alone-full.checkpoints" / "step-00000004" / "weights.safetensors")
        assert all(theirs[name].equal(weight) for name, weight in saved.items())


def test_a_checkpoint_of_another_model_is_refused(done):
    assert "belongs to another run: lora_rank was 1, is 2" in done["2 other rank"]["error"]


def test_one_worker_alone_is_refused(done):
    assert done["one alone"]["error"].startswith(
        "train.sharding fsdp2 spreads a model over several workers; there is one"
    )


def test_the_model_is_written_as_that_of_one_process(place, alone, done):
    assert alone and done
    for name in ("config.json", "generation_config.json"):
        assert (place / "2 full" / name).read_text() == (place / "alone-full" / name).read_text()
    ours, theirs = (json.loads((place / name / "adapter_config.json").read_text()) for name in ("2 lora", "alone-lora"))
    assert set(ours.pop("target_modules")) == set(theirs.pop("target_modules"))
    assert ours == theirs


def test_the_base_stays_as_it_was(place, base_dir: Path, done):
    assert done["2 lora"] and done["2 full"]
    assert sha256((base_dir / "model.safetensors").read_bytes()).hexdigest() == (place / "base-was").read_text()
