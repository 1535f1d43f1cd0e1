"""Liger's kernels compute what torch does, whatever else is set; where they cannot run, one sentence says so.

Triton's interpreter runs the very kernels on a CPU: pip install liger-kernel, TRITON_INTERPRET=1 before Python starts.
Otherwise the tests that run them are skipped.
"""

import importlib.util
import os

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, MistralConfig, Qwen2Config, Qwen3Config
from transformers.models.auto.modeling_auto import AutoModelForCausalLM

from fireact_ray.core.errors import InputError, TrainingError
from fireact_ray.training import kernels as kernels_of
from fireact_ray.training.batching import collate
from fireact_ray.training.config import TrainConfig
from fireact_ray.training.data import Row
from fireact_ray.training.kernel_check import Difference, compare_kernels, few_rows, verify_kernels
from fireact_ray.training.kernels import demand_kernels, has_kernels, set_kernels
from fireact_ray.training.model import prepare
from fireact_ray.training.sharding.base import Here
from fireact_ray.training.sharding.ddp import Ddp

pytestmark = pytest.mark.torch

ALONE = Here(0, 1, torch.device("cpu"))
SIZES = {
    "vocab_size": 32,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 4,
}
FAMILIES = {"llama": LlamaConfig, "mistral": MistralConfig, "qwen2": Qwen2Config, "qwen3": Qwen3Config}


@pytest.fixture
def interpreted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels run by Triton's interpreter."""
    if absent := [name for name in ("triton", "liger_kernel") if importlib.util.find_spec(name) is None]:
        pytest.skip(f"{' and '.join(absent)} not installed")
    if os.environ.get("TRITON_INTERPRET") != "1":
        pytest.skip("TRITON_INTERPRET=1 is to be set before Python starts")
    # It leaves numbers as Python's (triton 3.9), where a compiled kernel gets Triton's; and has no CUDA library.
    interpreter = importlib.import_module("triton.runtime.interpreter")
    language = importlib.import_module("triton.language")
    convert = interpreter._implicit_cvt

    def converted(value):
        if not isinstance(value, float):
            return convert(value)
        return language.tensor(
            interpreter.TensorHandle(np.array([value], np.float32), language.float32), language.float32
        )

    monkeypatch.setattr(interpreter, "_implicit_cvt", converted)
    monkeypatch.setattr(importlib.import_module("liger_kernel.ops.rms_norm"), "rsqrt", lambda x: language.rsqrt(x))


def rows() -> list[Row]:
    draw = np.random.default_rng(5)
    return [Row(f"t{n}", draw.integers(1, 32, n).astype(np.int32), np.ones(n, np.int8)) for n in (9, 2, 17, 5)]


def made(family: str = "llama", **settings) -> tuple[Ddp, TrainConfig]:
    torch.manual_seed(7)
    window = {"sliding_window": None} if family == "mistral" else {}
    model = AutoModelForCausalLM.from_config(FAMILIES[family](**SIZES, **window))
    config = TrainConfig(base_model="m", **{"kernels": "liger", "lora_dropout": 0.1, "lora_rank": 2} | settings)
    prepared = prepare(model, config)
    for name, parameter in prepared.model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter.data, std=0.1)
    return Ddp(prepared, config, ALONE), config


@pytest.mark.parametrize(
    ("family", "settings"),
    [
        ("llama", {"tuning": "full"}),
        ("llama", {"tuning": "lora", "activation_checkpointing": 1}),
        ("llama", {"tuning": "full", "attention": "sdpa"}),
        ("mistral", {"tuning": "lora"}),
        ("qwen2", {"tuning": "full"}),
        ("qwen3", {"tuning": "full"}),
    ],
)
def test_loss_and_gradients_are_those_of_torch(interpreted, family: str, settings: dict):
    ddp, config = made(family, **settings)
    assert has_kernels(ddp.prepared.model)
    batch = collate([[row] for row in rows()], varlen=ddp.prepared.varlen)
    found = compare_kernels(ddp, batch, config, ALONE, bf16=False)
    assert found.is_allowed
    assert 0 < found.gradients < 1e-4  # not the same operations, but the same numbers
    assert has_kernels(ddp.prepared.model)
    assert all(p.grad is None for p in ddp.prepared.model.parameters())


def test_another_model_of_the_process_is_left_alone_and_so_is_the_same_one_later(interpreted):
    model = made()[0].prepared.model
    assert not has_kernels(LlamaForCausalLM(LlamaConfig(**SIZES)))
    set_kernels(model, "torch")
    assert not has_kernels(model)


def test_a_kernel_that_computes_something_else_is_found_before_the_first_step(interpreted, monkeypatch):
    ddp, config = made(tuning="full")
    right = kernels_of._liger().liger_swiglu
    monkeypatch.setattr(kernels_of._liger(), "liger_swiglu", lambda a, b: right(a, b * 1.01))
    with pytest.raises(
        TrainingError, match=r"^train.kernels liger does not compute what torch does.*Set it to torch\.$"
    ):
        verify_kernels(ddp, rows(), config, ALONE, bf16=False)


def test_what_is_no_number_is_no_agreement():
    assert Difference(1e-5, 1e-4, bf16=False).is_allowed
    assert not Difference(1e-5, 1e-2, bf16=False).is_allowed
    assert Difference(1e-3, 5e-2, bf16=True).is_allowed
    assert not Difference(float("nan"), 0.0, bf16=True).is_allowed


def test_without_a_gpu_the_kernels_are_refused():
    config = TrainConfig(base_model="m", kernels="liger")
    with pytest.raises(InputError, match=r"^train.kernels liger needs a GPU by CUDA; this training is on cpu"):
        demand_kernels(config, torch.device("cpu"))
    demand_kernels(config.changed(kernels="torch"), torch.device("cpu"))


def test_kernels_that_are_not_installed_are_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        InputError, match=r"needs triton and liger_kernel, not installed here: pip install liger-kernel"
    ):
        demand_kernels(TrainConfig(base_model="m", kernels="liger"), torch.device("cuda"))


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (LlamaConfig(**SIZES, hidden_act="gelu"), "this llama has the activation 'gelu', not silu"),
        ("gpt2", "model_type 'gpt2' is not one of llama, mistral, qwen2, qwen3"),
    ],
)
def test_a_model_that_the_kernels_are_not_known_for_is_refused(config, reason: str):
    if config == "gpt2":
        from transformers import GPT2Config

        config = GPT2Config(n_embd=8, n_head=2, n_layer=1, vocab_size=8)
    with pytest.raises(TrainingError, match=f"^train.kernels is liger, but {reason}"):
        set_kernels(AutoModelForCausalLM.from_config(config), "liger")


def test_no_more_rows_are_compared_than_a_forward_pass_holds() -> None:
    rows = [Row(str(i), np.arange(n), np.ones(n, np.uint8)) for i, n in enumerate((6, 5, 9, 2, 2))]
    assert [len(row.input_ids) for row in few_rows(rows, 11)] == [6, 5]
    assert [len(row.input_ids) for row in few_rows(rows, 3)] == [6]
    assert [len(row.input_ids) for row in few_rows(rows, 1000)] == [6, 5, 9, 2]
