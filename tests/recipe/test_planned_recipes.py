"""The recipes for larger students: what their first lines promise is what the plan says."""

from importlib import resources

import pytest
from model_configs import CONFIGS

from fireact_ray.recipe.loader import load_recipe
from fireact_ray.training.forecast.fitting import Training, fits, memory_on, smallest_gpu
from fireact_ray.training.forecast.gpus import find_gpu, flops_per_token, training_hours
from fireact_ray.training.forecast.memory import GIB
from fireact_ray.training.forecast.model_shape import ModelShape

# The GPU, its memory and the host's in GiB, hours of 500 rows of 600 tokens.
PROMISED = {
    "hotpotqa": ("A100-40", "35.1", "14.6", "0.5"),
    "hotpotqa-llama2-13b": ("H100", "58.7", "26.2", "0.3"),
    "hotpotqa-codellama-7b": ("A100-40", "35.1", "14.6", "0.5"),
    "hotpotqa-codellama-13b": ("H100", "58.7", "26.2", "0.3"),
    "hotpotqa-codellama-34b": ("H200", "122.6", "64.9", "0.9"),
    "hotpotqa-qwen3-4b": ("A100-40", "32.1", "9.5", "0.3"),
}
QLORA = ("train.tuning=qlora", "train.activation_checkpointing=1", "train.micro_batch_tokens=2048")
FULL_ON_8 = ("train.tuning=full", "train.activation_checkpointing=1", "train.sharding=fsdp2", "train.workers=8")
# Other settings, the smallest GPU for them, and its memory in GiB.
VARIANTS = [
    ("hotpotqa", QLORA, "T4", "7.5"),
    ("hotpotqa", ("train.tuning=full", "train.micro_batch_tokens=2048"), "H200", "134.8"),
    ("hotpotqa", FULL_ON_8, "RTX-4090", "18.7"),
    ("hotpotqa-llama2-13b", QLORA, "T4", "11.8"),
    ("hotpotqa-llama2-13b", FULL_ON_8, "A100-40", "33.0"),
    ("hotpotqa-codellama-7b", QLORA, "T4", "7.5"),
    ("hotpotqa-codellama-7b", FULL_ON_8, "RTX-4090", "18.7"),
    ("hotpotqa-codellama-13b", QLORA, "T4", "11.8"),
    ("hotpotqa-codellama-13b", FULL_ON_8, "A100-40", "33.0"),
    ("hotpotqa-codellama-34b", QLORA, "RTX-4090", "21.9"),
    ("hotpotqa-codellama-34b", FULL_ON_8, "H100", "79.4"),
    ("hotpotqa-qwen3-4b", QLORA, "T4", "7.0"),
    ("hotpotqa-qwen3-4b", ("train.tuning=full",), "H200", "103.8"),
]


def first_lines(name: str) -> str:

    return (resources.files("fireact_ray.recipe.shipped") / f"{name}.yaml").read_text(encoding="utf-8")


def training_of(name: str, *overrides: str) -> Training:
    recipe = load_recipe(name, overrides)
    shape = ModelShape.from_config(CONFIGS[name])
    return Training(shape, recipe.train, recipe.convert.max_length, recipe.train.workers.min)


@pytest.mark.parametrize("name", CONFIGS)
def test_it_fits_on_the_gpu_that_it_names_in_the_memory_and_hours_that_it_names(name: str):
    gpu_name, memory, host, hours = PROMISED[name]
    training, gpu = training_of(name), find_gpu(gpu_name)
    planned = memory_on(training, gpu)
    assert fits(training, gpu)
    assert (f"{planned.worker / GIB:.1f}", f"{planned.host / GIB:.1f}") == (memory, host)
    flops = flops_per_token(training.shape, training.config, 600, 0.5) * 500 * 600 * training.config.epochs
    assert f"{training_hours(flops, gpu, training.config, 1):.1f}" == hours
    promise = f"#   {gpu_name}: {memory} GiB of its memory, {host} GiB of the host's, {hours} h for 500 rows"
    assert promise in first_lines(name)


@pytest.mark.parametrize(("name", "settings", "gpu_name", "memory"), VARIANTS)
def test_other_tunings_fit_where_it_is_promised(name, settings, gpu_name, memory):
    training, gpu = training_of(name, *settings), find_gpu(gpu_name)
    assert smallest_gpu(training) == gpu
    assert f"{memory_on(training, gpu).worker / GIB:.1f}" == memory
    each = " each" if training.workers > 1 else ""
    promise = f"{' '.join(f'--set {setting}' for setting in settings)},\n#     {gpu_name}: {memory} GiB{each}\n"
    assert promise in first_lines(name)
