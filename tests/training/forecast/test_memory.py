"""The plan of a training's memory against a trace of the training's own steps, by one worker and by FSDP2 for eight."""

from typing import Any

import pytest
from model_configs import CONFIGS

from fireact_ray.core.errors import InputError
from fireact_ray.recipe.loader import load_recipe
from fireact_ray.training.config import TrainConfig, TrainSettings
from fireact_ray.training.forecast.activations import Load
from fireact_ray.training.forecast.memory import GIB, Layout, plan_memory
from fireact_ray.training.forecast.model_shape import ModelShape

LLAMA_2_7B = {
    "model_type": "llama",
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 32,
    "vocab_size": 32000,
}
LLAMA_2_13B = LLAMA_2_7B | {
    "hidden_size": 5120,
    "intermediate_size": 13824,
    "num_hidden_layers": 40,
    "num_attention_heads": 40,
    "num_key_value_heads": 40,
}
CODELLAMA_34B = LLAMA_2_7B | {
    "hidden_size": 8192,
    "intermediate_size": 22016,
    "num_hidden_layers": 48,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
}
MISTRAL_7B = LLAMA_2_7B | {"model_type": "mistral", "intermediate_size": 14336, "num_key_value_heads": 8}
QWEN2_1_5B = {
    "model_type": "qwen2",
    "hidden_size": 1536,
    "intermediate_size": 8960,
    "num_hidden_layers": 28,
    "num_attention_heads": 12,
    "num_key_value_heads": 2,
    "vocab_size": 151936,
    "tie_word_embeddings": True,
}
QWEN3_4B = {
    "model_type": "qwen3",
    "hidden_size": 2560,
    "intermediate_size": 9728,
    "num_hidden_layers": 36,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "vocab_size": 151936,
    "tie_word_embeddings": True,
}
LORA = TrainConfig(base_model="any", lora_target_modules=("q_proj", "v_proj"))
ALL_LINEAR = TrainConfig(base_model="any", lora_dropout=0.0)
FULL = TrainConfig(base_model="any", tuning="full")
MASKED = {"attention": "sdpa"}

# Of two layers, unless said otherwise.
TRACED = {
    "Llama-2-7B, LoRA": (LLAMA_2_7B, LORA),
    "Llama-2-7B, full": (LLAMA_2_7B, FULL),
    "CodeLlama-34B, LoRA": (CODELLAMA_34B, LORA),
    "CodeLlama-34B, LoRA, masked": (CODELLAMA_34B, LORA.changed(**MASKED)),
    "CodeLlama-34B, full, masked": (CODELLAMA_34B, FULL.changed(**MASKED)),
    "Qwen3-4B, LoRA on every linear layer": (QWEN3_4B, ALL_LINEAR),
    "Llama-2-7B, full, every layer again": (LLAMA_2_7B, FULL.changed(activation_checkpointing=1)),
    "four layers, LoRA, two of them again": (LLAMA_2_7B, LORA.changed(activation_checkpointing=2)),
}


@pytest.mark.torch
@pytest.mark.parametrize("name", TRACED)
def test_plan_and_trace_agree_within_a_tenth(name: str):
    from .memory_trace import traced_peak

    whole, config = TRACED[name]
    layers = 4 if name.startswith("four") else 2
    shape = whole | {"num_hidden_layers": layers}
    traced = traced_peak(shape, config, rows=2, length=2048)
    load = Load(2, 2048) if config.attention == "sdpa" else Load(1, 4096)
    planned = plan_memory(ModelShape.from_config(shape), config, Layout(), load)
    assert 0.9 <= planned.tensors / traced <= 1.1


# Of two layers by eight workers; a recipe as it is shipped, in full, and with layers computed again.
SHARDED = [
    *((name, {}) for name in CONFIGS),
    *((name, {"tuning": "full"}) for name in ("hotpotqa", "hotpotqa-codellama-34b", "hotpotqa-qwen3-4b")),
    *(("hotpotqa-codellama-34b", {"tuning": tuning, "activation_checkpointing": 1}) for tuning in ("lora", "full")),
]


@pytest.mark.torch
@pytest.mark.parametrize(("name", "change"), SHARDED)
def test_by_fsdp2_plan_and_trace_agree_within_a_tenth(name: str, change: dict[str, Any]):
    from .memory_trace import traced_peak

    settings = load_recipe(name).train.model_dump(include=set(TrainSettings.model_fields))
    config = TrainConfig.from_dict({**settings, "base_model": "any", "sharding": "fsdp2", **change})
    shape = CONFIGS[name] | {"num_hidden_layers": 2}
    traced = traced_peak(shape, config, rows=2, length=2048, workers=8)
    layout = Layout(workers=8, sharding="fsdp2")
    planned = plan_memory(ModelShape.from_config(shape), config, layout, Load(1, config.micro_batch_tokens))
    assert 0.9 <= planned.tensors / traced <= 1.1


