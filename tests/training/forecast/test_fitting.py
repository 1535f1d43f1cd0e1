"""Where a training fits, the smallest change that makes it fit, and hours."""

import re
from dataclasses import replace

import pytest

from fireact_ray.core.errors import InputError
from fireact_ray.training.config import TrainConfig
from fireact_ray.training.forecast.fitting import Training, fits, memory_on, smallest_change, smallest_gpu
from fireact_ray.training.forecast.gpus import GPUS, find_gpu, flops_again, flops_per_token, training_hours
from fireact_ray.training.forecast.model_shape import ModelShape
from fireact_ray.training.forecast.text import refusal, training_text

LLAMA_2_7B = ModelShape(4096, 11008, 32, 32, 32, 128, 32000)
CODELLAMA_34B = ModelShape(8192, 22016, 48, 64, 8, 128, 32000)
LORA = TrainConfig(base_model="any", lora_target_modules=("q_proj", "v_proj"), micro_batch_tokens=16384)
FULL = LORA.changed(tuning="full")
H100, H200, A100_40, RTX_4090 = (find_gpu(name) for name in ("H100", "H200", "A100-40", "4090"))


def on_7b(config: TrainConfig = LORA, max_length: int = 2048, **settings) -> Training:
    return Training(LLAMA_2_7B, config.changed(**settings), max_length)


def test_the_largest_micro_batch_is_what_a_step_and_the_setting_allow():
    assert (on_7b().load.lines, on_7b().load.length, on_7b().load.is_masked) == (1, 16384, False)
    assert on_7b(global_batch_size=2).load.length == 4096
    masked = on_7b(attention="sdpa").load
    assert (masked.lines, masked.length, masked.is_masked) == (8, 2048, True)
    packed = on_7b(attention="sdpa", pack_tokens=4096).load
    assert (packed.lines, packed.length, packed.is_masked) == (4, 4096, True)
    assert on_7b(attention="sdpa", micro_batch_tokens=2048).load.is_masked is False
    windowed = replace(on_7b(), shape=replace(LLAMA_2_7B, varlen=False))
    assert windowed.load == masked


def test_smaller_micro_batches_come_first_then_layers_computed_again_then_lora_then_four_bits_then_shorter_rows():
    assert not fits(on_7b(), H100)
    assert smallest_change(on_7b(), H100) == {"train.micro_batch_tokens": 8192}
    assert smallest_change(on_7b(FULL), A100_40) == {"train.tuning": "lora", "train.micro_batch_tokens": 4096}
    again = {"train.activation_checkpointing": 1}
    assert smallest_change(on_7b(), RTX_4090) == again
    assert smallest_change(on_7b(FULL, activation_checkpointing=1), A100_40) == {"train.tuning": "lora"}
    tight = replace(RTX_4090, mib=16_384)
    assert smallest_change(on_7b(), tight) == again | {"train.micro_batch_tokens": 2048}
    tighter = replace(RTX_4090, mib=12_288)
    assert smallest_change(on_7b(), tighter) == {"train.tuning": "qlora"} | again | {"train.micro_batch_tokens": 8192}


def test_full_tuning_rests_its_moments_in_host_memory_before_it_becomes_lora():
    resting = {"train.activation_checkpointing": 1, "train.offload_optimizer": True}
    assert smallest_change(on_7b(FULL), H100) == resting
    settings = {name.removeprefix("train."): value for name, value in resting.items()}
    assert smallest_change(on_7b(FULL, **settings), H100) == {}


def test_shards_of_34b_fit_where_the_whole_does_not_and_in_four_bits_where_shards_do_not():
    def spread(config: TrainConfig, workers: int) -> Training:
        return Training(CODELLAMA_34B, config.changed(sharding="fsdp2"), 2048, workers)

    again = {"train.activation_checkpointing": 1}
    assert smallest_change(spread(LORA, 8), RTX_4090) == again
    assert smallest_change(spread(FULL, 8), H100) == again | {"train.micro_batch_tokens": 4096}
    assert smallest_change(spread(LORA, 2), RTX_4090) == again | {
        "train.tuning": "qlora",
        "train.micro_batch_tokens": 8192,
    }


@pytest.mark.parametrize("gpu", GPUS, ids=lambda gpu: gpu.name)
@pytest.mark.parametrize("config", [LORA, FULL], ids=["lora", "full"])
def test_what_is_named_fits(config, gpu):
    change = smallest_change(on_7b(config), gpu)
    if change is not None:
        length = change.pop("convert.max_length", 2048)
        settings = {name.removeprefix("train."): value for name, value in change.items()}
        assert memory_on(on_7b(config, length, **settings), gpu).worker <= gpu.memory


