"""QLoRA on a CPU: a base in four bits, adapters in fp32, losses near those of LoRA."""

import json
from pathlib import Path

import peft
import pytest
import torch
from bitsandbytes.nn import Linear4bit
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from fireact_ray.core.errors import InputError, TrainingError
from fireact_ray.training.artifacts import load_trained
from fireact_ray.training.checkpoint_folders import latest_checkpoint
from fireact_ray.training.config import TrainConfig
from fireact_ray.training.forecast.activations import Load
from fireact_ray.training.forecast.memory import Layout, plan_memory
from fireact_ray.training.forecast.model_shape import ModelShape
from fireact_ray.training.loop import train
from fireact_ray.training.model import load_base, prepare
from fireact_ray.training.quantized import demand_sharded, load_quantized, paged_adamw

pytestmark = pytest.mark.torch

CPU = torch.device("cpu")
VOCABULARY, WIDTH, LAYERS = 32, 128, 4
PROMPT = torch.tensor([[5, 6, 7, 8, 1]])


@pytest.fixture(scope="module")
def wide_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small enough to train in seconds, wide enough for blocks of 64 weights."""
    torch.manual_seed(7)
    shape = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=64,
        tie_word_embeddings=False,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=1,
    )
    folder = tmp_path_factory.mktemp("wide")
    LlamaForCausalLM(shape).save_pretrained(folder)
    (folder / "tokenizer.json").write_text("{}")
    return folder


@pytest.fixture
def qlora(wide_base: Path, config: TrainConfig) -> TrainConfig:
    changed = {"base_model": str(wide_base), "tuning": "qlora", "learning_rate": 3e-3, "lora_dropout": 0.0}
    return config.changed(**changed)


def test_qlora_learns_as_lora_does_and_leaves_the_base_as_it_was(qlora, wide_base: Path, dataset_dir: Path, tmp_path):
    on_disk = (wide_base / "model.safetensors").read_bytes()
    runs: dict[str, list[float]] = {"lora": [], "qlora": []}
    for tuning, losses in runs.items():
        config = qlora.changed(tuning=tuning, epochs=5, micro_batch_tokens=256)
        result = train(config, dataset_dir, tmp_path / tuning, on_log=lambda entry, to=losses: to.append(entry["loss"]))
    assert max(abs(a - b) for a, b in zip(*runs.values(), strict=True)) <= 0.02
    assert runs["qlora"] != runs["lora"]
    assert runs["qlora"][-1] < runs["qlora"][0] - 1
    assert (wide_base / "model.safetensors").read_bytes() == on_disk
    # 4 layers x rank 8 x inputs and outputs of q, k, v, o, gate, up, down
    adapters = LAYERS * 8 * (256 + 192 + 192 + 256 + 384 + 384 + 384)
    base = sum(weight.numel() for weight in load_file(wide_base / "model.safetensors").values())
    assert (result.trainable_parameters, result.total_parameters) == (adapters, base + adapters)
    assert json.loads((tmp_path / "qlora" / "fireact.json").read_text())["tuning"] == "qlora"


def test_the_adapter_loads_in_plain_peft_and_here_on_the_base_at_full_width(
    qlora, wide_base: Path, dataset_dir: Path, tmp_path: Path
):
    train(qlora, dataset_dir, tmp_path / "model")
    assert not (tmp_path / "model" / "model.safetensors").exists()
    plain = peft.PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(wide_base), tmp_path / "model").eval()
    ours = load_trained(tmp_path / "model")
    with torch.inference_mode():
        expected, found = plain(input_ids=PROMPT).logits, ours.model(input_ids=PROMPT).logits
        base = load_base(wide_base)(input_ids=PROMPT).logits
    assert ours.tuning == "qlora"
    assert torch.equal(found, expected)
    assert (found - base).abs().max() > 0.1
    assert not any(isinstance(module, Linear4bit) for module in ours.model.modules())


def test_a_resumed_run_equals_an_uninterrupted_one(qlora, dataset_dir: Path, tmp_path: Path):
    config = qlora.changed(lora_dropout=0.1, checkpoint_every_steps=4)
    train(config, dataset_dir, tmp_path / "whole")
    checkpoint = latest_checkpoint(tmp_path / "whole.checkpoints")
    train(config, dataset_dir, tmp_path / "resumed", resume_from=checkpoint)
    one, other = (load_file(tmp_path / name / "adapter_model.safetensors") for name in ("whole", "resumed"))
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert sum(weight.numel() for weight in load_file(checkpoint / "weights.safetensors").values()) == 65536


def test_every_linear_layer_but_the_head_is_in_four_bits_and_has_an_adapter_in_fp32(qlora, wide_base: Path):
    model = prepare(load_quantized(wide_base, CPU, bf16=False), qlora).model
    quantised = {name: module for name, module in model.named_modules() if isinstance(module, Linear4bit)}
    adapted = {n for n in quantised if n.endswith(".base_layer")}
    assert len(adapted) == 7 * LAYERS == len(quantised)
    assert all(m.weight.quant_state.quant_type == "nf4" and m.weight.quant_state.nested for m in quantised.values())
    assert {m.weight.dtype for m in quantised.values()} == {torch.uint8}  # as numbers, some would be NaN, and all alike
    assert not any(m.support_avx512bf16_for_cpu for m in quantised.values())
    assert {p.dtype for p in model.parameters() if p.requires_grad} == {torch.float32}
    assert {name.split(".")[-3] for name, p in model.named_parameters() if p.requires_grad} == {"lora_A", "lora_B"}
    assert not isinstance(model.get_output_embeddings(), Linear4bit)


def test_four_bit_weights_that_sharding_would_leave_without_their_scales_are_refused(qlora, wide_base: Path):
    model = prepare(load_quantized(wide_base, CPU, bf16=False), qlora).model
    demand_sharded(model)
    layers = [module for module in model.modules() if isinstance(module, Linear4bit)]
    layers[3].quant_state = None  # versions that keep them with the weight alone
    with pytest.raises(TrainingError, match=r"bitsandbytes 0\.48 or newer; or train\.sharding ddp"):
        demand_sharded(model)


def test_the_planned_weights_are_the_bytes_of_the_quantised_model(qlora, wide_base: Path):
    model = prepare(load_quantized(wide_base, CPU, bf16=False), qlora).model
    states = [p.quant_state for p in model.parameters() if hasattr(p, "quant_state")]
    scales = [tensor for s in states for tensor in (s.absmax, s.code, s.offset, s.state2.absmax)]
    frozen = [p for p in model.parameters() if not p.requires_grad]
    real = sum(tensor.nbytes for tensor in (*frozen, *scales))
    shape = ModelShape.from_config(json.loads((wide_base / "config.json").read_text()))
    planned = plan_memory(shape, qlora, Layout(on_gpu=False, bf16=False), Load(1, 64))
    assert planned.weights - 4 * 65536 == pytest.approx(real, rel=0.02)  # without the adapters, in fp32


def test_a_base_that_is_stored_quantised_is_refused(wide_base: Path, tmp_path: Path):
    load_quantized(wide_base, CPU, bf16=False).save_pretrained(tmp_path / "four")
    (tmp_path / "four" / "tokenizer.json").write_text("{}")
    with pytest.raises(
        InputError, match=r"is stored quantised; whole weights are loaded here\. Name the original model"
    ):
        load_base(tmp_path / "four")


def test_the_paged_optimizer_takes_the_steps_of_adamw_also_after_a_restart(tmp_path: Path):
    """On a CPU nothing is paged; what is computed and stored is the same."""
    draw = torch.Generator().manual_seed(3)
    start = torch.randn(40, 30, generator=draw)
    ours, theirs = torch.nn.Parameter(start.clone()), torch.nn.Parameter(start.clone())
    groups = [{"params": [ours], "weight_decay": 0.1}]
    with pytest.warns(UserWarning, match="not supported on CPU"):
        optimizer, plain = paged_adamw(groups, 1e-2), torch.optim.AdamW([theirs], 1e-2, weight_decay=0.1)
        for step in range(6):
            gradient = torch.randn(40, 30, generator=draw)
            ours.grad, theirs.grad = gradient.clone(), gradient.clone()
            optimizer.step()
            plain.step()
            if step == 2:
                torch.save(optimizer.state_dict(), tmp_path / "state.pt")
                optimizer = paged_adamw([{"params": [ours], "weight_decay": 0.1}], 1e-2)
                optimizer.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=0)
    assert not torch.allclose(ours, start, atol=1e-2)