@pytest.mark.torch
def test_by_fsdp2_a_layer_between_others_has_the_gradients_of_the_one_behind_it_beside_its_own():
    from .memory_trace import traced_peak

    config = FULL.changed(sharding="fsdp2", activation_checkpointing=1)
    shape = LLAMA_2_7B | {"num_hidden_layers": 3}
    traced = traced_peak(shape, config, rows=2, length=2048, workers=8)
    layout = Layout(workers=8, sharding="fsdp2")
    planned = plan_memory(ModelShape.from_config(shape), config, layout, Load(1, 4096))
    assert planned.tensors == pytest.approx(traced, rel=0.1)
    assert planned.exchange > 10 * 202_375_168  # two copies of a layer in bf16, gradients of another in fp32


@pytest.mark.torch
@pytest.mark.parametrize("config", [LORA, FULL], ids=["lora", "full"])
def test_another_layer_takes_what_the_plan_adds_for_it(config: TrainConfig):
    from .memory_trace import traced_peak

    def both(layers: int) -> tuple[int, int]:
        shape = CODELLAMA_34B | {"num_hidden_layers": layers}
        planned = plan_memory(ModelShape.from_config(shape), config, Layout(), Load(1, 4096)).tensors
        return planned, traced_peak(shape, config, rows=4, length=1024)

    (less, traced_less), (more, traced_more) = both(2), both(3)
    assert more - less == pytest.approx(traced_more - traced_less, rel=0.03)


@pytest.mark.parametrize(
    ("config", "parameters"),
    [
        (LLAMA_2_7B, 6_738_415_616),
        (LLAMA_2_13B, 13_015_864_320),
        (CODELLAMA_34B, 33_743_970_304),
        (MISTRAL_7B, 7_241_732_096),
        (QWEN2_1_5B, 1_543_714_304),
        (QWEN3_4B, 4_022_468_096),
    ],
    ids=["Llama-2-7B", "Llama-2-13B", "CodeLlama-34B", "Mistral-7B", "Qwen2-1.5B", "Qwen3-4B"],
)
def test_parameters_are_those_that_the_models_have(config: dict[str, Any], parameters: int):
    assert ModelShape.from_config(config).parameters == parameters


def test_full_tuning_takes_16_bytes_a_parameter_and_lora_two():
    shape = ModelShape.from_config(LLAMA_2_7B)
    full = plan_memory(shape, FULL, Layout(), Load(1, 2048))
    lora = plan_memory(shape, LORA, Layout(), Load(1, 2048))
    assert (full.weights, full.gradients, full.optimizer) == tuple(n * 6_738_415_616 for n in (4, 4, 8))
    adapters = 4_194_304  # 32 layers x 2 projections x 8 x (4096 + 4096)
    assert lora.weights == 2 * 6_738_415_616 + 4 * adapters
    assert (lora.gradients, lora.optimizer) == (4 * adapters, 8 * adapters)


def test_four_bits_take_a_quarter_of_lora_and_go_to_the_gpu_tensor_by_tensor():
    shape = ModelShape.from_config(LLAMA_2_7B)
    lora, qlora = (plan_memory(shape, LORA.changed(tuning=t), Layout(), Load(1, 2048)) for t in ("lora", "qlora"))
    matrices = 6_476_005_376 // 2 + 6_476_005_376 // 64 + 6_476_005_376 // 4096 + 32 * 7 * 68  # codes, scales, tables
    assert qlora.weights == matrices + 2 * 262_410_240 + 4 * 4_194_304  # embedding, head and norms in bf16; adapters
    assert (qlora.gradients, qlora.optimizer, qlora.activations) == (lora.gradients, lora.optimizer, lora.activations)
    assert qlora.host == 2 * 32000 * 4096 + 2 * GIB
    assert lora.host == 2 * 6_738_415_616 + 2 * GIB


def test_more_workers_add_a_copy_of_the_gradients_and_load_the_base_once_each():
    shape = ModelShape.from_config(LLAMA_2_7B)
    one = plan_memory(shape, FULL, Layout(), Load(1, 2048))
    four = plan_memory(shape, FULL, Layout(workers=4), Load(1, 2048))
    assert (one.exchange, four.exchange) == (0, 4 * 6_738_415_616)
    assert plan_memory(shape, LORA, Layout(workers=4), Load(1, 2048)).host == 4 * (2 * 6_738_415_616 + 2 * GIB)
    assert plan_memory(shape, LORA, Layout(workers=4, hosts=4), Load(1, 2048)).host == 2 * 6_738_415_616 + 2 * GIB


