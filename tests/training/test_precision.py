from pathlib import Path

import pytest
import torch
from torch import nn

from fireact_ray.recipe.loader import load_recipe, shipped_recipes
from fireact_ray.training import precision
from fireact_ray.training.loop import train
from fireact_ray.training.precision import Precision, by_hardware, confirmed, for_inference, has_bf16

pytestmark = pytest.mark.torch

CPU = torch.device("cpu")
GUESS = Precision(True, "this CPU has bf16 instructions")
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
def test_the_clock_decides_where_the_flags_say_bf16(bf16_s, fp32_s, chosen):
    found = confirmed(GUESS, "auto", CPU, clock(bf16_s, fp32_s))
    assert found.bf16 is chosen
    assert (
        str(found) == f"{'bf16' if chosen else 'fp32'} (measured here: bf16 takes {bf16_s / fp32_s:.2f} of fp32's time)"
    )


@pytest.mark.parametrize(
    ("guess", "asked"),
    [
        (Precision(False, "this CPU has no bf16 instructions"), "auto"),
        (Precision(True, "as asked"), "bf16"),
        (Precision(False, "as asked"), "fp32"),
    ],
)
def test_nothing_is_timed_where_nothing_is_to_be_decided(guess, asked):
    def never(bf16: bool) -> float:
        raise AssertionError("timed")

    assert confirmed(guess, asked, CPU, never) is guess


def test_what_is_asked_for_is_obeyed_and_its_price_is_named(monkeypatch):
    monkeypatch.setattr(precision, "has_bf16", lambda device: False)
    assert str(by_hardware("bf16", CPU)) == "bf16 (as asked; this hardware only emulates it)"
    assert str(by_hardware("fp32", CPU)) == "fp32 (as asked)"
    assert str(by_hardware("auto", CPU)) == "fp32 (this CPU has no bf16 instructions)"


def test_inference_without_bf16_instructions_is_fp32(monkeypatch):
    monkeypatch.setattr(precision, "has_bf16", lambda device: False)
    assert not for_inference(nn.Sequential(nn.Linear(4, 8)), CPU).bf16


@pytest.mark.parametrize("is_faster", [True, False])
def test_inference_is_timed_on_the_largest_layer(monkeypatch, is_faster):
    timed = []

    def seconds(layer: nn.Linear, bf16: bool) -> float:
        timed.append(layer.out_features)
        return 0.5 if bf16 is is_faster else 1.0

    monkeypatch.setattr(precision, "has_bf16", lambda device: True)
    monkeypatch.setattr(precision, "_layer_seconds", seconds)
    assert for_inference(nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 64), nn.Linear(64, 2)), CPU).bf16 is is_faster
    assert set(timed) == {64}


def test_timing_a_step_changes_no_step(config, dataset_dir: Path, tmp_path: Path, monkeypatch):
    config = config.changed(epochs=1)  # with dropout
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
