from pathlib import Path

import pytest
import torch
from torch import nn

from fireact_ray.recipe.loader import load_recipe, shipped_recipes
from fireact_ray.training import precision
from fireact_ray.training.loop import train
from fireact_ray.training.precision import by_hardware, for_inference, for_training, has_bf16

pytestmark = pytest.mark.torch

CPU = torch.device("cpu")
AVX2 = "processor\t: 0\nmodel name\t: AMD EPYC bf16 avx512_bf16\nflags\t\t: fpu sse avx f16c avx2 bmi2\n"


def clock(bf16: float, fp32: float):
    return lambda is_bf16: bf16 if is_bf16 else fp32


@pytest.mark.parametrize(
    ("cpuinfo", "expected"),
    [
        (AVX2, False),
        ("flags\t\t: fpu avx2 avx512f avx512_bf16 vaes\n", True),
        ("flags\t\t: avx512f amx_tile amx_bf16\n", True),
        ("flags\t\t: avx512f avx512bw avx512vl\n", False),  # AVX-512 of before Cooper Lake
        ("CPU architecture: 8\nFeatures\t: fp asimd bf16 i8mm\n", True),  # Arm
        ("Features\t: fp asimd\n", False),
        ("", False),  # no /proc/cpuinfo
    ],
)
def test_a_cpu_has_bf16_where_its_flags_say_so(cpuinfo, expected):
    assert has_bf16(CPU, cpuinfo) is expected


@pytest.mark.parametrize(
    ("bf16_s", "fp32_s", "chosen"),
    [
        (4.5, 0.49, False),  # what was seen on a CPU that emulates it
        (1.0, 1.0, False),
        (0.95, 1.0, False),
        (0.9, 1.0, True),
        (0.3, 1.0, True),
    ],
)
def test_the_clock_decides_where_the_flags_say_bf16(monkeypatch, bf16_s, fp32_s, chosen):
    monkeypatch.setattr(precision, "has_bf16", lambda device: True)
    found = for_training("auto", CPU, clock(bf16_s, fp32_s), None)
    assert found.bf16 is chosen
    assert (
        str(found) == f"{'bf16' if chosen else 'fp32'} (measured here: bf16 takes {bf16_s / fp32_s:.2f} of fp32's time)"
    )


def never(bf16: bool) -> float:
    raise AssertionError("timed")


@pytest.mark.parametrize(
    ("has_it", "asked", "before", "expected"),
    [
        (False, "auto", None, "fp32 (this CPU has no bf16 instructions)"),
        (False, "auto", True, "fp32 (this CPU has no bf16 instructions)"),  # begun on another machine
        (True, "bf16", False, "bf16 (as asked)"),
        (True, "fp32", True, "fp32 (as asked)"),
        (True, "auto", True, "bf16 (as before the checkpoint)"),
        (True, "auto", False, "fp32 (as before the checkpoint)"),
    ],
)
def test_nothing_is_timed_where_nothing_is_to_be_decided(monkeypatch, has_it, asked, before, expected):
    monkeypatch.setattr(precision, "has_bf16", lambda device: has_it)
    assert str(for_training(asked, CPU, never, before)) == expected


def test_what_is_asked_for_is_obeyed_and_its_price_is_named(monkeypatch):
    monkeypatch.setattr(precision, "has_bf16", lambda device: False)
    assert str(by_hardware("bf16", CPU)) == "bf16 (as asked; this hardware only emulates it)"
    assert str(by_hardware("fp32", CPU)) == "fp32 (as asked)"
    assert str(by_hardware("auto", CPU)) == "fp32 (this CPU has no bf16 instructions)"


def test_inference_without_bf16_instructions_is_fp32(monkeypatch):
    monkeypatch.setattr(precision, "has_bf16", lambda device: False)
    assert not for_inference(nn.Sequential(nn.Linear(4, 8)), CPU).bf16


