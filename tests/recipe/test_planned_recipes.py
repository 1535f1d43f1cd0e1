"""The recipes for larger students: what their first lines promise is what the plan says."""

from importlib import resources

import pytest
from model_configs import CONFIGS

from fireact_ray.recipe.loader import load_recipe
from fireact_ray.training.forecast.fitting import Training, fits, memory_on
from fireact_ray.training.forecast.gpus import find_gpu, flops_per_token, training_hours
from fireact_ray.training.forecast.memory import GIB
from fireact_ray.training.forecast.model_shape import ModelShape

# The GPU, its memory and the host's in GiB, hours of 500 rows of 600 tokens.
PROMISED = {
    "hotpotqa": ("A100-40", "35.6", "14.6", "0.5"),
    "hotpotqa-llama2-13b": ("H100", "59.4", "26.2", "0.3"),
    "hotpotqa-codellama-7b": ("A100-40", "35.6", "14.6", "0.5"),
    "hotpotqa-codellama-13b": ("H100", "59.4", "26.2", "0.3"),
    "hotpotqa-codellama-34b": ("H200", "128.9", "64.9", "0.9"),
    "hotpotqa-qwen3-4b": ("A100-40", "34.5", "9.5", "0.3"),
}
PROMISED_IN_FULL = {"hotpotqa": (2048, "H200", "134.8"), "hotpotqa-qwen3-4b": (4096, "H200", "106.2")}


def first_lines(name: str) -> str:

    return (resources.files("fireact_ray.recipe.shipped") / f"{name}.yaml").read_text(encoding="utf-8")


def training_of(name: str, *overrides: str) -> Training:
    recipe = load_recipe(name, overrides)
    shape = ModelShape.from_config(CONFIGS[name])
    return Training(shape, recipe.train, recipe.convert.max_length, recipe.train.workers)


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


@pytest.mark.parametrize("name", PROMISED_IN_FULL)
def test_full_tuning_fits_where_it_is_promised(name: str):
    tokens, gpu_name, memory = PROMISED_IN_FULL[name]
    training, gpu = training_of(name, "train.tuning=full", f"train.micro_batch_tokens={tokens}"), find_gpu(gpu_name)
    assert fits(training, gpu)
    assert f"{memory_on(training, gpu).worker / GIB:.1f}" == memory
    assert f"#   full: --set train.tuning=full --set train.micro_batch_tokens={tokens}, {gpu_name}: {memory} GiB" in (
        first_lines(name)
    )
