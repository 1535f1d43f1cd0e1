"""What the GPU benchmark counts, and that one failure does not end it; the numbers themselves need a GPU."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from bitsandbytes.nn import Linear4bit

from benchmarks.gpu_bench import Bench
from benchmarks.gpu_settings import GOALS, GROUPS, tiny
from benchmarks.gpu_shapes import CODELLAMA_34B, LLAMA_2_7B, TINY_GROUPED, build_quantized, make_rows, step_flops
from benchmarks.gpu_steps import Steps

pytestmark = pytest.mark.torch

CPU = torch.device("cpu")


def test_the_shapes_have_the_published_sizes() -> None:
    assert (LLAMA_2_7B.weights, CODELLAMA_34B.weights) == (6_738_149_376, 33_743_175_680)  # without the norms' vectors


def test_a_frozen_weight_costs_four_a_token_a_trained_one_six_and_attention_what_the_causal_half_does() -> None:
    lora = step_flops(LLAMA_2_7B, [512, 512], 500, adapters=4_194_304)
    full = step_flops(LLAMA_2_7B, [512, 512], 500, adapters=None)
    linear, head = 6_476_005_376, 131_072_000
    attention = 6 * 32 * 4096 * 2 * 512**2
    assert lora.needed == 4 * (linear * 1024 + head * 500) + 6 * 4_194_304 * 1024 + attention
    assert full.needed == 6 * (linear * 1024 + head * 500) + attention
    assert lora.six_n == full.six_n == 6 * (linear + head) * 1024 + attention


def test_rows_are_as_long_as_those_of_fireact() -> None:
    lengths = sorted(len(row.input_ids) for row in make_rows(2000, 512))
    assert sum(lengths) / 2000 == pytest.approx(270, abs=5)
    assert (lengths[1000], lengths[1900]) == (pytest.approx(253, abs=8), pytest.approx(421, abs=12))


def test_what_fails_or_does_not_fit_is_said_and_the_next_one_runs(tmp_path: Path) -> None:
    def out_of_memory() -> None:
        raise torch.OutOfMemoryError("Tried to allocate 2 GiB.\nDetails")

    out = tmp_path / "found" / "results.json"
    bench = Bench(CPU, out, 60, {"asked": "nothing"})
    assert bench.run("a", "1", out_of_memory) is None
    assert bench.run("a", "2", lambda: 1 / 0) is None
    assert bench.run("a", "3", lambda: {"found": 1.5}) == {"found": 1.5}
    late = Bench(CPU, out.with_name("late.json"), -1, {})
    assert late.run("a", "4", lambda: 1) is None
    entries = json.loads(out.read_text())["entries"]
    assert [entry.get("failed") for entry in entries] == [
        *("out of memory: Tried to allocate 2 GiB.", "ZeroDivisionError: division by zero", None),
    ]
    assert entries[2]["result"] == {"found": 1.5}
    assert late.entries == [{"kind": "a", "name": "4", "left_out": "-1 s have passed"}]


def test_our_own_steps_are_measured_recomputed_or_not(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    group = tiny(GROUPS)[0]
    bench = Bench(CPU, tmp_path / "results.json", 60, {})
    steps = Steps(bench, group)
    packed, recomputed = (
        steps.measure(replace(next(s for s in group.settings if bool(s.checkpointing) is again), rows_per_step=4), 1)
        for again in (False, True)
    )
    assert packed["attention"] == "fireact_varlen"
    assert (packed["recomputed"], recomputed["recomputed"]) == (False, True)
    assert packed["padding_percent"] == 0.0
    assert packed["losses"][0] == pytest.approx(6.3, abs=0.3)  # nothing is learnt yet: about ln 512
    assert packed["tokens_per_step"] == recomputed["tokens_per_step"] > 700
    assert packed["mfu_percent"] > 0


def test_a_model_is_made_in_four_bits_layer_by_layer_and_trained_by_peft_as_such(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    model = build_quantized(TINY_GROUPED, CPU, torch.float32)
    linear = {name: m for name, m in model.named_modules() if isinstance(m, torch.nn.Linear)}
    assert sorted(name for name, m in linear.items() if not isinstance(m, Linear4bit)) == ["lm_head"]
    assert len(linear) == 2 * 7 + 1
    assert all(
        m.weight.dtype == torch.uint8 and m.weight.quant_state.nested for m in linear.values() if m is not model.lm_head
    )
    group = next(g for g in tiny(GOALS) if g.tuning == "qlora")
    steps = Steps(Bench(CPU, tmp_path / "results.json", 60, {}), group)
    adapted = {type(m).__name__ for name, m in steps._base.named_modules() if name.endswith(("q_proj", "v_proj"))}
    assert adapted == {"Linear4bit"}  # PEFT's, around bitsandbytes'
    found = steps.measure(replace(group.settings[0], rows_per_step=2), 1)
    assert found["planned_gib"] > 0
    assert found["losses"][0] == pytest.approx(6.3, abs=0.3)