@pytest.fixture
def timed(monkeypatch, tmp_path):
    """On a machine of its own, whose CPU has bf16 instructions. Call it with what bf16 takes; fp32 takes 1 s. Returns
    the widths of the layers that are timed."""
    monkeypatch.setenv("FIREACT_CACHE", str(tmp_path))
    monkeypatch.setattr(precision, "has_bf16", lambda device: True)

    def take(bf16_s: float) -> list[int]:
        widths = []

        def seconds(layer: nn.Linear, bf16: bool) -> float:
            widths.append(layer.out_features)
            return bf16_s if bf16 else 1.0

        monkeypatch.setattr(precision, "_layer_seconds", seconds)
        return widths

    return take


@pytest.mark.parametrize(("bf16_s", "chosen"), [(0.5, True), (0.95, False), (9.0, False)])
def test_inference_is_timed_on_the_largest_layer(timed, bf16_s, chosen):
    widths = timed(bf16_s)
    assert for_inference(nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 64), nn.Linear(64, 2)), CPU).bf16 is chosen
    assert set(widths) == {64}


def test_every_engine_of_a_machine_answers_in_the_precision_that_was_measured_first(timed):
    layer = nn.Linear(8, 64)
    timed(0.5)
    assert str(for_inference(nn.Sequential(layer), CPU)) == "bf16 (measured here: bf16 takes 0.50 of fp32's time)"
    later = timed(2.0)  # on a moody day
    assert for_inference(nn.Sequential(layer), CPU).bf16
    assert later == []
    assert not for_inference(nn.Sequential(nn.Linear(8, 65)), CPU).bf16


def test_inference_is_in_the_precision_that_is_asked_for(timed):
    timed(0.5)
    assert str(for_inference(nn.Sequential(nn.Linear(8, 64)), CPU, "fp32")) == "fp32 (as asked)"


def test_a_resumed_training_goes_on_in_the_precision_that_it_began_in(
    config, dataset_dir: Path, tmp_path: Path, monkeypatch
):
    config = config.changed(precision="auto", epochs=1, checkpoint_every_steps=1)
    monkeypatch.setattr(precision, "has_bf16", lambda device: True)
    monkeypatch.setattr(precision, "_WORTH_IT", 1e9)
    begun: list[dict] = []
    train(config, dataset_dir, tmp_path / "model", on_log=begun.append)
    assert begun[0]["precision"].startswith("bf16 (measured here: ")
    monkeypatch.setattr(precision, "_WORTH_IT", 0.0)  # the clock would say fp32 now
    entries: list[dict] = []
    first = tmp_path / "model.checkpoints" / "step-00000001"
    train(config, dataset_dir, tmp_path / "again", on_log=entries.append, resume_from=first)
    assert [entry["precision"] for entry in entries] == ["bf16 (as before the checkpoint)"] * 2
    assert [entry["loss"] for entry in entries] == [entry["loss"] for entry in begun[1:]]


def test_timing_a_step_changes_no_step(config, dataset_dir: Path, tmp_path: Path, monkeypatch):
    config = config.changed(precision="auto", epochs=1)  # with dropout
    plain, timed = [], []
    train(config.changed(precision="fp32"), dataset_dir, tmp_path / "plain", on_log=plain.append)
    monkeypatch.setattr(precision, "has_bf16", lambda device: True)
    monkeypatch.setattr(precision, "_WORTH_IT", 0.0)  # bf16 is timed and never chosen
    train(config, dataset_dir, tmp_path / "timed", on_log=timed.append)
    assert [entry["loss"] for entry in timed] == [entry["loss"] for entry in plain]
    assert plain[0]["precision"] == "fp32 (as asked)"
    assert timed[0]["precision"].startswith("fp32 (measured here: bf16 takes ")


@pytest.mark.parametrize("name", shipped_recipes())
def test_a_shipped_recipe_names_no_precision(name):
    recipe = load_recipe(name, ["task.path=questions.json"] if name == "hotpotqa" else [])
    assert recipe.train.precision == "auto"