def test_34b_in_full_fits_on_no_gpu_and_says_what_does():
    training = Training(CODELLAMA_34B, FULL, 2048)
    assert smallest_gpu(training) is None
    assert smallest_change(training, H200) == {"train.tuning": "lora", "train.micro_batch_tokens": 4096}
    text = refusal(training, H200)
    assert text.startswith("train: needs 927.2 GiB a GPU (planned), H200 has 140.4.")
    assert text.endswith("The smallest change that fits: --set train.tuning=lora --set train.micro_batch_tokens=4096.")


def test_a_gpu_without_bf16_computes_in_fp32_and_holds_the_base_so():
    t4 = find_gpu("t4")
    assert memory_on(on_7b(), t4).weights > 1.9 * memory_on(on_7b(), H100).weights
    assert smallest_change(on_7b(), t4) == {
        "train.tuning": "qlora",
        "train.activation_checkpointing": 1,
        "train.micro_batch_tokens": 8192,
    }


@pytest.mark.parametrize(
    ("name", "found"),
    [("h100", "H100"), ("A100", "A100-40"), ("A100-80G", "A100-80"), ("RTX 4090", "RTX-4090"), ("H100-80", "H100")],
)
def test_gpus_are_found_by_their_other_names(name, found):
    assert find_gpu(name).name == found


def test_an_unknown_gpu_is_refused_with_the_known_ones():
    with pytest.raises(InputError, match=r"GPU 'L40' is not known. Did you mean 'L40S'\? Known: T4, RTX-4090, A100-40"):
        find_gpu("L40")


def test_lora_takes_four_flops_a_weight_and_token_and_full_tuning_six():
    matrices = 32 * (4 * 4096 * 4096 + 3 * 4096 * 11008)
    full = flops_per_token(LLAMA_2_7B, FULL, 0, 1.0)
    assert full == 6 * (matrices + 32000 * 4096)
    assert flops_per_token(LLAMA_2_7B, LORA, 0, 1.0) == full * 4 / 6 + 6 * 4_194_304
    assert flops_per_token(LLAMA_2_7B, FULL, 2048, 1.0) - full == 12 * 32 * 4096 * 2048


def test_a_layer_that_is_computed_again_takes_a_forward_pass_more():
    matrices = 32 * (4 * 4096 * 4096 + 3 * 4096 * 11008)
    assert flops_again(LLAMA_2_7B, FULL, 2048) == 0
    assert flops_again(LLAMA_2_7B, FULL.changed(activation_checkpointing=1), 0) == 2 * matrices
    assert flops_again(LLAMA_2_7B, FULL.changed(activation_checkpointing=4), 0) == 2 * matrices / 4


def test_hours_are_flops_by_peak_and_the_assumed_share_of_it():
    assert training_hours(3600 * 989e12, H100, LORA, workers=1) == pytest.approx(2.5)
    assert training_hours(3600 * 989e12, H100, LORA, workers=5) == pytest.approx(0.5)
    assert training_hours(3600 * 67e12, H100, LORA.changed(precision="fp32"), workers=1) == pytest.approx(2.5)


def test_bf16_asked_of_a_gpu_that_has_none_is_refused():
    with pytest.raises(InputError, match="T4 has no bf16 instructions; set precision auto or fp32"):
        training_hours(1.0, find_gpu("T4"), LORA.changed(precision="bf16"), workers=1)


def test_the_text_tells_parts_fit_and_hours():
    text = training_text(on_7b(micro_batch_tokens=4096), 300_000, on_gpu=True, gpu=A100_40)
    assert "6.74 B parameters, lora of rank 8, 1 workers, ddp" in text
    assert "largest micro-batch: 4096 tokens, 50% of them trained" in text
    assert re.search(r"^\| weights +\| +12\.57 GiB \|$", text, re.MULTILINE)
    assert "fits on A100-40" in text
    assert "largest micro-batch: 2 x 2048 tokens" in training_text(
        on_7b(micro_batch_tokens=4096, attention="sdpa"), None, on_gpu=True, gpu=A100_40
    )
    assert "hours, planned: 3.5 min on 1 x A100-40 for 3 x 300,000 tokens, at an assumed 40% of the peak" in text


def test_without_a_gpus_name_the_text_tells_where_it_fits_and_without_a_dataset_no_hours():
    text = training_text(on_7b(), None, on_gpu=True, gpu=None)
    assert "fits on: H200 (--gpu names one)" in text
    assert "hours: unknown until there is a dataset" in text