def test_shards_divide_the_states_and_gather_layers_instead_of_copying_weights():
    shape = ModelShape.from_config(CODELLAMA_34B)
    whole = plan_memory(shape, FULL, Layout(workers=8), Load(1, 2048))
    shard = plan_memory(shape, FULL, Layout(workers=8, sharding="fsdp2"), Load(1, 2048))
    assert (shard.weights, shard.gradients, shard.optimizer) == tuple(
        n // 8 for n in (whole.weights, whole.gradients, whole.optimizer)
    )
    layer, embedding, down = 692_060_160, 32000 * 8192, 8192 * 22016
    gathered = 2 * (2 * layer + 2 * embedding)  # the layer at work, the next one, both ends
    sent = 2 * (embedding + down) + 4 * layer  # the head's gradient, a first one of this layer, those of the one behind
    assert (shard.copies, shard.exchange) == (0, gathered + sent)
    assert shard.activations < whole.activations  # in bf16, and those of the last layer are gone


def test_each_worker_quantises_the_whole_base_before_it_keeps_its_slice():
    shape = ModelShape.from_config(CODELLAMA_34B)
    qlora = LORA.changed(tuning="qlora")
    one, eight = (plan_memory(shape, qlora, Layout(n, sharding=s), Load(1, 256)) for n, s in ((1, "ddp"), (8, "fsdp2")))
    matrices, others = 48 * 692_060_160, 33_743_970_304 - 48 * 692_060_160
    scales = matrices // 64 + matrices // 4096 + 48 * 7 * 68
    assert eight.weights == pytest.approx(matrices // 16 + scales + 2 * others // 8 + 4 * 9_830_400 // 8, abs=2)
    assert eight.tensors >= one.weights - 4 * 9_830_400 > eight.weights * 2
    assert eight.host == 8 * (2 * 32000 * 8192 + 2 * GIB)


def test_moments_that_rest_in_host_memory_are_pinned_there_in_powers_of_two():
    shape = ModelShape.from_config(LLAMA_2_7B)
    resting = FULL.changed(offload_optimizer=True)
    # q, k, v, o; gate, up, down; embedding and head; norms: each 4 bytes a number, rounded up
    per_layer = 4 * (64 << 20) + 3 * (256 << 20) + 2 * (16 << 10)
    whole = 2 * (32 * per_layer + 2 * (512 << 20) + (16 << 10))
    for layout in (Layout(), Layout(workers=8, sharding="fsdp2")):
        here, there = (plan_memory(shape, config, layout, Load(1, 2048)) for config in (FULL, resting))
        assert (there.optimizer, here.tensors - there.tensors) == (0, here.optimizer)
        assert there.host - here.host == whole


def test_zero3_has_bf16_parts_beside_the_fp32_ones_and_deepspeeds_buffers():
    shape = ModelShape.from_config(LLAMA_2_7B)
    n, square, matrix, embedding = 6_738_415_616, 4096 * 4096, 4096 * 11008, 32000 * 4096
    plan = plan_memory(shape, FULL, Layout(workers=8, sharding="zero3"), Load(1, 2048))
    assert (plan.weights, plan.gradients, plan.optimizer) == (6 * n // 8, 4 * n // 8, 8 * n // 8)
    assert plan.exchange == 2 * (embedding + 3 * square + 2 * matrix) + 4 * 2 * square
    assert plan.copies == 0
    resting = FULL.changed(offload_optimizer=True)
    host = plan_memory(shape, resting, Layout(workers=8, sharding="zero3"), Load(1, 2048))
    assert (host.weights, host.gradients, host.optimizer) == (2 * n // 8, 0, 0)
    assert host.host - plan.host == 8 * 20 * (n // 8)
    on_cpu = plan_memory(shape, FULL, Layout(workers=8, on_gpu=False, bf16=False, sharding="zero3"), Load(1, 2048))
    assert on_cpu.weights == 8 * n // 8


def test_on_a_cpu_everything_is_in_the_hosts_memory_and_in_fp32():
    shape = ModelShape.from_config(QWEN2_1_5B)
    plan = plan_memory(shape, LORA, Layout(workers=2, on_gpu=False, bf16=False), Load(1, 512))
    assert plan.weights > 4 * shape.parameters
    assert plan.host == 2 * (plan.worker + GIB // 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "gpt2"}, r"model_type 'gpt2': the memory of such a model is not known. Known: llama, mistral"),
        ({"model_type": "mixtral"}, "model_type 'mixtral'"),
        ({"hidden_size": None}, "hidden_size is None, expected a whole number above 0"),
        ({"vocab_size": "32000"}, "vocab_size is '32000'"),
        ({"quantization_config": {"bits": 4}}, "stored quantised"),
    ],
)
def test_another_model_is_refused_by_name(change: dict[str, Any], message: str):
    with pytest.raises(InputError, match=message):
        ModelShape.from_config(LLAMA_2_7B | change)


def test_a_target_that_the_model_does_not_have_is_refused():
    shape = ModelShape.from_config(LLAMA_2_7B)
    with pytest.raises(InputError, match=r"target_modules: no c_attn here; known: q_proj, k_proj"):
        plan_memory(shape, LORA.changed(lora_target_modules=("q_proj", "c_attn")), Layout(), Load(1, 2048))
