"""The training section of `fireact plan`: of the base only its config is there, and no GPU."""

import json

import pytest

from fireact_ray.core.errors import InputError
from fireact_ray.recipe.loader import load_recipe
from fireact_ray.stages.plan_training import gpu_of, plan_training, training_section

LLAMA_2_7B = {
    "model_type": "llama",
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "vocab_size": 32000,
}


@pytest.fixture
def recipe_of(tmp_path, monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)

    def made(*overrides: str, **config: object):
        (tmp_path / "config.json").write_text(json.dumps(LLAMA_2_7B | config))
        places = (f"student.base_model={tmp_path}", f"output_dir={tmp_path / 'runs'}")
        return load_recipe("demo", ["train.use_gpu=true", *places, *overrides])

    return made


def test_a_training_that_does_not_fit_on_the_named_gpu_is_refused_with_what_would(recipe_of):
    recipe = recipe_of("train.tuning=full", "train.workers=1")
    offloaded = "--set train.activation_checkpointing=1 --set train.offload_optimizer=True"
    with pytest.raises(InputError, match=f"H100 has 79.6. The smallest change that fits: {offloaded}"):
        plan_training(recipe, "H100")
    with pytest.raises(InputError, match="H100 has"):
        training_section(recipe, "H100")
    assert "fits on: H200" in training_section(recipe, None)


def test_a_dataset_that_is_there_gives_the_share_of_trained_tokens_and_hours(recipe_of, tmp_path):
    recipe = recipe_of("train.tuning=lora")
    dataset = tmp_path / "runs" / "demo" / "dataset"
    dataset.mkdir(parents=True)
    (dataset / "manifest.json").write_text(json.dumps({"rows": 10, "tokens": 8000, "trained_tokens": 2000}))
    forecast = plan_training(recipe, "H100")
    assert (forecast.tokens, forecast.training.trained_share) == (8000, 0.25)
    assert "fits on H100\nhours, planned:" in forecast.text


def test_a_cpu_is_planned_in_host_memory(recipe_of):
    text = training_section(recipe_of("train.use_gpu=false"), None)
    assert "no GPU: all of it is host memory; hours unknown" in text
    with pytest.raises(InputError, match=r"this recipe trains on the CPU. Add --set train.use_gpu=true"):
        plan_training(recipe_of("train.use_gpu=false"), "H100")


def test_a_model_that_cannot_be_planned_holds_up_no_generation(recipe_of, tmp_path):
    recipe = recipe_of(model_type="gpt2")
    assert "training is not planned: student.base_model" in training_section(recipe, None)
    assert "model_type 'gpt2'" in training_section(recipe, None)
    (tmp_path / "config.json").write_text("{")
    assert "cannot be read as JSON" in training_section(recipe, None)
    with pytest.raises(InputError, match="cannot be read as JSON"):
        training_section(recipe, "H100")


def test_of_a_clusters_gpus_the_smallest_counts():
    assert gpu_of({"CPU": 8.0, "GPU": 2.0, "accelerator_type:H100": 1.0, "accelerator_type:A100-40G": 1.0}).name == (
        "A100-40"
    )
    assert gpu_of({"CPU": 8.0}) is None
    with pytest.raises(InputError, match="GPU 'V100' is not known"):
        gpu_of({"accelerator_type:V100": 1.0})
